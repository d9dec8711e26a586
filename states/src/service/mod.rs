//! What `service.*` share: the plan that brings a service where it should be, in Salt's words.

use corpus_core::plan::{Effect, Observed, Plan, Settled};
use corpus_core::{Command, Map, PlanCx, StateError};
use corpus_exec::service::{self, Action, Options, Status};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Want<'a> {
    pub name: &'a str,
    pub running: Option<bool>,
    pub enable: Option<bool>,
    pub sig: Option<&'a str>,
    pub init_delay: Option<u64>,
    pub unmask: bool,
    pub unmask_runtime: bool,
    pub options: Options,
}

/// Returns a service's status; an error when there is no such service.
pub fn status(cx: &PlanCx<'_>, name: &str, sig: Option<&str>) -> Result<Option<Status>, StateError> {
    let status = service::status(cx.host, name, sig)
        .map_err(|error| if error.is_missing() { StateError::missing(error.to_string()) } else { error.into() })?;
    Ok(status.available.then_some(status))
}

/// Returns the error for a service that does not exist, which a package may still bring.
pub fn unavailable(name: &str) -> StateError {
    StateError::missing(format!("The named service {name} is not available"))
}

/// Plans both whether a service runs and whether it starts at boot.
pub fn plan(cx: &PlanCx<'_>, want: &Want<'_>) -> Result<Plan, StateError> {
    let name = want.name;
    let Some(status) = status(cx, name, want.sig)? else {
        // Salt: what is not there is dead and disabled.
        return match (want.running, want.enable) {
            (Some(false), Some(true)) | (Some(true), _) | (None, Some(true)) => Err(unavailable(name)),
            _ => Ok(Plan::unchanged(format!("The named service {name} is not available"))),
        };
    };
    let mut plan = Plan::default();
    let mut steps = |action: Action| -> Result<(), StateError> {
        plan.steps.extend(service::steps(cx.host, action, name, want.options)?);
        Ok(())
    };
    let (mut would, mut did) = (String::new(), String::new());
    // Salt judges one of the two masks.
    let mask = if want.unmask_runtime { status.masked_runtime } else { status.masked };
    let word = if want.unmask_runtime { "runtime unmasked" } else { "unmasked" };
    let unmask = want.unmask && mask;
    if unmask {
        steps(Action::Unmask { runtime: want.unmask_runtime })?;
    }
    let line = |verb: &str| if want.unmask { format!("\nService {name} {verb} {word}") } else { String::new() };
    let turn = want.running.filter(|running| *running != status.running);
    let toggle = want.enable.filter(|enable| *enable != status.enabled && !status.fixed);
    if let Some(running) = turn {
        steps(if running { Action::Start } else { Action::Stop })?;
        would = format!("Service {name} is set to {}", if running { "start" } else { "be killed" });
        did = if running { format!("Started service {name}") } else { format!("Service {name} was killed") };
        plan.changes.insert(name, running);
    }
    let after = turn.map(|_| want.running == Some(true));
    let phrase = match (turn.is_some(), after) {
        (false, _) => "is in the desired state",
        (true, Some(true)) => "is running",
        _ => "is dead",
    };
    if let Some(enable) = toggle {
        plan.steps.extend(service::steps(
            cx.host,
            if enable { Action::Enable } else { Action::Disable },
            name,
            want.options,
        )?);
        let word = if enable { "enabled" } else { "disabled" };
        if would.is_empty() {
            would = format!("Service {name} set to be {word}");
        }
        did = format!("Service {name} has been {word}, and {phrase}");
        plan.changes.insert(name, true);
    } else if let (Some(enable), true) = (want.enable, turn.is_some()) {
        did = format!("Service {name} is already {}, and {phrase}", if enable { "enabled" } else { "disabled" });
    }
    plan.unchanged = match (want.running, want.enable) {
        (Some(true), _) => format!("The service {name} is already running"),
        (Some(false), _) => format!("The service {name} is already dead"),
        (None, Some(false)) => format!("Service {name} is already disabled, and is in the desired state"),
        (None, _) => format!("Service {name} is already enabled, and is in the desired state"),
    };
    if unmask && plan.changes.is_empty() {
        plan.changes.insert(name, "unmasked");
        would = format!("Service {name} would be {word}");
        did = format!("Service {name} was {word}");
    } else {
        plan.unchanged += &line("was already");
        would += &line(if unmask { "would be" } else { "was already" });
    }
    if let (Some(seconds), Some(_)) = (want.init_delay, turn) {
        plan.steps.push(delay(seconds));
        did += &format!("\nDelayed return for {seconds} seconds");
    }
    if turn.is_some() {
        did += &line(if unmask { "was" } else { "was already" });
    }
    Ok(plan.says(would, did))
}

fn delay(seconds: u64) -> corpus_core::Step {
    corpus_core::Step {
        effect: Effect::Exec(Command::new(["sleep", &seconds.to_string()])),
        predicts: vec![],
        must_succeed: false,
    }
}

