//! What `service.*` share: the plan that brings a service where it should be, in Salt's words.

use corpus_core::plan::{Effect, Observed, Plan, Settled};
use corpus_core::{Command, PlanCx, StateError};
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
    let (mut would, mut did, mut unmasked) = (String::new(), String::new(), String::new());
    if want.unmask && (status.masked || (want.unmask_runtime && status.masked_runtime)) {
        steps(Action::Unmask { runtime: want.unmask_runtime && status.masked_runtime })?;
        unmasked = format!("\nService {name} was unmasked");
    }
    let turn = want.running.filter(|running| *running != status.running);
    let toggle = want.enable.filter(|enable| *enable != status.enabled);
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
    if !unmasked.is_empty() && plan.changes.is_empty() {
        plan.changes.insert(name, "unmasked");
        would = format!("Service {name} would be unmasked");
        did = unmasked.trim_start().to_owned();
    } else {
        did += &unmasked;
    }
    if let (Some(seconds), Some(_)) = (want.init_delay, turn) {
        plan.steps.push(delay(seconds));
        did += &format!("\nDelayed return for {seconds} seconds");
    }
    // A service manager's refusal is told in Salt's words by `settle`.
    for step in &mut plan.steps {
        step.must_succeed = false;
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
    let wrong_boot = want.enable.is_some_and(|enable| enable != now.enabled);
    if !wrong_run && !wrong_boot && failure.is_none() {
        return Ok(settled);
    }
    settled.result = false;
    let what = match (wrong_run, want.running, want.enable) {
        (true, Some(true), _) => format!("Service {name} failed to start"),
        (true, ..) => format!("Service {name} failed to die"),
        (false, _, Some(false)) => format!("Failed when setting service {name} to not start at boot"),
        (false, _, Some(true)) if wrong_boot => format!("Failed when setting service {name} to start at boot"),
        _ => format!("The service manager reported a failure for service {name}"),
    };
    settled.comment = match failure {
        Some(output) => format!("{what}. Additional information follows:\n\n{}", corpus_exec::ask::said(output)),
        None => what,
    };
    if wrong_run {
        settled.changes.remove(name);
    }
    Ok(settled)
}

/// Plans what a watched change asks for: Salt's `mod_watch`.
pub fn watch(cx: &PlanCx<'_>, want: &Want<'_>, action: Action) -> Result<Plan, StateError> {
    let name = want.name;
    let status = status(cx, name, want.sig)?.ok_or_else(|| unavailable(name))?;
    let (action, verb, participle) = match (want.running, status.running) {
        (Some(false), false) => return Ok(Plan::unchanged("Service is already stopped")),
        (Some(false), true) => (Action::Stop, "stop", "stopped"),
        (_, false) => (Action::Start, "start", "started"),
        (_, true) => match action {
            Action::Reload => (action, "reload", "reloaded"),
            Action::ForceReload => (action, "forcefully reload", "forcefully reloaded"),
            Action::FullRestart => (action, "fully restart", "fully restarted"),
            _ => (Action::Restart, "restart", "restarted"),
        },
    };
    let mut plan = Plan::default()
        .says(format!("Service is set to be {participle}"), format!("Service {participle}"))
        .change(name, true);
    plan.memo = verb.into();
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
        settled.changes = plan.changes.keys().map(|key| (key.clone(), false)).collect();
        settled.comment = format!("Failed to {verb} the service\n{}", corpus_exec::ask::said(output));
    }
    Some(settled)
}
