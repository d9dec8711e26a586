//! What `grains.*` share: the grains as earlier states of the run left them, and the file that keeps them.

use corpus_core::{Map, Plan, PlanCx, StateError, Value};
use corpus_exec::fns::grains;

/// Where a grain is.
pub struct Place<'a> {
    /// Salt: whatever the delimiter is, the name is shown with colons.
    pub name: String,
    path: Vec<&'a str>,
    pub all: Value,
}

impl<'a> Place<'a> {
    /// Reads the grains and finds the place in them.
    pub fn of(cx: &PlanCx<'_>, name: &'a str, delimiter: &str) -> Result<Self, StateError> {
        let path: Vec<&str> = if delimiter.is_empty() { vec![name] } else { name.split(delimiter).collect() };
        let path: Vec<&str> = path.into_iter().flat_map(|part| part.split(':')).collect();
        Ok(Self { name: path.join(":"), path, all: grains::current(cx.host, cx.data)? })
    }

    /// Returns the grain; `None` if there is none.
    pub fn value(&self) -> Option<Value> {
        self.path.iter().try_fold(self.all.clone(), |at, key| at.get(key).cloned())
    }

    /// Adds the effects that set the grain, or that remove it.
    pub fn set(&self, cx: &PlanCx<'_>, value: Option<Value>, plan: &mut Plan) -> Result<(), StateError> {
        let top = self.path.first().copied().unwrap_or_default();
        let gone = value.is_none() && self.path.len() == 1;
        let below = self.all.get(top).cloned().unwrap_or_default();
        let changed = if gone { Value::Null } else { grains::placed(&below, &self.path[1..], value) };
        let changes: Map = [(top, changed)].into_iter().collect();
        for effect in grains::storing(cx.host, &changes, gone)? {
            plan.push(effect, vec![]);
        }
        Ok(())
    }
}

/// Salt's default delimiter.
pub fn colon() -> String {
    ":".into()
}
