//! OpenRC: scripts in `/etc/init.d`, run levels as folders of links.

use super::{Action, Options, Services, Status, exec, unable};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::Effect;

/// OpenRC.
pub struct OpenRc;

/// Lists the run levels that a service is in.
fn levels(look: &dyn Look, name: &str) -> Vec<String> {
    let mut levels = look.list("/etc/runlevels".as_ref()).unwrap_or_default();
    levels.retain(|level| matches!(look.lstat(format!("/etc/runlevels/{level}/{name}").as_ref()), Ok(Some(_))));
    levels
}

impl Services for OpenRc {
    fn name(&self) -> &'static str {
        "openrc"
    }

    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status> {
        if !ask::exists(look, format!("/etc/init.d/{name}")) {
            return Ok(Status::default());
        }
        let running = look.query(&Command::new(["rc-service", name, "status"]))?.ok();
        let enabled = !levels(look, name).is_empty();
        Ok(Status { available: true, running, enabled, ..Status::default() })
    }

    fn effects(&self, look: &dyn Look, action: Action, name: &str, _: Options) -> HostResult<Vec<Effect>> {
        let call = |verb: &str| exec(["rc-service", name, verb]);
        Ok(match action {
            Action::Start => vec![call("start")],
            Action::Stop => vec![call("stop")],
            Action::Restart => vec![call("restart")],
            Action::FullRestart => vec![call("stop"), call("start")],
            Action::Reload | Action::ForceReload => vec![call("reload")],
            Action::Enable => vec![exec(["rc-update", "add", name, "default"])],
            // `--all` fails for each run level that does not have it.
            Action::Disable => {
                levels(look, name).iter().map(|level| exec(["rc-update", "delete", name, level])).collect()
            }
            Action::Mask { .. } | Action::Unmask { .. } => return Err(unable(self.name(), action)),
        })
    }

    fn all(&self, look: &dyn Look) -> HostResult<Vec<String>> {
        look.list("/etc/init.d".as_ref())
    }
}
