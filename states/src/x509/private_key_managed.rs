//! `x509.private_key_managed`

use super::shared::Place;
use corpus_core::decode::Mode;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::{ask, x509};
use serde::Deserialize;

/// Keeps a private key in a file: a new one is drawn where there is none, or one of another kind.
///
/// ```sls
/// /etc/ssl/private/web.key:
///   x509.private_key_managed:
///     - algo: rsa
///     - keysize: 4096
/// ```
#[derive(Deserialize)]
pub struct PrivateKeyManaged {
    /// The file.
    pub name: String,
    /// `rsa`, `ec`, `ed25519` or `ed448`.
    #[serde(default = "rsa")]
    pub algo: String,
    /// Its size: of an RSA key 2048 if none is given, of an EC key 256.
    #[serde(alias = "bits")]
    pub keysize: Option<u32>,
    /// What it is encrypted with.
    pub passphrase: Option<String>,
    /// Only `pem` is built.
    #[serde(default = "pem")]
    pub encoding: String,
    /// Draw a new key each time.
    #[serde(default)]
    pub new: bool,
    /// Replace what is no key, or one under another passphrase.
    #[serde(default)]
    pub overwrite: bool,
    /// Accepted for Salt's sake: keys are encrypted with AES.
    #[serde(default)]
    pub cipher: Value,
    /// Accepted for Salt's sake.
    #[serde(default)]
    pub verbose: Value,
    /// Who owns the file.
    pub user: Option<Value>,
    /// Its group.
    pub group: Option<Value>,
    /// Its permissions.
    pub mode: Option<Mode>,
    /// Make the directories that are missing.
    #[serde(default)]
    pub makedirs: bool,
    /// Their permissions.
    pub dir_mode: Option<Mode>,
    /// Keep what the file was: `minion`.
    #[serde(default)]
    pub backup: Value,
}

fn rsa() -> String {
    "rsa".into()
}

/// Serde's default for `encoding`.
pub fn pem() -> String {
    "pem".into()
}

impl PrivateKeyManaged {
    /// Compares the key of the file with the declaration.
    fn differs(&self, cx: &PlanCx<'_>, path: &str) -> Result<Map, StateError> {
        let mut changes = Map::new();
        let Some(text) = ask::text(cx.host, path)? else {
            changes.insert("created", self.name.as_str());
            return Ok(changes);
        };
        if self.new {
            changes.insert("replaced", self.name.as_str());
            return Ok(changes);
        }
        let passphrase = self.passphrase.as_deref().filter(|_| text.contains("ENCRYPTED"));
        let Some((kind, size)) = x509::describe_key(cx.host, path, passphrase)? else {
            let why = match (text.contains("PRIVATE KEY"), &self.passphrase) {
                _ if self.overwrite => {
                    changes.insert("passphrase", true);
                    return Ok(changes);
                }
                (false, _) => {
                    "The existing file does not seem to be a private key formatted as DER, PEM or embedded in PKCS12. Pass overwrite: true to force regeneration"
                }
                (true, Some(_)) => {
                    "The provided passphrase cannot decrypt the private key. Pass overwrite: true to force regeneration"
                }
                (true, None) => {
                    "The existing file is encrypted. Pass overwrite: true to force regeneration without passphrase"
                }
            };
            return Err(StateError::failed(why));
        };
        let wanted = self.keysize.unwrap_or(if self.algo == "ec" { 256 } else { 2048 });
        if kind != self.algo {
            changes.insert("algo", self.algo.as_str());
        } else if ["rsa", "ec"].contains(&kind.as_str()) && size != wanted {
            changes.insert("keysize", wanted);
        }
        // A key that is not encrypted, and is to be, is drawn anew: nobody can tell who has read it.
        if self.passphrase.is_some() != text.contains("ENCRYPTED") {
            changes.insert("passphrase", true);
        }
        Ok(changes)
    }
}

impl State for PrivateKeyManaged {
    const NAME: &'static str = "x509.private_key_managed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = crate::file::shared::path(cx, &self.name)?;
        if self.encoding != "pem" {
            return Err(StateError::failed(format!("argument `encoding`: `{}` is not built; pem is", self.encoding)));
        }
        cx.program("openssl", "openssl")?;
        let command =
            x509::new_key(&self.algo, self.keysize, self.passphrase.as_deref()).map_err(StateError::failed)?;
        let changes = self.differs(cx, &path.to_string_lossy())?;
        let place = Place {
            path: &path,
            user: &self.user,
            group: &self.group,
            mode: self.mode.or(Some(Mode::Bits(0o400))),
            makedirs: self.makedirs,
            dir_mode: self.dir_mode,
            backup: &self.backup,
        };
        let same = "The private key is in the correct state";
        if changes.is_empty() {
            let mut plan = place.plan(cx, None, changes)?;
            plan.unchanged = same.into();
            return Ok(plan.says(same, same));
        }
        let verb = if changes.contains("created") { "create" } else { "recreate" };
        let key = ask::output(cx.host, &command)?;
        let mut plan = place.plan(cx, Some(key), changes)?;
        plan.repeats = self.new;
        Ok(plan.says(format!("The private key would have been {verb}d"), format!("The private key has been {verb}d")))
    }
}
