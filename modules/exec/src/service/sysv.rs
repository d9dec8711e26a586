//! System V: scripts in `/etc/init.d`, links in `/etc/rc?.d`.

use super::{Action, Options, Services, Status, exec, unable};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::Effect;

/// System V init scripts.
pub struct SysV;

/// Tells whether a start link leads to the script in any of the usual run levels.
pub fn linked(look: &dyn Look, name: &str) -> bool {
    ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d", "/etc/rcS.d"].iter().any(|folder| {
        look.list(folder.as_ref()).is_ok_and(|names| {
            names.iter().any(|link| {
                link.strip_prefix('S').and_then(|rest| rest.get(2..)) == Some(name)
                    && link.as_bytes()[1..3].iter().all(u8::is_ascii_digit)
            })
        })
    })
}

fn script(name: &str) -> String {
    format!("/etc/init.d/{name}")
}

impl Services for SysV {
    fn name(&self) -> &'static str {
        "sysv"
    }

    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status> {
        if !ask::exists(look, script(name)) {
            return Ok(Status::default());
        }
        let command = if look.which("service").is_some() {
            Command::new(["service", name, "status"])
        } else {
            Command::new([&script(name), "status"])
        };
        let running = look.query(&command)?.ok();
        Ok(Status { available: true, running, enabled: linked(look, name), ..Status::default() })
    }

    fn effects(&self, look: &dyn Look, action: Action, name: &str, _: Options) -> HostResult<Vec<Effect>> {
        let script = script(name);
        let call = |verb: &str| {
            if look.which("service").is_some() { exec(["service", name, verb]) } else { exec([&script, verb]) }
        };
        let redhat = look.which("update-rc.d").is_none() && look.which("chkconfig").is_some();
        Ok(match action {
            Action::Start => vec![call("start")],
            Action::Stop => vec![call("stop")],
            Action::Restart => vec![call("restart")],
            Action::FullRestart => vec![call("stop"), call("start")],
            Action::Reload => vec![call("reload")],
            Action::ForceReload => vec![call("force-reload")],
            Action::Enable if redhat => vec![exec(["chkconfig", name, "on"])],
            Action::Disable if redhat => vec![exec(["chkconfig", name, "off"])],
            // `defaults` makes missing links, `enable` turns stop links into start links.
            Action::Enable => vec![exec(["update-rc.d", name, "defaults"]), exec(["update-rc.d", name, "enable"])],
            Action::Disable => vec![exec(["update-rc.d", name, "disable"])],
            Action::Mask { .. } | Action::Unmask { .. } => return Err(unable(self.name(), action)),
        })
    }

    fn all(&self, look: &dyn Look) -> HostResult<Vec<String>> {
        Ok(look
            .list("/etc/init.d".as_ref())?
            .into_iter()
            .filter(|name| name != "README" && name != "skeleton")
            .collect())
    }
}
