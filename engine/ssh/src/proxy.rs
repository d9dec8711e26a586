//! `ProxyCommand`: a program of this machine whose standard input and output lead to the server.

use crate::SshError;
use crate::route::Stop;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Join, join};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How long a program that has closed its output may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What became of the program.
pub(crate) struct Proxy {
    said: Arc<Mutex<String>>,
    /// Waits for the end of the program's words, and then of itself: no zombie is left.
    ended: JoinHandle<()>,
}

/// Starts the program; it ends when the stream is dropped, as its input does.
pub(crate) fn start(stop: &Stop, command: &str) -> Result<(Join<ChildStdout, ChildStdin>, Proxy), SshError> {
    let shell = std::env::var("SHELL").ok().filter(|shell| shell.starts_with('/')).unwrap_or_else(|| "/bin/sh".into());
    let failed = |why: String| SshError::Proxy { host: stop.host.clone(), port: stop.port, why };
    let mut child = Command::new(&shell)
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("{shell}: {error}")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("it has no pipes".into()));
    };
    let said = Arc::new(Mutex::new(String::new()));
    let last = said.clone();
    let ended = tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if !line.trim().is_empty() {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = line.trim().to_owned();
            }
        }
        let _ = child.wait().await;
    });
    Ok((join(stdout, stdin), Proxy { said, ended }))
}

impl Proxy {
    /// Makes the error for a stream that ended, of the program's last words.
    pub(crate) async fn died(self, host: String, port: u16) -> SshError {
        let _ = tokio::time::timeout(LAST_WORDS, self.ended).await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = if said.is_empty() { "it ended without a word".into() } else { said };
        SshError::Proxy { host, port, why }
    }
}
