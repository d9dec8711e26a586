//! `salt.state`

use super::shared::{self, Whom};
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, StateError, Value, python};
use serde::Deserialize;

/// Runs states on minions, as a step of an orchestration. A dry run asks the minions what they would change.
///
/// ```sls
/// web servers:
///   salt.state:
///     - tgt: 'web*'
///     - sls:
///       - nginx
///       - app
/// ```
#[derive(Deserialize)]
pub struct State {
    /// A name for the step.
    pub name: Value,
    /// Which minions.
    pub tgt: Value,
    /// How `tgt` is read: `glob`, `list`, `grain`, `pillar`, `compound`, `nodegroup`…
    pub tgt_type: Option<String>,
    /// Converge the minions to what their top file gives them.
    pub highstate: Option<Value>,
    /// The SLS files to apply.
    pub sls: Option<Value>,
    /// Not built: a top file for the occasion.
    pub top: Option<Value>,
    /// The environment of the SLS files.
    pub saltenv: Option<Value>,
    /// A dry run on the minions. In a dry run of the orchestration everything is one, whatever stands here.
    pub test: Option<bool>,
    /// What to lay over the minions' pillar.
    pub pillar: Option<Value>,
    /// The environment of the pillar.
    pub pillarenv: Option<Value>,
    /// Fail if nobody is meant. True unless said otherwise.
    pub expect_minions: Option<bool>,
    /// SLS files and IDs to leave out.
    pub exclude: Option<Value>,
    /// Minions whose failure counts for nothing.
    pub fail_minions: Option<Value>,
    /// How many minions may fail.
    pub allow_fail: Option<Value>,
    /// Wait for a run that is under way on a minion.
    pub queue: Option<Value>,
    /// How many minions at a time: a number or a percentage.
    pub batch: Option<Value>,
    /// How many of the minions to take, at random.
    pub subset: Option<Value>,
    /// Stop a minion's run at its first failure.
    pub failhard: Option<Value>,
    /// Accepted: SSH is how minions are reached.
    pub ssh: Option<Value>,
    /// Not built: the roster of the configuration is used.
    pub roster: Option<Value>,
    /// Without effect: a minion takes one run at a time.
    pub concurrent: Option<Value>,
    /// Without effect: `corpus_silence` limits how long a minion may be silent.
    pub timeout: Option<Value>,
    /// Not built: answers go to no returner.
    pub ret: Option<Value>,
}

impl State {
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

    /// Reads what is to be run: the function and its arguments.
    fn run(&self) -> Result<(&'static str, Vec<Value>), StateError> {
        if self.highstate.as_ref().is_some_and(Value::truthy) {
            return Ok(("state.highstate", vec![]));
        }
        if self.top.is_some() {
            return Err(StateError::failed("salt.state: `top` is not built; name the SLS files in `sls`"));
        }
        match &self.sls {
            Some(Value::List(names)) => {
                let names: Vec<String> = names.iter().map(python::str).collect();
                Ok(("state.sls", vec![names.join(",").into()]))
            }
            Some(names) if names.truthy() => Ok(("state.sls", vec![names.clone()])),
            _ => Err(StateError::failed("No highstate or sls specified, no execution made")),
        }
    }

    fn allowed(&self) -> Result<i64, StateError> {
        let Some(value) = &self.allow_fail else { return Ok(0) };
        let number = value.as_int().or_else(|| python::str(value).trim().parse().ok());
        number.ok_or_else(|| StateError::failed("Passed invalid value for 'allow_fail', must be an int"))
    }

