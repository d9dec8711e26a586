//! What the renderers `gpg` and `age` decrypt with: the system's programs and the keys of the configuration, on the
//! master. Messages and what they say go through pipes only.

use crate::config::Config;
use crate::fileserver::lock;
use corpus_core::{Value, python};
use corpus_render::{Cipher, Decrypt};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// The system's programs, and what they have decrypted: many minions have the same secrets.
pub struct Secrets {
    /// Salt's `gpg_keydir`.
    gpg_keys: PathBuf,
    /// The identity files of `age_identities`.
    age_identities: Vec<PathBuf>,
    must_succeed: bool,
    known: Mutex<HashMap<(Cipher, String), Vec<u8>>>,
}

impl Secrets {
    /// Reads Salt's settings `gpg_keydir` and `gpg_decrypt_must_succeed`, and `age_identities`.
    pub fn new(config: &Config) -> Self {
        let gpg_keys = config.text("gpg_keydir").map_or_else(|| config.dir.join("gpgkeys"), PathBuf::from);
        let named = |name: &Value| config.dir.join(python::str(name));
        let age_identities = match config.opts.get("age_identities") {
            None | Some(Value::Null) => vec![config.dir.join("age-identities.txt")],
            Some(Value::List(names)) => names.iter().map(named).collect(),
            Some(name) => vec![named(name)],
        };
        let must_succeed = config.opts.get("gpg_decrypt_must_succeed").is_none_or(Value::truthy);
        Self { gpg_keys, age_identities, must_succeed, known: Mutex::default() }
    }

    fn gpg(&self, message: &str) -> Result<Vec<u8>, String> {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(&self.gpg_keys).args(["--status-fd", "2", "--no-tty", "--batch", "-d"]);
        let output = ask(gpg, "gpg", message)?;
        if output.status.success() && !output.stdout.is_empty() {
            return Ok(output.stdout);
        }
        let why = complaint(&output, "gpg");
        Err(format!("gpg cannot decrypt this with the keys of {}: {why}", self.gpg_keys.display()))
    }

    fn age(&self, message: &str) -> Result<Vec<u8>, String> {
        let mut age = Command::new("age");
        age.arg("--decrypt");
        for file in &self.age_identities {
            if !file.is_file() {
                return Err(format!(
                    "there is no age identity file {}: `age_identities` names others, `age-keygen` makes one",
                    file.display()
                ));
            }
            age.arg("--identity").arg(file);
        }
        let output = ask(age, "age", message)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let files: Vec<String> = self.age_identities.iter().map(|file| file.display().to_string()).collect();
        let why = complaint(&output, "age");
        Err(format!("age cannot decrypt this with the identities of {}: {why}", files.join(", ")))
    }
}

/// Lets a program read a message from its standard input.
fn ask(mut command: Command, name: &str, message: &str) -> Result<Output, String> {
    let command = command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        let install =
            if error.kind() == std::io::ErrorKind::NotFound { format!(": install `{name}` here") } else { "".into() };
        format!("{name} cannot be started: {error}{install}")
    })?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // A program that ends early is told of by its own words, not by the broken pipe.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(message.as_bytes())));
        child.wait_with_output()
    })
    .map_err(|error| format!("{name} was lost: {error}"))
}

/// Returns what a program said of itself.
fn complaint(output: &Output, name: &str) -> String {
    let head = format!("{name}: ");
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix(&head))
        .map(|line| line.trim_start_matches("error: "))
        .collect();
    // Where to report it is not of interest here.
    let said: Vec<&str> = said.into_iter().filter(|line| !line.starts_with("report unexpected")).collect();
    if said.is_empty() { format!("{name} ended with {}", output.status) } else { said.join("; ") }
}

impl Decrypt for Secrets {
    fn decrypt(&self, cipher: Cipher, message: &str) -> Result<Option<Vec<u8>>, String> {
        // The lock is held while the program works: minions that need the same secret at once wait for one answer.
        let mut known = lock(&self.known);
        let key = (cipher, message.to_owned());
        if let Some(plain) = known.get(&key) {
            return Ok(Some(plain.clone()));
        }
        let answer = match cipher {
            Cipher::Gpg => self.gpg(message),
            Cipher::Age => self.age(message),
        };
        match answer {
            Ok(plain) => {
                corpus_core::secret::keep([String::from_utf8_lossy(&plain)]);
                known.insert(key, plain.clone());
                Ok(Some(plain))
            }
            Err(why) if self.must_succeed || cipher == Cipher::Age => Err(why),
            Err(why) => {
                tracing::warn!("{why}; the message is left as it is");
                Ok(None)
            }
        }
    }
}
