//! `selinux.boolean`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps booleans of SELinux on or off.
///
/// ```sls
/// httpd_can_network_connect:
///   selinux.boolean:
///     - value: True
///     - persist: True
/// ```
#[derive(Deserialize)]
pub struct Boolean {
    /// The boolean, unless `booleans` lists several.
    pub name: String,
    /// On or off.
    #[serde(default)]
    pub value: Value,
    /// Several booleans: names, or mappings of names to values.
    #[serde(default)]
    pub booleans: Value,
    /// After a reboot, too.
    #[serde(default)]
    pub persist: bool,
}

impl Boolean {
    fn wanted(&self) -> Vec<(String, Value)> {
        let of = |map: &Map| map.iter().map(|(name, value)| (python::str(name), value.clone())).collect::<Vec<_>>();
        match &self.booleans {
            booleans if !booleans.truthy() => vec![(self.name.clone(), self.value.clone())],
            Value::Map(map) => of(map),
            Value::List(items) => items
                .iter()
                .flat_map(|item| item.as_map().map_or_else(|| vec![(python::str(item), self.value.clone())], of))
                .collect(),
            one => vec![(python::str(one), self.value.clone())],
        }
    }
}

impl State for Boolean {
    const NAME: &'static str = "selinux.boolean";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::tools(cx)?;
        let all = selinux::booleans(cx.host)?;
        let (mut correct, mut change, mut changes) = (vec![], vec![], Map::new());
        for (name, value) in self.wanted() {
            let Some((_, have)) = all.iter().find(|(known, _)| *known == name) else {
                return Err(StateError::missing(format!("Boolean {name} is not available")));
            };
            let Some(want) = selinux::refined(&value) else {
                let value = python::str(&value);
                return Err(StateError::failed(format!("{value} is not a valid value for the boolean {name}")));
            };
            let known = |what: &str, have: &str| {
                cx.host.predicted(&fact(&name, what)).map_or_else(|| have.to_owned(), |value| python::str(&value))
            };
            let (state, default) = (known("state", &have.state), known("default", &have.default));
            if state == want && (default == want || !self.persist) {
                correct.push(name);
                continue;
            }
            let shown = |state: &str, default: &str| -> Value {
                if self.persist { Value::from(vec![state, default]) } else { state.into() }
            };
            let pair = [("old", shown(&state, &default)), ("new", shown(want, want))];
            changes.insert(name.as_str(), pair.into_iter().collect::<Map>());
            change.push((name, want.to_owned()));
        }
        correct.sort();
        let already = match correct.as_slice() {
            [] => String::new(),
            names => format!("The following booleans were in the correct state: {}", names.join(", ")),
        };
        if change.is_empty() {
            return Ok(Plan::unchanged(already));
        }
        let mut names: Vec<&str> = change.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let say =
            |words: &str| format!("{already}\nThe following booleans {words}: {}", names.join(", ")).trim().to_owned();
        let mut plan = Plan::default().says(say("would be changed"), say("have been changed"));
        plan.changes = changes;
        let whats: &[&str] = if self.persist { &["state", "default"] } else { &["state"] };
        let predicts = change.iter().flat_map(|(name, value)| {
            whats.iter().map(|what| Prediction::Fact(fact(name, what), value.as_str().into()))
        });
        let predicts = predicts.collect();
        plan.exec(selinux::set_booleans(&change, self.persist), predicts);
        Ok(plan)
    }
}

fn fact(name: &str, what: &str) -> String {
    format!("selinux:boolean:{name}:{what}")
}
