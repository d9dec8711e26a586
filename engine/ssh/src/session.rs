//! Connections as the rest of the program sees them: blocking. [`Ssh`] owns the threads that all connections
//! share; a [`Session`] is one machine; a [`Pipe`] is the standard input and output of a program there.

use crate::config::{ClientConfig, home};
use crate::connect::{self, Connection};
use crate::flow::Flow;
use crate::{Host, SshError, route};
use corpus_core::Output;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the other side may take to receive one piece, before it is given up.
const STALL: Duration = Duration::from_secs(120);
/// How long the machine may say nothing while the minion is being started.
const START: Duration = Duration::from_secs(120);
/// How often the waiting for a connection looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a program on the other side may take to end when its input has ended.
const PARTING: Duration = Duration::from_millis(300);
/// How much of a program's standard error is kept for messages.
const SAID: usize = 16 * 1024;

/// What holds for all connections.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// The user's client configuration; `None` reads none.
    pub config: Option<PathBuf>,
    /// Files of known host keys; the first is the one that new keys are written to.
    pub known_hosts: Vec<PathBuf>,
    /// Take and keep the key of a host that is met for the first time.
    pub accept_new_host_keys: bool,
    /// The key for hosts whose roster entry names none (`--priv`).
    pub private_key: Option<PathBuf>,
    /// Try `~/.ssh/id_*` when no key is named.
    pub usual_keys: bool,
    /// The agent's socket.
    pub agent: Option<String>,
    /// The user for hosts without one; this process's user otherwise.
    pub user: Option<String>,
    /// How long to wait for a connection, unless the roster or the configuration says.
    pub timeout: Duration,
    /// Ends the waiting for connections when it is set.
    pub interrupt: Arc<AtomicBool>,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            config: Some(home("~/.ssh/config")),
            known_hosts: vec![home("~/.ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")],
            accept_new_host_keys: false,
            private_key: None,
            usual_keys: true,
            agent: std::env::var("SSH_AUTH_SOCK").ok().filter(|path| !path.is_empty()),
            user: None,
            timeout: Duration::from_secs(10),
            interrupt: Arc::default(),
        }
    }
}

/// Makes connections; owns the threads that all of them share. Keep it for as long as any of them is in use.
pub struct Ssh {
    options: SshOptions,
    config: ClientConfig,
    runtime: Option<Runtime>,
    lines: Mutex<Vec<Weak<Line>>>,
}

impl Ssh {
    /// Reads the client configuration and starts the shared threads.
    pub fn new(options: SshOptions) -> Result<Self, SshError> {
        let config = match &options.config {
            Some(path) => ClientConfig::read(path).map_err(SshError::Config)?,
            None => ClientConfig::default(),
        };
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("ssh").enable_all().build();
        let runtime = runtime.map_err(|error| SshError::Config(format!("cannot start threads: {error}")))?;
        Ok(Self { options, config, runtime: Some(runtime), lines: Mutex::default() })
    }

