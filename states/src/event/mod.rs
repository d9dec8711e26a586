//! What `event.*` share: what goes with an event.

use corpus_core::{Effect, Map, Plan, PlanCx, Settled, StateError, Value};

/// What an event carries.
pub struct Event<'a> {
    pub tag: &'a str,
    pub data: Option<&'a Value>,
    pub preload: Option<&'a Value>,
    pub with_env: bool,
    pub with_grains: &'a Value,
    pub with_pillar: &'a Value,
    pub show_changed: bool,
}

impl Event<'_> {
    /// Plans to fire it. Nothing changes on the machine; the change is that it was fired.
    pub fn plan(&self) -> Plan {
        let plan = Plan::default().says("Event would have been fired", "Event fired");
        if self.show_changed {
            plan.change("tag", self.tag).change("data", self.data.cloned().unwrap_or_default())
        } else {
            // Nothing to show is not nothing to do: a step keeps the plan from being empty.
            plan.step(Effect::Call { fun: "test.true".into(), args: vec![], kwargs: vec![] })
        }
    }

    /// Fires it.
    pub fn fire(&self, plan: &Plan, cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut body = Map::new();
        for extra in [self.preload, self.data].into_iter().flatten() {
            for (key, value) in extra.as_map().into_iter().flatten() {
                body.0.insert(key.clone(), value.clone());
            }
        }
        if self.with_env {
            let env = cx.caller.call(&corpus_core::Call::new("environ.items", vec![]))?;
            body.insert("environ", env);
        }
        for (key, asked, all) in
            [("grains", self.with_grains, &cx.data.grains), ("pillar", self.with_pillar, &cx.data.pillar)]
        {
            if let Some(picked) = picked(asked, all) {
                body.insert(key, picked);
            }
        }
        cx.source.fire(self.tag, &body.into())?;
        let comment = "Event fired".to_owned();
        Ok(Settled { result: true, changes: plan.changes.clone(), comment })
    }
}

/// Salt: `True` takes all, a list takes the keys that it names.
fn picked(asked: &Value, all: &Value) -> Option<Value> {
    match asked {
        Value::List(keys) => {
            let all = all.as_map()?;
            Some(keys.iter().filter_map(|key| Some((key.clone(), all.get_value(key)?.clone()))).collect::<Map>().into())
        }
        other if other.truthy() => Some(all.clone()),
        _ => None,
    }
}
