//! systemd: one `systemctl show` answers everything about a unit.

use super::{Action, Options, Services, Status, sysv};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::Effect;

/// systemd.
pub struct Systemd;

const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// Returns the unit's full name; a bare name is a service.
pub fn unit(name: &str) -> String {
    if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) { name.into() } else { format!("{name}.service") }
}

impl Services for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status> {
        let unit = unit(name);
        let text = ask::output(
            look,
            &Command::new(["systemctl", "show", "-p", "LoadState,ActiveState,UnitFileState", &unit]),
        )?;
        let value = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let (load, active, file) = (value("LoadState"), value("ActiveState"), value("UnitFileState"));
        Ok(Status {
            available: !matches!(load.as_str(), "not-found" | ""),
            running: matches!(active.as_str(), "active" | "reloading"),
            // What `systemctl is-enabled` answers with 0, as Salt asks it.
            enabled: match file.as_str() {
                "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "linked" => true,
                "generated" => sysv::linked(look, name),
                _ => false,
            },
            masked: file == "masked",
            masked_runtime: file == "masked-runtime",
        })
    }

    fn effects(&self, _: &dyn Look, action: Action, name: &str, options: Options) -> HostResult<Vec<Effect>> {
        let (verb, runtime) = match action {
            Action::Start => ("start", false),
            Action::Stop => ("stop", false),
            Action::Restart | Action::FullRestart => ("restart", false),
            Action::Reload => ("reload", false),
            Action::ForceReload => ("reload-or-restart", false),
            Action::Enable => ("enable", false),
            Action::Disable => ("disable", false),
            Action::Mask { runtime } => ("mask", runtime),
            Action::Unmask { runtime } => ("unmask", runtime),
        };
        let mut argv = vec!["systemctl".to_owned()];
        if runtime {
            argv.push("--runtime".into());
        }
        if options.no_block && !matches!(action, Action::Enable | Action::Disable) {
            argv.push("--no-block".into());
        }
        argv.extend([verb.to_owned(), unit(name)]);
        Ok(vec![Effect::Exec(Command::new(argv))])
    }

    fn all(&self, look: &dyn Look) -> HostResult<Vec<String>> {
        let text =
            ask::output(look, &Command::new(["systemctl", "list-unit-files", "--full", "--no-legend", "--no-pager"]))?;
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(|unit| unit.strip_suffix(".service").unwrap_or(unit).to_owned())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}
