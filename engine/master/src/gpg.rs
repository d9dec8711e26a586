//! What the renderer `gpg` decrypts with: the system's `gpg` and the keys of `gpg_keydir`, on the master.

use crate::config::Config;
use crate::fileserver::lock;
use corpus_render::Decrypt;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The system's gpg, and what it has decrypted: many minions have the same secrets.
pub struct Gpg {
    keys: PathBuf,
    must_succeed: bool,
    known: Mutex<HashMap<String, Vec<u8>>>,
}

impl Gpg {
    /// Reads Salt's settings `gpg_keydir` and `gpg_decrypt_must_succeed`.
    pub fn new(config: &Config) -> Self {
        let keys = config.text("gpg_keydir").map_or_else(|| config.dir.join("gpgkeys"), PathBuf::from);
        let must_succeed = config.opts.get("gpg_decrypt_must_succeed").is_none_or(corpus_core::Value::truthy);
        Self { keys, must_succeed, known: Mutex::default() }
    }

    fn ask(&self, message: &str) -> Result<Vec<u8>, String> {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.keys)
            .args(["--status-fd", "2", "--no-tty", "--batch", "-d"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("gpg cannot be started: {error}"))?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // A gpg that ends early is told of by its own words, not by the broken pipe.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(message.as_bytes())));
            child.wait_with_output()
        })
        .map_err(|error| format!("gpg was lost: {error}"))?;
        if output.status.success() && !output.stdout.is_empty() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("gpg: ")).collect();
        let why = if said.is_empty() { format!("gpg ended with {}", output.status) } else { said.join("; ") };
        Err(format!("gpg cannot decrypt this with the keys of {}: {why}", self.keys.display()))
    }
}

impl Decrypt for Gpg {
    fn decrypt(&self, message: &str) -> Result<Option<Vec<u8>>, String> {
        // The lock is held while gpg works: minions that need the same secret at once wait for one answer.
        let mut known = lock(&self.known);
        if let Some(plain) = known.get(message) {
            return Ok(Some(plain.clone()));
        }
        match self.ask(message) {
            Ok(plain) => {
                corpus_core::secret::keep([String::from_utf8_lossy(&plain)]);
                known.insert(message.to_owned(), plain.clone());
                Ok(Some(plain))
            }
            Err(why) if self.must_succeed => Err(why),
            Err(why) => {
                tracing::warn!("{why}; the message is left as it is");
                Ok(None)
            }
        }
    }
}