    fn judged(&self, answers: &Value) -> Result<Settled, StateError> {
        let allowed = self.allowed()?;
        let excused = shared::excused(&self.whom(), &mut Plan::default());
        let empty = Map::new();
        let answers = answers.as_map().unwrap_or(&empty);
        if answers.is_empty() && self.expect_minions != Some(false) {
            return Ok(Settled { result: false, changes: Map::new(), comment: "No minions returned".into() });
        }
        let (mut changes, mut failed, mut told, mut unchanged) = (Map::new(), vec![], vec![], vec![]);
        for (id, answer) in answers {
            let (id, value) = (python::str(id), answer.get("ret"));
            let good = !answer.get("failed").is_some_and(Value::truthy) && value.is_some_and(good);
            if !good {
                let shown = value.cloned().unwrap_or(Value::Bool(false));
                if !excused.contains(&id) {
                    told.extend(detail(&id, value));
                    failed.push(id.clone());
                }
                changes.insert(id, shown);
                continue;
            }
            let records = value.and_then(Value::as_map).into_iter().flat_map(Map::values);
            let changed = records.filter_map(|record| record.get("changes")).any(Value::truthy);
            match value {
                Some(value) if changed => changes.insert(id, value.clone()),
                _ => {
                    unchanged.push(id);
                    None
                }
            };
        }
        let names = |map: &Map| map.keys().map(python::str).collect::<Vec<_>>().join(", ");
        let result = i64::try_from(failed.len()).is_ok_and(|failed| failed <= allowed);
        let comment = if result {
            let mut comment = "States ran successfully.".to_owned();
            if !changes.is_empty() {
                comment += &format!(" Updating {}.", names(&changes));
            }
            if !unchanged.is_empty() {
                comment += &format!(" No changes made to {}.", unchanged.join(", "));
            }
            comment
        } else {
            told.insert(0, format!("Run failed on minions: {}", failed.join(", ")));
            told.join("\n")
        };
        let changes = match changes.is_empty() {
            true => Map::new(),
            false => [("out", Value::str("highstate")), ("ret", Value::map(changes))].into_iter().collect(),
        };
        Ok(Settled { result, changes, comment })
    }
}

/// Salt's `check_result`: no record says that it failed.
fn good(answer: &Value) -> bool {
    match answer {
        Value::Map(records) => {
            !records.is_empty() && records.values().all(|record| record.get("result") != Some(&Value::Bool(false)))
        }
        _ => false,
    }
}

/// Says what came instead of records.
fn detail(id: &str, answer: Option<&Value>) -> Option<String> {
    match answer {
        None => Some(format!("Minion {id} did not return a state result.")),
        Some(Value::Map(_)) => None,
        Some(Value::List(errors)) if errors.is_empty() => Some(format!("Minion {id} returned an empty error list.")),
        Some(Value::List(errors)) => {
            let errors: Vec<String> = errors.iter().map(python::str).collect();
            Some(format!("Minion {id} returned errors: {}", errors.join("; ")))
        }
        Some(other) => Some(format!("Minion {id} returned {} instead of a state result.", python::repr(other))),
    }
}

impl corpus_core::State for State {
    const NAME: &'static str = "salt.state";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_orchestration(cx, Self::NAME)?;
        let (fun, arg) = self.run()?;
        let mut kwarg = Map::new();
        let given = [
            ("pillar", &self.pillar),
            ("pillarenv", &self.pillarenv),
            ("saltenv", &self.saltenv),
            ("exclude", &self.exclude),
            ("queue", &self.queue),
            ("failhard", &self.failhard),
        ];
        for (key, value) in given {
            if let Some(value) = value.as_ref().filter(|value| !value.is_null()) {
                kwarg.insert(key, value.clone());
            }
        }
        if let Some(test) = self.test {
            kwarg.insert("test", test);
        }
        let mut plan = Plan::default();
        self.allowed()?;
        let _ = shared::excused(&self.whom(), &mut plan);
        let (effect, predicts) = shared::step(shared::command(&self.whom(), fun, arg.clone(), kwarg.clone()));
        plan.push(effect, predicts);
        kwarg.insert("test", true);
        plan.rehearsal = Some(shared::step(shared::command(&self.whom(), fun, arg, kwarg)).0);
        Ok(plan)
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let answers =
            seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None });
        self.judged(answers.unwrap_or(&Value::Null))
    }
}
