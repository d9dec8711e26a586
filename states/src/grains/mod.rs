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

    /// Returns what stands in the way: a value on the path that holds nothing, with its name and the next one.
    pub fn obstacle(&self) -> Option<(&'a str, Value, &'a str)> {
        let mut at = self.all.clone();
        for pair in self.path.windows(2) {
            at = at.get(pair[0]).cloned()?;
            if !matches!(at, Value::Map(_) | Value::Null) {
                return Some((pair[0], at, pair[1]));
            }
        }
        None
    }

    /// Returns the topmost grain as it will be.
    pub fn changes(&self, value: Option<Value>) -> Map {
        let top = self.path.first().copied().unwrap_or_default();
        let gone = value.is_none() && self.path.len() == 1;
        let below = self.all.get(top).cloned().unwrap_or_default();
        let changed = if gone { Value::Null } else { grains::placed(&below, &self.path[1..], value) };
        [(top, changed)].into_iter().collect()
    }

    /// Adds the effects that set the grain, or that remove it.
    pub fn set(&self, cx: &PlanCx<'_>, value: Option<Value>, plan: &mut Plan) -> Result<(), StateError> {
        let gone = value.is_none() && self.path.len() == 1;
        let changes = self.changes(value);
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
