//! `salt.function`

use super::shared::{self, Whom};
use corpus_core::{Call, Map, Observed, Plan, PlanCx, Settled, State, StateError, Value, python};
use serde::Deserialize;

/// Calls an execution function on minions, as a step of an orchestration.
///
/// ```sls
/// cmd.run:
///   salt.function:
///     - tgt: 'web*'
///     - arg:
///       - systemctl is-active nginx
/// ```
#[derive(Deserialize)]
pub struct Function {
    /// The function.
    pub name: String,
    /// Which minions.
    pub tgt: Value,
    /// How `tgt` is read: `glob`, `list`, `grain`, `pillar`, `compound`, `nodegroup`…
    pub tgt_type: Option<String>,
    /// Its positional arguments.
    pub arg: Option<Value>,
    /// Its named arguments.
    pub kwarg: Option<Value>,
    /// Without effect, as in Salt: nobody answering is always a failure.
    pub expect_minions: Option<bool>,
    /// Minions whose failure counts for nothing.
    pub fail_minions: Option<Value>,
    /// An execution function that is given each answer and tells whether it is good.
    pub fail_function: Option<String>,
    /// How many minions at a time: a number or a percentage.
    pub batch: Option<Value>,
    /// How many of the minions to take, at random.
    pub subset: Option<Value>,
    /// Accepted: SSH is how minions are reached.
    pub ssh: Option<Value>,
    /// Not built: the roster of the configuration is used.
    pub roster: Option<Value>,
    /// Without effect: `corpus_silence` limits how long a minion may be silent.
    pub timeout: Option<Value>,
    /// Without effect.
    pub failhard: Option<Value>,
    /// Not built: answers go to no returner.
    pub ret: Option<Value>,
}

impl Function {
    fn whom(&self) -> Whom {
        Whom {
            tgt: self.tgt.clone(),
            tgt_type: self.tgt_type.clone(),
            fail_minions: self.fail_minions.clone(),
            expect_minions: self.expect_minions,
            batch: self.batch.clone(),
            subset: self.subset.clone(),
        }
    }

    /// Salt asks `fail_function` whether an answer is good.
    fn accepts(&self, answer: &Value, cx: &PlanCx<'_>) -> Result<bool, StateError> {
        match &self.fail_function {
            Some(fun) => Ok(cx.caller.call(&Call::new(fun, vec![answer.clone()]))?.truthy()),
            None => Ok(true),
        }
    }
}

impl State for Function {
    const NAME: &'static str = "salt.function";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_orchestration(cx, Self::NAME)?;
        let mut plan = Plan::default();
        let arg = match &self.arg {
            None | Some(Value::Null) => vec![],
            Some(Value::List(items)) => items.to_vec(),
            Some(one) => {
                plan.warnings.push("Please specify 'arg' as a list of arguments.".into());
                python::str(one).split_whitespace().map(Value::str).collect()
            }
        };
        let kwarg = match &self.kwarg {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Map(map)) => (**map).clone(),
            Some(_) => return Err(StateError::failed("salt.function: `kwarg` is a mapping")),
        };
        let _ = shared::excused(&self.whom(), &mut plan);
        let (effect, predicts) = shared::step(shared::command(&self.whom(), &self.name, arg, kwarg));
        plan.push(effect, predicts);
        let target = match &self.tgt {
            Value::Str(text) => text.to_string(),
            other => python::str(other),
        };
        Ok(plan.says(format!("Function {} would be executed on target {target}", self.name), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let answers =
            seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { value.as_map() } else { None });
        let Some(answers) = answers.filter(|answers| !answers.is_empty()) else {
            return Ok(Settled { result: false, changes: Map::new(), comment: "No minions responded".into() });
        };
        let excused = shared::excused(&self.whom(), &mut Plan::default());
        let (mut changes, mut failed): (Map, Vec<String>) = (Map::new(), vec![]);
        for (id, answer) in answers {
            let (id, value) = (python::str(id), answer.get("ret").cloned().unwrap_or(Value::Bool(false)));
            let lost = answer.get("failed").is_some_and(Value::truthy);
            let good = !lost && value != Value::Bool(false) && self.accepts(&value, cx)?;
            // Salt: what a command left as its status is not excused.
            let bad = answer.get("retcode").is_some_and(Value::truthy) || (!good && !excused.contains(&id));
            if bad {
                failed.push(id.clone());
            }
            changes.insert(id, value);
        }
        let ran = changes.keys().map(python::str).collect::<Vec<_>>().join(", ");
        let comment = if failed.is_empty() {
            "Function ran successfully.".to_owned()
        } else {
            format!("Running function {} failed on minions: {}", self.name, failed.join(", "))
        };
        let changes = [("ret", Value::map(changes))].into_iter().collect();
        let comment = format!("{comment} Function {} ran on {ran}.", self.name);
        Ok(Settled { result: failed.is_empty(), changes, comment })
    }
}
