//! `ssh_auth.present`

use super::shared::{self, Key};
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Lets a key log in as a user.
///
/// ```sls
/// AAAAC3NzaC1lZDI1NTE5AAAAIDemo:
///   ssh_auth.present:
///     - user: deploy
///     - enc: ssh-ed25519
/// ```
#[derive(Deserialize)]
pub struct Present {
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

impl State for Present {
    const NAME: &'static str = "ssh_auth.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = shared::place(cx, &self.user, &self.config)?;
        let keys = match self.source.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => shared::source(cx, url)?,
            None => vec![Key::of_arguments(&self.name, &self.enc, &self.comment, &self.options.0)],
        };
        let mut lines: Vec<String> = place.text.lines().map(str::to_owned).collect();
        let (mut plan, mut shown) = (Plan::default(), self.name.clone());
        let (mut words, mut did) = ("", "");
        for mut key in keys {
            if key.key.len() < 4 || !key.key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) {
                return Err(StateError::failed("Invalid public ssh key, most likely has spaces or invalid syntax"));
            }
            if self.source.is_some() && !self.options.0.is_empty() {
                key.options = self.options.0.join(",");
            } else if self.source.is_none() {
                shown.clone_from(&key.key);
            }
            let at = lines.iter().position(|line| Key::parse(line).is_some_and(|have| have.key == key.key));
            match at {
                Some(at) if Key::parse(&lines[at]).as_ref() == Some(&key) => continue,
                Some(at) => {
                    lines[at] = key.line();
                    (words, did) = ("is set to be updated", "was updated");
                    plan.changes.insert(key.key.as_str(), "Updated");
                }
                None => {
                    lines.push(key.line());
                    (words, did) = ("is set to be added", "was added");
                    plan.changes.insert(key.key.as_str(), "New");
                }
            }
        }
        let user = &self.user;
        plan.unchanged = format!("The authorized host key {shown} is already present for user {user}");
        if !plan.changes.is_empty() {
            shared::write(cx, &place, lines.join("\n") + "\n", &mut plan);
        }
        let would = match words {
            "is set to be updated" => format!("Key {shown} for user {user} is set to be updated"),
            _ => format!("Key {shown} for user {user} is set to be added"),
        };
        Ok(plan.says(would, format!("The authorized host key {shown} for user {user} {did}")))
    }
}
