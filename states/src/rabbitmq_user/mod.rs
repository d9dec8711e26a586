//! What all of `rabbitmq_*` share: the program, and the verdict on what it said.

use corpus_core::host::HostError;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Map, Plan, PlanCx, Prediction, StateError};
use corpus_exec::fns::rabbitmq;

/// Serde's default for `vhost`.
pub fn root() -> String {
    "/".into()
}

/// Refuses to go on without RabbitMQ.
pub fn known(cx: &PlanCx<'_>) -> Result<(), StateError> {
    cx.program("rabbitmqctl", "rabbitmq-server")
}

/// Turns a refusal into the state's error, in Salt's words.
pub fn refused(error: HostError) -> StateError {
    let text = format!("Error: {}", error.why);
    if error.is_missing() { StateError::missing(text) } else { StateError::failed(text) }
}

/// Adds a step as a user of the system.
pub fn step(plan: &mut Plan, mut command: Command, runas: Option<&String>, predicts: Vec<Prediction>) {
    command.runas = runas.cloned();
    plan.exec(command, predicts);
}

/// Judges the steps; without words of its own the plan says what the program said.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let outputs: Vec<_> = seen.iter().filter_map(Observed::output).collect();
    if let Some(output) = outputs.iter().find(|output| !output.ok()) {
        let comment = format!("Error: {}", rabbitmq::failure(output));
        return Settled { result: false, changes: Map::new(), comment };
    }
    let mut settled = Settled::as_planned(plan);
    if settled.comment.is_empty()
        && let Some(output) = outputs.last()
    {
        settled.comment = output.stdout_text().trim().to_owned();
    }
    settled
}
