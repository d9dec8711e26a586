//! `sysctl.present`

use corpus_core::host::Command;
use corpus_core::{Attrs, Content, Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a kernel setting, now and after a reboot.
///
/// ```sls
/// vm.swappiness:
///   sysctl.present:
///     - value: 10
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The setting, `vm.swappiness`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// File that sets it at boot; `/etc/sysctl.d/99-salt.conf` where systemd runs, else `/etc/sysctl.conf`.
    pub config: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "sysctl.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, value) = (self.name.trim(), python::str(&self.value));
        let config = self.config.clone().unwrap_or_else(|| {
            // Salt: systemd reads the folder; without it, whoever sets the values at boot reads the one file.
            let folder = ask::is_dir(cx.host, "/run/systemd/system");
            if folder { "/etc/sysctl.d/99-salt.conf" } else { "/etc/sysctl.conf" }.into()
        });
        let file = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
        let path = format!("/proc/sys/{file}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let running = match cx.host.predicted(&format!("sysctl:{name}")) {
            Some(value) => Some(words(&python::str(&value))),
            None => ask::text(cx.host, &path)?.map(|text| words(&text)),
        };
        let text = ask::text(cx.host, &config)?.unwrap_or_default();
        let configured = setting(&text, name).map(|found| words(&found));
        let want = words(&value);
        let (runs, stays) = (running.as_deref() == Some(&want), configured.as_deref() == Some(&want));
        if runs && stays {
            return Ok(Plan::unchanged(format!("Sysctl value {name} = {value} is already set")));
        }
        let would = match (&running, runs, configured.is_some()) {
            (Some(_), true, false) => format!(
                "Sysctl value is currently set on the running system but not in a config file. \
                 Sysctl option {name} set to be changed to {value} in config file."
            ),
            (Some(_), ..) => format!("Sysctl option {name} set to be changed to {value}"),
            (None, _, true) => format!(
                "Sysctl value {name} is present in configuration file but is not present in the running config. \
                 The value {name} is set to be changed to {value}"
            ),
            (None, ..) => format!("Sysctl option {name} would be changed to {value}"),
        };
        let mut plan = Plan::default()
            .says(would, format!("Updated sysctl value {name} = {value}"))
            .change(name, self.value.clone());
        if running.is_none() {
            // A module that an earlier step loads may bring the setting.
            return Err(StateError::missing(format!(
                "Failed to set {name} to {value}: sysctl: cannot stat {path}: No such file or directory"
            )));
        }
        if !runs {
            let mut command = Command::new(["sysctl", "-w"]);
            command.argv.push(format!("{name}={value}"));
            plan.push(
                Effect::Exec(command),
                vec![corpus_core::Prediction::Fact(format!("sysctl:{name}"), value.as_str().into())],
            );
        }
        if !stays {
            let content = Content::Bytes(with_setting(&text, name, &value).into());
            let attrs =
                if text.is_empty() { Attrs { mode: Some(0o644), ..Attrs::default() } } else { Attrs::default() };
            plan.push(Effect::WriteFile { path: config.into(), content, attrs, backup: None }, vec![]);
        }
        Ok(plan)
    }
}

fn parse(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_start_matches('-');
    if line.starts_with(['#', ';']) {
        return None;
    }
    line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
}

fn same_key(a: &str, b: &str) -> bool {
    a.replace('/', ".") == b.replace('/', ".")
}

fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().filter_map(parse).rfind(|(key, _)| same_key(key, name)).map(|(_, value)| value.to_owned())
}

fn with_setting(text: &str, name: &str, value: &str) -> String {
    let (mut out, mut done) = (String::new(), false);
    for line in text.lines() {
        match parse(line) {
            Some((key, _)) if same_key(key, name) => {
                if !std::mem::replace(&mut done, true) {
                    out += &format!("{name} = {value}\n");
                }
            }
            _ => out += &format!("{line}\n"),
        }
    }
    if !done {
        if text.is_empty() {
            out += "#\n# Kernel sysctl configuration\n#\n";
        }
        out += &format!("{name} = {value}\n");
    }
    out
}
