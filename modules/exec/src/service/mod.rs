//! Services, behind one trait: systemd, OpenRC, runit and System V. Which one a machine has is seen from
//! what is there, without starting a program.

mod openrc;
mod runit;
mod systemd;
mod sysv;

use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use corpus_core::plan::{Effect, Prediction, Step};

pub use systemd::unit;

/// What a machine says about a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub available: bool,
    pub running: bool,
    pub enabled: bool,
    /// There is nothing to enable or disable: systemd's `static` units.
    pub fixed: bool,
    pub masked: bool,
    pub masked_runtime: bool,
    /// The service manager works from an older reading of the service's file.
    pub stale: bool,
}

/// What can be done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Start,
    Stop,
    Restart,
    Reload,
    ForceReload,
    FullRestart,
    Enable,
    Disable,
    Mask { runtime: bool },
    Unmask { runtime: bool },
}

/// How an action is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Do not wait for the job (systemd).
    pub no_block: bool,
}

/// A service manager.
pub trait Services: Sync {
    /// Names it as Salt's module does.
    fn name(&self) -> &'static str;
    /// Asks everything that states want to know about a service, with one program at most.
    fn status(&self, look: &dyn Look, name: &str) -> HostResult<Status>;
    /// Returns what performs an action; an error when this manager cannot do it.
    fn effects(&self, look: &dyn Look, action: Action, name: &str, options: Options) -> HostResult<Vec<Effect>>;
    /// Lists the services that are known.
    fn all(&self, look: &dyn Look) -> HostResult<Vec<String>>;
}

/// Returns the machine's service manager.
pub fn provider(look: &dyn Look) -> HostResult<&'static dyn Services> {
    if ask::is_dir(look, "/run/systemd/system") {
        Ok(&systemd::Systemd)
    } else if look.which("rc-service").is_some() {
        Ok(&openrc::OpenRc)
    } else if look.which("sv").is_some() && process(look, "runsvdir")?.is_some() {
        // Debian's `runit` package may lie there without supervising anything.
        Ok(&runit::Runit)
    } else if ask::is_dir(look, "/etc/init.d") {
        Ok(&sysv::SysV)
    } else {
        Err(HostError::io(
            "find a service manager (systemd, OpenRC, runit, /etc/init.d)",
            &std::io::ErrorKind::NotFound.into(),
        ))
    }
}

/// Returns a service's status as it is, or as earlier steps of a dry run will have left it. With `sig`, a
/// process with that text in its command line decides whether it runs.
pub fn status(look: &dyn Look, name: &str, sig: Option<&str>) -> HostResult<Status> {
    let mut status = provider(look)?.status(look, name)?;
    if let Some(sig) = sig {
        status.running = process(look, sig)?.is_some();
    }
    for (fact, field) in [
        ("running", &mut status.running),
        ("enabled", &mut status.enabled),
        ("masked", &mut status.masked),
        ("masked runtime", &mut status.masked_runtime),
    ] {
        if let Some(value) = look.predicted(&format!("service:{name}:{fact}")) {
            *field = value.truthy();
        }
    }
    Ok(status)
}

/// Finds a process by a text in its command line.
pub fn process(look: &dyn Look, sig: &str) -> HostResult<Option<u32>> {
    // A machine that shows no processes without a `/proc` has none to find.
    let names = match look.list("/proc".as_ref()) {
        Err(error) if error.is_missing() => return Ok(None),
        names => names?,
    };
    for name in names {
        let Ok(pid) = name.parse::<u32>() else { continue };
        // A process may be gone by the time it is read.
        if let Ok(line) = look.read(format!("/proc/{pid}/cmdline").as_ref()) {
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            if words.join(" ").contains(sig) {
                return Ok(Some(pid));
            }
        }
    }
    Ok(None)
}

