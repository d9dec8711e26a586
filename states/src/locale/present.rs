//! `locale.present`

use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::locale;
use serde::Deserialize;

/// Keeps a locale generated.
///
/// ```sls
/// de_DE.UTF-8:
///   locale.present
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The locale.
    pub name: String,
}

impl State for Present {
    const NAME: &'static str = "locale.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, fact) = (&self.name, format!("locale:{}", self.name));
        let there = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => locale::is_there(cx.host, name).map_err(|error| StateError::missing(error.to_string()))?,
        };
        if there {
            return Ok(Plan::unchanged(format!("Locale {name} is already present")));
        }
        if !locale::is_supported(cx.host, name)? {
            return Err(StateError::failed(format!("Failed to generate locale {name}")));
        }
        let mut plan = Plan::default()
            .says(format!("Locale {name} needs to be generated"), format!("Generated locale {name}"))
            .change("locale", name.as_str());
        for effect in locale::generating(cx.host, name)? {
            plan.push(effect, vec![]);
        }
        if let Some(last) = plan.steps.last_mut() {
            last.predicts.push(Prediction::Fact(fact, true.into()));
        }
        Ok(plan)
    }
}
