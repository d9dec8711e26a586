//! `network.system`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::file::diff;
use serde::Deserialize;

/// Keeps the settings of the network that are of no one interface: whether it comes up at boot, the host's name, and the
/// domain that names are looked up in.
///
/// ```sls
/// network:
///   network.system:
///     - enabled: True
///     - hostname: web1.example.com
///     - apply_hostname: True
/// ```
#[derive(Deserialize)]
pub struct System {
    /// Any name.
    pub name: String,
    /// Bring the interfaces up at boot; left alone if not given.
    pub enabled: Option<Value>,
    /// The host's name; what is behind its first dot is the domain.
    pub hostname: Option<String>,
    /// The domains that names are looked up in.
    pub search: Option<Value>,
    /// Set the running system's name, too.
    #[serde(default)]
    pub apply_hostname: Value,
    /// Do not restart the networking service.
    #[serde(default)]
    pub require_reboot: Value,
}

const NETWORKING: &str = "/etc/default/networking";
const HOSTNAME: &str = "/etc/hostname";
const RESOLV: &str = "/etc/resolv.conf";
const SWITCH: &str = "CONFIGURE_INTERFACES";

/// What the settings are, as Salt shows them.
#[derive(Clone, Default)]
struct Settings {
    networking: String,
    hostname: String,
    domain: String,
    search: String,
}

impl Settings {
    fn text(&self) -> String {
        let all = [
            ("NETWORKING", &self.networking),
            ("HOSTNAME", &self.hostname),
            ("DOMAIN", &self.domain),
            ("SEARCH", &self.search),
        ];
        all.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| format!("{key}={value}\n")).collect()
    }
}

/// Sets the line of a word in a file, or puts it there.
fn with_line(text: &str, word: &str, between: &str, value: &str) -> String {
    let (mut out, mut done) = (String::new(), false);
    for line in text.lines() {
        if line.strip_prefix(word).is_some_and(|rest| rest.starts_with(['=', ' ', '\t'])) {
            if !std::mem::replace(&mut done, true) {
                out += &format!("{word}{between}{value}\n");
            }
        } else {
            out += &format!("{line}\n");
        }
    }
    if done { out } else { format!("{out}{word}{between}{value}\n") }
}

fn line<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(['=', ' ', '\t'])).map(str::trim)
}

impl System {
    fn on(&self) -> Result<Option<&'static str>, StateError> {
        let Some(enabled) = &self.enabled else { return Ok(None) };
        match python::str(enabled).to_lowercase().as_str() {
            "yes" | "on" | "true" | "1" => Ok(Some("yes")),
            "no" | "off" | "false" | "0" => Ok(Some("no")),
            _ => {
                let expected = "yes|on|true|1|True|no|off|false|0|False";
                Err(StateError::failed(format!(
                    "Invalid network setting -- Setting: networking, Expected: [{expected}]"
                )))
            }
        }
    }
}

impl State for System {
    const NAME: &'static str = "network.system";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::ifupdown(cx)?;
        let read = |path: &str| Ok::<_, StateError>(ask::text(cx.host, path)?.unwrap_or_default());
        let (switch, name, resolv) = (read(NETWORKING)?, read(HOSTNAME)?, read(RESOLV)?);
        let old = Settings {
            networking: line(&switch, SWITCH).unwrap_or_default().to_owned(),
            hostname: name.lines().next().unwrap_or_default().trim().to_owned(),
            domain: line(&resolv, "domain").unwrap_or_default().to_owned(),
            search: line(&resolv, "search").unwrap_or_default().to_owned(),
        };
        let mut new = old.clone();
        if let Some(on) = self.on()? {
            new.networking = on.to_owned();
        }
        if let Some(given) = &self.hostname {
            let (host, domain) = given.split_once('.').unwrap_or((given, ""));
            // A file with the whole name is right as well.
            new.hostname = if old.hostname == *given { given.clone() } else { host.to_owned() };
            if !domain.is_empty() {
                new.domain = domain.to_owned();
            }
        }
        match &self.search {
            None => {}
            Some(Value::List(items)) => new.search = items.iter().map(python::str).collect::<Vec<_>>().join(" "),
            Some(one) => new.search = python::str(one),
        }
        let mut plan = Plan::unchanged("Global network settings are up to date.");
        if old.networking != new.networking {
            plan.push(Effect::text(NETWORKING, with_line(&switch, SWITCH, "=", &new.networking)), vec![]);
        }
        if old.hostname != new.hostname {
            plan.push(Effect::text(HOSTNAME, format!("{}\n", new.hostname)), vec![]);
        }
        let mut resolved = resolv.clone();
        for (word, before, after) in [("domain", &old.domain, &new.domain), ("search", &old.search, &new.search)] {
            if before != after {
                resolved = with_line(&resolved, word, " ", after);
            }
        }
        if resolved != resolv {
            plan.push(Effect::text(RESOLV, resolved), vec![]);
        }
        if plan.steps.is_empty() {
            return Ok(plan);
        }
        if self.apply_hostname.truthy() && !new.hostname.is_empty() {
            cx.program("hostname", "hostname")?;
            let fact = Prediction::Fact("network:hostname".into(), new.hostname.as_str().into());
            plan.exec(Command::new(["hostname", &new.hostname]), vec![fact]);
        }
        if !self.require_reboot.truthy() && cx.host.which("systemctl").is_some() {
            plan.exec(Command::new(["systemctl", "restart", "networking"]), vec![]);
        }
        let told = diff::unified(&old.text(), &new.text()).trim_end().to_owned();
        Ok(plan.change("network_settings", told.as_str()).says(
            format!("Global network settings are set to be updated:\n{told}"),
            "Global network settings are up to date.",
        ))
    }
}
