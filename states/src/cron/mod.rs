//! What `cron.*` share: reading a crontab, and the plan that writes it back.

use corpus_core::{Plan, PlanCx, StateError};
use corpus_exec::cron::{self, Outcome, Tab};

/// Reads a crontab; the user must exist.
pub fn read(cx: &PlanCx<'_>, user: &str) -> Result<Tab, StateError> {
    if cx.host.user(user)?.is_none() {
        return Err(StateError::missing(format!("User {user} is not present, so it has no crontab")));
    }
    cron::read(cx.host, user).map_err(|error| {
        if error.is_missing() {
            StateError::missing("The program `crontab` is not on this machine; install cron first (a `pkg.installed`)")
        } else {
            error.into()
        }
    })
}

/// Returns the plan for what was done to the crontab; `what` is `Cron x` or `Cron env x`.
pub fn plan(what: &str, name: &str, user: &str, tab: &Tab, outcome: Outcome, test: bool) -> Plan {
    if !outcome.changed() {
        // Salt: a dry run says `is absent`, a real one `already absent`.
        let how = match (outcome, test) {
            (Outcome::Present, _) => "already present",
            (_, true) => "is absent",
            (_, false) => "already absent",
        };
        return Plan::unchanged(format!("{what} {name} {how}"));
    }
    let (would, did) = match outcome {
        Outcome::New => ("is set to be added", format!("added to {user}'s crontab")),
        Outcome::Updated => ("is set to be updated", "updated".to_owned()),
        _ => ("is set to be removed", format!("removed from {user}'s crontab")),
    };
    let mut plan =
        Plan::default().says(format!("{what} {name} {would}"), format!("{what} {name} {did}")).change(user, name);
    plan.steps.push(cron::write(user, &tab.write()));
    plan
}