/// Returns the steps that perform an action, with what it makes true.
pub fn steps(look: &dyn Look, action: Action, name: &str, options: Options) -> HostResult<Vec<Step>> {
    let effects = provider(look)?.effects(look, action, name, options)?;
    let fact = |what: &str, value: bool| Prediction::Fact(format!("service:{name}:{what}"), value.into());
    let mut predicts = match action {
        Action::Start | Action::Restart | Action::FullRestart => vec![fact("running", true)],
        Action::Stop => vec![fact("running", false)],
        Action::Enable => vec![fact("enabled", true)],
        Action::Disable => vec![fact("enabled", false)],
        Action::Mask { runtime: true } => vec![fact("masked runtime", true)],
        Action::Mask { runtime: false } => vec![fact("masked", true), fact("enabled", false)],
        Action::Unmask { runtime: true } => vec![fact("masked runtime", false)],
        Action::Unmask { runtime: false } => vec![fact("masked", false)],
        Action::Reload | Action::ForceReload => vec![],
    };
    let last = effects.len().saturating_sub(1);
    Ok(effects
        .into_iter()
        .enumerate()
        .map(|(at, effect)| {
            let predicts = if at == last { std::mem::take(&mut predicts) } else { vec![] };
            Step { effect, predicts, must_succeed: true }
        })
        .collect())
}

fn exec<const N: usize>(argv: [&str; N]) -> Effect {
    Effect::Exec(Command::new(argv))
}

fn unable(manager: &str, action: Action) -> HostError {
    HostError::other(format!("{action:?}"), format!("the service manager of this machine, {manager}, cannot do that"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    #[test]
    fn sees_which_manager_there_is() {
        type Prepare = fn(&Fake);
        let cases: [(&str, Prepare); 4] = [
            ("systemd", |fake| fake.add_dir("/run/systemd/system", 0o755)),
            ("openrc", |fake| fake.add_program("rc-service")),
            ("runit", |fake| {
                fake.add_program("sv");
                fake.add_file("/proc/9/cmdline", "runsvdir\0-P\0/etc/service\0", 0o444);
            }),
            ("sysv", |fake| fake.add_dir("/etc/init.d", 0o755)),
        ];
        for (name, prepare) in cases {
            let fake = Fake::new();
            prepare(&fake);
            assert_eq!(provider(&fake).expect("there is one").name(), name);
        }
        assert!(provider(&Fake::new()).is_err_and(|error| error.is_missing()));
    }

    #[test]
    fn reads_one_answer_of_systemctl() {
        let show = "systemctl show -p LoadState,ActiveState,UnitFileState,NeedDaemonReload ssh.service";
        for (answer, expected) in [
            ("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", (true, true, true, false)),
            ("LoadState=loaded\nActiveState=inactive\nUnitFileState=static\n", (true, false, true, false)),
            ("LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n", (true, false, false, false)),
            ("LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n", (true, false, false, true)),
            ("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n", (false, false, false, false)),
        ] {
            let fake = Fake::new();
            fake.add_dir("/run/systemd/system", 0o755);
            fake.answer(show, 0, answer);
            if answer.contains("masked") {
                fake.add_link("/etc/systemd/system/ssh.service", "/dev/null");
            }
            let s = status(&fake, "ssh", None).expect("answered");
            assert_eq!((s.available, s.running, s.enabled, s.masked), expected, "{answer}");
        }
    }

    #[test]
    fn reads_links_of_system_v() {
        let fake = Fake::new();
        fake.add_file("/etc/init.d/nginx", "", 0o755);
        fake.add_link("/etc/rc2.d/S01nginx", "../init.d/nginx");
        fake.answer("service nginx status", 0, "nginx is running.");
        let s = status(&fake, "nginx", None).expect("answered");
        assert_eq!((s.available, s.running, s.enabled), (true, true, true));
        assert!(!status(&fake, "apache2", None).expect("answered").available);
    }

    #[test]
    fn reads_what_sv_says() {
        let fake = Fake::new();
        fake.add_dir("/etc/sv/cron", 0o755);
        fake.add_file("/proc/9/cmdline", "runsvdir\0-P\0/etc/service\0", 0o444);
        fake.add_dir("/etc/service", 0o755);
        fake.answer("sv status /etc/service/cron", 0, "run: /etc/service/cron: (pid 12) 40s\n");
        let s = status(&fake, "cron", None).expect("answered");
        assert_eq!((s.available, s.running, s.enabled), (true, false, false));
        fake.add_link("/etc/service/cron", "/etc/sv/cron");
        let s = status(&fake, "cron", None).expect("answered");
        assert_eq!((s.available, s.running, s.enabled), (true, true, true));
    }
}