    /// Connects to a machine and logs in; waits for as long as that takes, within the timeout.
    pub fn open(&self, host: &Host) -> Result<Session, SshError> {
        let Some(runtime) = &self.runtime else { return Err(SshError::Lost("shut down".into())) };
        let route = route::plan(host, &self.options, &self.config)?;
        let flow = route.last().map(|stop| stop.flow.clone()).unwrap_or_default();
        // On the shared threads, so that many callers' connections proceed side by side.
        let mut task = runtime.spawn(async move { connect::connect(&route).await });
        let done = runtime.block_on(async {
            loop {
                match timeout(GLANCE, &mut task).await {
                    Ok(done) => return Some(done),
                    Err(_) if self.options.interrupt.load(Ordering::Relaxed) => return None,
                    Err(_) => {}
                }
            }
        });
        let Some(done) = done else {
            task.abort();
            return Err(SshError::Interrupted);
        };
        let connections = done.map_err(|error| SshError::Lost(error.to_string()))??;
        let line = Arc::new(Line { connections, handle: runtime.handle().clone(), flow });
        lock(&self.lines).push(Arc::downgrade(&line));
        Ok(Session { host: host.clone(), line })
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // What was written last is still on its way; a dead machine must not hold up the end of the program.
        let until = Instant::now() + PARTING;
        while lock(&self.lines).iter().any(|line| line.strong_count() > 0) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}

/// The connections that lead to a machine, its own last.
struct Line {
    connections: Vec<Connection>,
    handle: Handle,
    flow: Flow,
}

/// A connection on which the other side has let us in. Clones share it.
#[derive(Clone)]
pub struct Session {
    pub(crate) host: Host,
    line: Arc<Line>,
}

impl Session {
    /// Starts a program, through the login shell as SSH does.
    pub fn spawn(&self, command: &str) -> Result<Pipe, SshError> {
        let Some(connection) = self.line.connections.last() else { return Err(SshError::Lost("no connection".into())) };
        let opening = async {
            let channel = connection.channel_open_session().await?;
            // No answer is awaited: what comes next tells, and a round trip is saved.
            channel.exec(false, command).await?;
            Ok::<_, russh::Error>(channel)
        };
        let opened = self.line.handle.block_on(async { timeout(STALL, opening).await });
        let channel = match opened {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(SshError::Lost(error.to_string())),
            Err(_) => return Err(SshError::Lost("no answer to a new channel".into())),
        };
        let (read, write) = channel.split();
        let end = Arc::new(Mutex::new(End::default()));
        let write = Arc::new(write);
        let (gone, told) = watch::channel(false);
        Ok(Pipe {
            read: PipeReader {
                line: self.line.clone(),
                read: Some(read),
                have: vec![],
                at: 0,
                end: end.clone(),
                write: write.clone(),
                patience: Some(START),
                prompt: None,
                gone,
            },
            write: PipeWriter { line: self.line.clone(), write, gone: told },
            end,
        })
    }

    /// Runs a shell's line and waits for it (`-r`).
    pub fn exec(&self, command: &str, stdin: &[u8]) -> Result<Output, SshError> {
        let Pipe { mut read, mut write, end } = self.spawn(command)?;
        read.for_ever();
        let input = stdin.to_vec();
        // Beside the reading: a program may answer before it has read everything.
        let writer = std::thread::spawn(move || {
            let _ = write.write_all(&input);
        });
        let mut stdout = Vec::new();
        let done = read.drain(&mut stdout);
        drop(read);
        let _ = writer.join();
        done.map_err(|error| SshError::Lost(error.to_string()))?;
        let mut end = lock(&end);
        let code = end.code.ok_or_else(|| SshError::Lost("the connection ended before the program did".into()))?;
        Ok(Output { pid: 0, code, stdout, stderr: std::mem::take(&mut end.stderr), timed_out: false })
    }

    /// Returns the machine as the roster has it.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// The standard input and output of a program on the other side.
pub struct Pipe {
    pub read: PipeReader,
    pub write: PipeWriter,
    pub(crate) end: Arc<Mutex<End>>,
}

impl Pipe {
    /// Writes, unless the program says something or ends before all is taken; tells whether it did not.
    pub(crate) fn write_unanswered(&mut self, bytes: &[u8]) -> bool {
        let Self { read, write, .. } = self;
        if read.at < read.have.len() {
            return false;
        }
        let handle = write.line.handle.clone();
        handle.block_on(async {
            tokio::select! {
                sent = timeout(STALL, write.send(bytes.to_vec())) => matches!(sent, Ok(Ok(()))),
                _ = read.filled() => false,
            }
        })
    }

