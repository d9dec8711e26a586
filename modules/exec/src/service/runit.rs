//! runit: services are folders; enabled ones are linked where `runsvdir` looks.

use super::{Action, Options, Services, Status, exec, unable};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::{Attrs, Effect};

/// runit.
pub struct Runit;

fn live(look: &dyn Look) -> &'static str {
    ["/var/service", "/etc/service", "/service"]
        .into_iter()
        .find(|dir| ask::is_dir(look, dir))
        .unwrap_or("/etc/service")
}

impl Services for Runit {
    fn name(&self) -> &'static str {
        "runit"
    }

    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status> {
        let link = format!("{}/{name}", live(look));
        let linked = look.lstat(link.as_ref())?.is_some();
        let available = linked || ask::is_dir(look, format!("/etc/sv/{name}"));
        // `sv` knows nothing about a service that is not linked.
        let running = linked && look.query(&Command::new(["sv", "status", &link]))?.stdout_text().starts_with("run:");
        let enabled = linked && !ask::exists(look, format!("{link}/down"));
        Ok(Status { available, running, enabled, ..Status::default() })
    }

    fn effects(&self, look: &dyn Look, action: Action, name: &str, _: Options) -> HostResult<Vec<Effect>> {
        let link = format!("{}/{name}", live(look));
        let call = |verb: &str| exec(["sv", verb, &link]);
        let symlink = || Effect::Symlink {
            path: link.clone().into(),
            target: format!("/etc/sv/{name}").into(),
            attrs: Attrs::default(),
        };
        let linked = look.lstat(link.as_ref())?.is_some();
        Ok(match action {
            // Salt: starting a service that is not enabled links it first. `runsvdir` looks every five seconds.
            Action::Start if !linked => {
                vec![symlink(), exec(["sleep", "6"]), exec(["sv", "-w", "10", "start", &link])]
            }
            Action::Start => vec![call("start")],
            Action::Stop => vec![call("stop")],
            Action::Restart | Action::FullRestart => vec![call("restart")],
            Action::Reload | Action::ForceReload => vec![call("reload")],
            Action::Enable if linked => vec![Effect::Remove { path: format!("{link}/down").into() }],
            Action::Enable => vec![symlink()],
            Action::Disable => vec![Effect::Remove { path: link.into() }],
            Action::Mask { .. } | Action::Unmask { .. } => return Err(unable(self.name(), action)),
        })
    }

    fn all(&self, look: &dyn Look) -> HostResult<Vec<String>> {
        look.list("/etc/sv".as_ref()).or_else(|_| look.list(live(look).as_ref()))
    }
}
