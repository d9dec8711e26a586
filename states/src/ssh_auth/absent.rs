//! `ssh_auth.absent`

use super::shared::{self, Key};
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Forbids a key to log in as a user.
///
/// ```sls
/// AAAAC3NzaC1lZDI1NTE5AAAAIDemo:
///   ssh_auth.absent:
///     - user: deploy
///     - enc: ssh-ed25519
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The key, with or without its type, options and comment.
    pub name: String,
    /// Whose key it is.
    pub user: String,
    /// The key's type, unless `name` says it.
    #[serde(default = "rsa")]
    pub enc: String,
    /// The text after the key.
    #[serde(default)]
    pub comment: String,
    /// A file with the keys, instead of `name`.
    #[serde(default)]
    pub source: Option<String>,
    /// Options before the key.
    #[serde(default)]
    pub options: OneOrMany<String>,
    /// The file of keys; `%h` is the home directory, `%u` the user.
    #[serde(default = "config")]
    pub config: String,
    /// Accepted for Salt's sake: keys are compared whole.
    pub fingerprint_hash_type: Option<Value>,
}

fn rsa() -> String {
    "ssh-rsa".into()
}

fn config() -> String {
    ".ssh/authorized_keys".into()
}

impl State for Absent {
    const NAME: &'static str = "ssh_auth.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if cx.host.user(&self.user)?.is_none() {
            return Ok(Plan::unchanged("User authorized keys file not present"));
        }
        let place = shared::place(cx, &self.user, &self.config)?;
        let keys = match self.source.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => shared::source(cx, url)?,
            None => vec![Key::of_arguments(&self.name, &self.enc, &self.comment, &self.options.0)],
        };
        let mut plan = Plan::unchanged(if cx.test { "Key is already absent" } else { "Key not present" });
        let kept: Vec<&str> = place
            .text
            .lines()
            .filter(|line| match Key::parse(line).filter(|have| keys.iter().any(|key| key.key == have.key)) {
                Some(gone) => {
                    plan.changes.insert(gone.key, "Removed");
                    false
                }
                None => true,
            })
            .collect();
        if !plan.changes.is_empty() {
            let text = kept.iter().map(|line| format!("{line}\n")).collect();
            shared::write(cx, &place, text, &mut plan);
        }
        Ok(plan.says(format!("Key {} for user {} is set for removal", self.name, self.user), "Key removed"))
    }
}
