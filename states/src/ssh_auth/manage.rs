//! `ssh_auth.manage`

use super::shared::{self, Key};
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Lets the listed keys log in as a user, and no others.
///
/// ```sls
/// keys of deploy:
///   ssh_auth.manage:
///     - user: deploy
///     - enc: ssh-ed25519
///     - ssh_keys:
///       - AAAAC3NzaC1lZDI1NTE5AAAAIDemo
/// ```
#[derive(Deserialize)]
pub struct Manage {
    /// The state's name; it is no key.
    pub name: String,
    /// The keys, with or without their types, options and comments.
    pub ssh_keys: OneOrMany<String>,
    /// Whose keys they are.
    pub user: String,
    /// The type of a key that does not say it.
    #[serde(default = "rsa")]
    pub enc: String,
    /// The text after a key that has none.
    #[serde(default)]
    pub comment: String,
    /// Not built here: `ssh_auth.present` reads keys from a file.
    #[serde(default)]
    pub source: Option<String>,
    /// Options before keys that have none.
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

impl State for Manage {
    const NAME: &'static str = "ssh_auth.manage";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.source.as_deref().is_some_and(|source| !source.is_empty()) {
            return Err(StateError::failed("ssh_auth.manage: `source` is not built; use ssh_auth.present for it"));
        }
        let (user, place) = (&self.user, shared::place(cx, &self.user, &self.config)?);
        let wanted: Vec<Key> = self
            .ssh_keys
            .0
            .iter()
            .map(|text| Key::of_arguments(text, &self.enc, &self.comment, &self.options.0))
            .collect();
        let valid =
            |key: &Key| key.key.len() >= 4 && key.key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if !wanted.iter().all(valid) {
            return Err(StateError::failed("Invalid public ssh key, most likely has spaces or invalid syntax"));
        }
        let (mut plan, mut would, mut did) = (Plan::default(), vec![], vec![]);
        let mut lines = vec![];
        for line in place.text.lines() {
            match Key::parse(line) {
                Some(have) if !wanted.iter().any(|key| key.key == have.key) => {
                    would.push(format!("{} Key set for removal", have.key));
                    plan.changes.insert(have.key, "Key removed");
                }
                _ => lines.push(line.to_owned()),
            }
        }
        for key in &wanted {
            let at = lines.iter().position(|line| Key::parse(line).is_some_and(|have| have.key == key.key));
            let word = &key.key;
            match at {
                Some(at) if Key::parse(&lines[at]).as_ref() == Some(key) => {
                    let present = format!("The authorized host key {word} is already present for user {user}");
                    would.push(present.clone());
                    did.push(present);
                }
                Some(at) => {
                    lines[at] = key.line();
                    would.push(format!("Key {word} for user {user} is set to be updated"));
                    plan.changes.insert(word.as_str(), "Updated");
                }
                None => {
                    lines.push(key.line());
                    would.push(format!("Key {word} for user {user} is set to be added"));
                    plan.changes.insert(word.as_str(), "New");
                }
            }
        }
        plan.unchanged = did.join("\n");
        if !plan.changes.is_empty() {
            let text = lines.iter().map(|line| format!("{line}\n")).collect();
            shared::write(cx, &place, text, &mut plan);
        }
        Ok(plan.says(would.join("\n"), did.join("\n")))
    }
}
