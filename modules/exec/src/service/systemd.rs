//! systemd: one `systemctl show` answers everything about a unit.

use super::{Action, Options, Services, Status, sysv};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::Effect;
use std::path::Path;

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

fn masks(look: &dyn Look, root: &str, unit: &str) -> bool {
    look.read_link(format!("{root}/systemd/system/{unit}").as_ref()).is_ok_and(|to| to == Path::new("/dev/null"))
}

impl Services for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status> {
        let unit = unit(name);
        let text = ask::output(
            look,
            &Command::new(["systemctl", "show", "-p", "LoadState,ActiveState,UnitFileState,NeedDaemonReload", &unit]),
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
            fixed: file == "static",
            // systemd names one mask of two; Salt, too, looks for the links.
            masked: masks(look, "/etc", &unit),
            masked_runtime: masks(look, "/run", &unit),
            stale: value("NeedDaemonReload") == "yes",
        })
    }

    fn effects(&self, look: &dyn Look, action: Action, name: &str, options: Options) -> HostResult<Vec<Effect>> {
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
        let act = Effect::Exec(Command::new(argv));
        // As Salt does: a unit whose file has changed is read again first.
        let stale = !matches!(action, Action::Mask { .. } | Action::Unmask { .. }) && self.status(look, name)?.stale;
        Ok(if stale { vec![super::exec(["systemctl", "daemon-reload"]), act] } else { vec![act] })
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