    /// Returns the two halves, for [`corpus_wire::Remote::connect`].
    pub fn into_boxes(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
        (Box::new(self.read), Box::new(self.write))
    }
}

/// How a program ended, and what it said on standard error.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// Exit status; 128 and more for a signal, whose number SSH does not tell.
    pub code: Option<i32>,
    pub stderr: Vec<u8>,
    pub eof: bool,
    pub closed: bool,
    /// The answer to a prompt was not accepted.
    pub refused: bool,
    /// Nothing came for longer than could be waited.
    pub silent: bool,
}

impl End {
    /// Returns what it said, as one line.
    pub(crate) fn said(&self) -> String {
        let said = String::from_utf8_lossy(&self.stderr).trim().to_owned();
        match self.silent {
            true => format!("no sign of life for {} seconds {said}", START.as_secs()).trim().to_owned(),
            false => said,
        }
    }
}

/// A question on standard error that is answered once, such as sudo's for a password.
struct Prompt {
    text: String,
    /// The answer; gone when it was given.
    secret: Option<String>,
    /// The end of what came, as long as the question.
    tail: Vec<u8>,
}

/// What a message of the channel means to a reader.
enum Taken {
    /// There are bytes, or there is an end.
    Ready(bool),
    /// Neither yet; a question may have to be answered.
    Waiting(Option<Vec<u8>>),
}

impl Prompt {
    /// Takes in what came; tells whether the question is asked now.
    fn asked(&mut self, data: &[u8]) -> bool {
        self.tail.extend_from_slice(data);
        let asked = self.tail.ends_with(self.text.as_bytes());
        let keep = if asked { 0 } else { self.tail.len().min(self.text.len()) };
        self.tail.drain(..self.tail.len() - keep);
        asked
    }
}

/// Reads what the program writes. At the end, a failed program is an error that tells what it said.
pub struct PipeReader {
    line: Arc<Line>,
    /// Gone only when the reader is dropped.
    read: Option<ChannelReadHalf>,
    have: Vec<u8>,
    at: usize,
    end: Arc<Mutex<End>>,
    write: Arc<ChannelWriteHalf<client::Msg>>,
    /// How long to wait for bytes; the wire has a patience of its own.
    patience: Option<Duration>,
    prompt: Option<Prompt>,
    /// Wakes a writer whose program has ended: nobody would make room for it any more.
    gone: watch::Sender<bool>,
}

impl PipeReader {
    /// Answers a question on standard error, once: asked again, the answer was wrong, and the program is given up.
    pub(crate) fn answer(&mut self, text: String, secret: String) {
        self.prompt = Some(Prompt { text, secret: Some(secret), tail: vec![] });
    }

    /// Answers nothing any more: the program that asks is through.
    pub(crate) fn no_questions(&mut self) {
        self.prompt = None;
    }

    /// Waits for bytes as long as it takes.
    pub(crate) fn for_ever(&mut self) {
        self.patience = None;
    }

    /// Waits for bytes; false at the end.
    fn fill(&mut self) -> bool {
        let handle = self.line.handle.clone();
        handle.block_on(self.filled())
    }

    async fn filled(&mut self) -> bool {
        loop {
            if lock(&self.end).closed {
                return false;
            }
            let Some(read) = self.read.as_mut() else { return false };
            let message = match self.patience {
                Some(limit) => timeout(limit, read.wait()).await,
                None => Ok(read.wait().await),
            };
            let answer = match self.take(message) {
                Taken::Ready(more) => return more,
                Taken::Waiting(answer) => answer,
            };
            if let Some(line) = answer {
                // What became of it is told by what comes next.
                let _ = timeout(STALL, self.write.data_bytes(line)).await;
            }
        }
    }