/// Judges: every program must have succeeded, and the service must be where it should be.
pub fn settle(cx: &PlanCx<'_>, plan: &Plan, seen: &[Observed], want: &Want<'_>) -> Result<Settled, StateError> {
    let mut settled = Settled::as_planned(plan);
    if plan.steps.is_empty() {
        return Ok(settled);
    }
    let name = want.name;
    let failure = seen.iter().filter_map(Observed::output).find(|output| !output.ok());
    let now = service::status(cx.host, name, want.sig)?;
    let wrong_run = want.running.is_some_and(|running| running != now.running);
    let wrong_boot = want.enable.is_some_and(|enable| enable != now.enabled && !now.fixed);
    if !wrong_run && !wrong_boot && failure.is_none() {
        return Ok(settled);
    }
    settled.result = false;
    let turned = plan.steps.len() > 1 || wrong_run;
    let boot = |enable: bool| {
        let not = if enable { "" } else { "not " };
        let state = match (turned, want.running) {
            (true, Some(true)) if enable => ", but the service is running",
            (true, Some(true)) => ", and is running",
            (true, Some(false)) => ", and the service is dead",
            _ => ", but the service was already running",
        };
        format!("Failed when setting service {name} to {not}start at boot{state}")
    };
    let what = match (wrong_run, want.running, want.enable) {
        // systemd's refusal is the whole comment, in Salt too.
        (true, Some(true), _) if failure.is_some() && service::provider(cx.host)?.name() == "systemd" => String::new(),
        (true, Some(true), _) => format!("Service {name} failed to start"),
        (true, ..) => format!("Service {name} failed to die"),
        (false, _, Some(enable)) if wrong_boot => boot(enable),
        _ => format!("The service manager reported a failure for service {name}"),
    };
    settled.comment = match failure.map(corpus_exec::ask::said) {
        Some(said) if what.is_empty() => said,
        Some(said) => format!("{what}. Additional information follows:\n\n{said}"),
        None => what,
    };
    if wrong_run || !turned {
        settled.changes.remove(name);
    }
    Ok(settled)
}

/// Plans what a watched change asks for: Salt's `mod_watch`.
pub fn watch(cx: &PlanCx<'_>, want: &Want<'_>, action: Action) -> Result<Plan, StateError> {
    let name = want.name;
    let status = status(cx, name, want.sig)?.ok_or_else(|| unavailable(name))?;
    let systemd = service::provider(cx.host)?.name() == "systemd";
    let (action, verb, participle) = match (want.running, status.running) {
        (Some(false), false) => return Ok(Plan::unchanged("Service is already stopped")),
        (Some(false), true) => (Action::Stop, "stop", "stopped"),
        (_, false) => (Action::Start, "start", "started"),
        (_, true) => match action {
            Action::Reload => (action, "reload", "reloaded"),
            Action::ForceReload => (action, "forcefully reload", "forcefully reloaded"),
            // Salt: only some service managers know a full restart.
            Action::FullRestart if !systemd => (action, "fully restart", "fully restarted"),
            _ => (Action::Restart, "restart", "restarted"),
        },
    };
    let mut plan = Plan::default()
        .says(format!("Service is set to be {participle}"), format!("Service {participle}"))
        .change(name, true);
    plan.memo = if systemd && action != Action::Stop { "" } else { verb }.into();
    plan.steps = service::steps(cx.host, action, name, want.options)?;
    if let Some(seconds) = want.init_delay {
        plan.steps.push(delay(seconds));
    }
    for step in &mut plan.steps {
        step.must_succeed = false;
    }
    Ok(plan)
}

/// Judges a watched change by its programs alone; `None` if the plan was not one.
pub fn settle_watch(plan: &Plan, seen: &[Observed]) -> Option<Settled> {
    let verb = plan.memo.as_str()?;
    let mut settled = Settled::as_planned(plan);
    if let Some(output) = seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        settled.result = false;
        let said = corpus_exec::ask::said(output);
        // systemd's refusal is the whole comment, in Salt too.
        (settled.changes, settled.comment) = match verb {
            "" => (Map::new(), said),
            _ => {
                let changes = plan.changes.keys().map(|key| (key.clone(), false)).collect();
                (changes, format!("Failed to {verb} the service\n{said}"))
            }
        };
    }
    Some(settled)
}

/// Says in Salt's words that a mask could not be put on or taken off.
pub fn settle_mask(plan: &Plan, seen: &[Observed], verb: &str, name: &str) -> Result<Settled, StateError> {
    let mut settled = Settled::as_planned(plan);
    if let Some(output) = seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        let said = corpus_exec::ask::said(output);
        settled = Settled {
            result: false,
            changes: Map::new(),
            comment: format!("Failed to {verb} service '{name}'. Additional info follows:\n\n{said}"),
        };
    }
    Ok(settled)
}
