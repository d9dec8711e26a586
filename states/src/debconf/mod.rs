//! What `debconf.*` share: which answers differ, and the step that sets them.

use corpus_core::{Plan, PlanCx, Prediction, StateError, Value, digest};
use corpus_exec::fns::debconf::{self, Answer};

fn fact(answer: &Answer) -> String {
    format!("debconf:{}:{}", answer.package, answer.question)
}

/// What a fact says of an answer: not the answer itself, which may be a secret.
fn told(answer: &Answer) -> Value {
    digest::hex(&digest::sha256(format!("{} {}", answer.kind, answer.value).as_bytes())).into()
}

/// Returns the answers that this machine does not have yet.
pub fn missing(cx: &PlanCx<'_>, wanted: &[Answer]) -> Result<Vec<Answer>, StateError> {
    cx.program("debconf-get-selections", "debconf-utils")?;
    let have = debconf::answers(cx.host)?;
    let there = |answer: &Answer| match cx.host.predicted(&fact(answer)) {
        Some(value) => value == told(answer),
        None => have.contains(answer),
    };
    Ok(wanted.iter().filter(|answer| !there(answer)).cloned().collect())
}

/// Adds the step that sets answers, and what they change.
pub fn set(mut plan: Plan, answers: &[Answer]) -> Plan {
    let predicts = answers.iter().map(|answer| Prediction::Fact(fact(answer), told(answer)));
    plan.exec(debconf::set(answers), predicts.collect());
    for answer in answers {
        let shown = if answer.secret() { "(password hidden)" } else { &answer.value };
        plan.changes.insert(answer.question.as_str(), shown);
    }
    plan
}