    /// Takes in what the channel brought.
    fn take(&mut self, message: Result<Option<ChannelMsg>, tokio::time::error::Elapsed>) -> Taken {
        let mut end = lock(&self.end);
        match message {
            Ok(Some(ChannelMsg::Data { data })) => {
                self.have.clear();
                self.have.extend_from_slice(&data);
                self.at = 0;
                return Taken::Ready(true);
            }
            Ok(Some(ChannelMsg::ExtendedData { data, .. })) => {
                let room = SAID.saturating_sub(end.stderr.len()).min(data.len());
                end.stderr.extend_from_slice(&data[..room]);
                if let Some(prompt) = self.prompt.as_mut()
                    && prompt.asked(&data)
                {
                    if end.stderr.ends_with(prompt.text.as_bytes()) {
                        let kept = end.stderr.len() - prompt.text.len();
                        end.stderr.truncate(kept);
                    }
                    let Some(secret) = prompt.secret.take() else {
                        (end.closed, end.refused) = (true, true);
                        self.gone.send_replace(true);
                        return Taken::Ready(false);
                    };
                    return Taken::Waiting(Some(format!("{secret}\n").into_bytes()));
                }
            }
            Ok(Some(ChannelMsg::ExitStatus { exit_status })) => end.code = i32::try_from(exit_status).ok(),
            Ok(Some(ChannelMsg::ExitSignal { signal_name, .. })) => {
                end.code = Some(match signal_name {
                    russh::Sig::KILL => 137,
                    russh::Sig::TERM => 143,
                    _ => 128,
                });
            }
            Ok(Some(ChannelMsg::Eof)) => end.eof = true,
            Ok(Some(ChannelMsg::Close) | None) | Err(_) => {
                (end.closed, end.silent) = (true, message.is_err());
                self.gone.send_replace(true);
                return Taken::Ready(false);
            }
            Ok(Some(_)) => {}
        }
        Taken::Waiting(None)
    }

    /// Reads everything, whatever the program's status.
    fn drain(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            out.extend_from_slice(&self.have[self.at..]);
            self.at = self.have.len();
            if !self.fill() {
                return Ok(());
            }
        }
    }

    /// Waits for the program's end and returns it, throwing away what it still writes.
    pub(crate) fn finish(&mut self) -> (Option<i32>, String) {
        while self.fill() {}
        let end = lock(&self.end);
        (end.code, end.said())
    }

    /// Tells whether the answer to the prompt was not accepted.
    pub(crate) fn refused(&self) -> bool {
        lock(&self.end).refused
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.have.len() && !self.fill() {
            let end = lock(&self.end);
            let said = end.said();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            return match end.code {
                Some(0) => Ok(0),
                Some(137) => Err(io::Error::other(format!("the program was killed{said}"))),
                Some(code) => Err(io::Error::other(format!("the program ended with status {code}{said}"))),
                None => Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    format!("the machine or its sshd went away{said}"),
                )),
            };
        }
        let n = buffer.len().min(self.have.len() - self.at);
        buffer[..n].copy_from_slice(&self.have[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let (write, line, read) = (self.write.clone(), self.line.clone(), self.read.take());
        let open = !lock(&self.end).closed;
        line.flow.forget(write.id());
        self.line.handle.spawn(async move {
            // The program gets what was written before its channel is closed: its own end says that it did.
            if let Some(mut read) = read.filter(|_| open) {
                let _ = write.eof().await;
                let ended = async { while !matches!(read.wait().await, Some(ChannelMsg::Close) | None) {} };
                let _ = timeout(PARTING, ended).await;
            }
            let _ = write.close().await;
            drop(line);
        });
    }
}

/// Writes what the program reads; dropping it is the end of its input.
pub struct PipeWriter {
    line: Arc<Line>,
    write: Arc<ChannelWriteHalf<client::Msg>>,
    gone: watch::Receiver<bool>,
}

impl PipeWriter {
    /// Sends bytes once there is room for them.
    async fn send(&self, bytes: Vec<u8>) -> Result<(), russh::Error> {
        self.line.flow.send(self.write.id(), bytes.len()).await;
        self.write.data_bytes(bytes).await
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Bounded, so that a stalled peer is noticed per piece.
        let piece = &bytes[..bytes.len().min(256 * 1024)];
        let mut gone = self.gone.clone();
        let sent = self.line.handle.block_on(async {
            tokio::select! {
                sent = timeout(STALL, self.send(piece.to_vec())) => sent,
                // The reader's own end says nothing about the program.
                Ok(_) = gone.wait_for(|gone| *gone) => Ok(Err(russh::Error::SendError)),
            }
        });
        match sent {
            Ok(Ok(())) => Ok(piece.len()),
            Ok(Err(error)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, error.to_string())),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the machine takes nothing any more")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let (write, line) = (self.write.clone(), self.line.clone());
        self.line.handle.spawn(async move {
            let _ = write.eof().await;
            drop(line);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
