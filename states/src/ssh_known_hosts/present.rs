//! `ssh_known_hosts.present`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::fns::ssh::{self, HostKey};
use serde::Deserialize;

/// Keeps the key of a host known to a user, or to all users.
///
/// Without `key`, the host is asked for its keys; `fingerprint` says which answer to believe.
///
/// ```sls
/// github.com:
///   ssh_known_hosts.present:
///     - user: deploy
///     - enc: ssh-ed25519
///     - key: AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The host.
    pub name: String,
    /// Whose file it is; all users' if not given.
    pub user: Option<String>,
    /// The digest that a key of the host must have, in hexadecimal with colons.
    pub fingerprint: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// Where the host's SSH listens, if not at 22.
    pub port: Option<u16>,
    /// The key's type, `ssh-ed25519`.
    pub enc: Option<String>,
    /// The file, instead of `.ssh/known_hosts` or `/etc/ssh/ssh_known_hosts`.
    pub config: Option<String>,
    /// Hide the host's name in the file.
    #[serde(default = "yes")]
    pub hash_known_hosts: bool,
    /// Seconds to wait for the host.
    #[serde(default = "five")]
    pub timeout: u64,
    /// How `fingerprint` is made: `sha256` or `md5`.
    pub fingerprint_hash_type: Option<String>,
}

fn yes() -> bool {
    true
}

fn five() -> u64 {
    5
}

impl State for Present {
    const NAME: &'static str = "ssh_known_hosts.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let known = shared::known(cx, self.user.as_deref(), self.config.as_deref())?;
        if self.key.is_some() && self.fingerprint.is_some() {
            return Err(StateError::failed("Specify either \"key\" or \"fingerprint\", not both."));
        }
        if self.key.is_some() && self.enc.is_none() {
            return Err(StateError::failed("Required argument \"enc\" if using \"key\" argument."));
        }
        let kind = self.fingerprint_hash_type.as_deref();
        let have = ssh::find(&known.text, name, self.port);
        let fits = |key: &HostKey| match (&self.key, &self.fingerprint) {
            (Some(want), _) => key.key == *want,
            (_, Some(want)) => key.fingerprint(kind) == *want,
            _ => true,
        };
        let there = Plan::unchanged(format!("{name} already exists in {}", known.shown));
        // Salt asks the host again on each run where neither key nor fingerprint says what is right; what is known
        // counts here, or no second run would be quiet without the network.
        if have.iter().any(fits) {
            return Ok(there);
        }
        let new = match (&self.key, &self.enc) {
            (Some(key), Some(enc)) => {
                vec![HostKey { host: ssh::shown(name, self.port), enc: enc.clone(), key: key.clone() }]
            }
            _ => self.ask(cx, kind)?,
        };
        let mut text = ssh::without(&known.text, name, self.port);
        for key in &new {
            text += &format!("{}\n", key.line(cx.host, self.hash_known_hosts));
        }
        let verb = if have.is_empty() { "added to" } else { "updated in" };
        let first = new.first();
        let did = match (&self.key, &self.fingerprint, &self.enc) {
            (Some(key), ..) => format!("{name}'s key saved to {} (key: {key})", known.shown),
            (_, Some(print), _) => format!("{name}'s key saved to {} (fingerprint: {print})", known.shown),
            (_, _, Some(enc)) => {
                let key = first.map(|key| key.key.as_str()).unwrap_or_default();
                format!("{name}'s {enc} key saved to {} (key: {key})", known.shown)
            }
            _ => format!("{name}'s key(s) saved to {}", known.shown),
        };
        let all = |keys: &[HostKey]| -> Value {
            if keys.is_empty() { Value::Null } else { Value::list(keys.iter().map(|key| key.to_value(kind)).collect()) }
        };
        let mut plan = Plan::default().says(format!("Key for {name} is set to be {verb} {}", known.shown), did);
        plan.changes = [("old", all(&have)), ("new", all(&new))].into_iter().collect::<Map>();
        shared::write(cx, &known, self.user.as_deref(), text, &mut plan)?;
        Ok(plan)
    }
}

impl Present {
    fn ask(&self, cx: &PlanCx<'_>, kind: Option<&str>) -> Result<Vec<HostKey>, StateError> {
        if cx.host.which("ssh-keyscan").is_none() {
            return Err(StateError::missing(
                "ssh-keyscan is not installed on this machine; install an SSH client, or give `key` and `enc`",
            ));
        }
        let found = ssh::scan(cx.host, &self.name, self.enc.as_deref(), self.port, self.timeout)?;
        if found.is_empty() {
            return Err(StateError::missing("Unable to receive remote host keys"));
        }
        match &self.fingerprint {
            Some(print) if !found.iter().any(|key| key.fingerprint(kind) == *print) => Err(StateError::failed(
                "Remote host public keys found but none of their fingerprints match the one you have provided",
            )),
            _ => Ok(found),
        }
    }
}
