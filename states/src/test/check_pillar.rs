//! `test.check_pillar`

use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Fails unless the pillar has what is needed.
///
/// ```sls
/// the pillar is complete:
///   test.check_pillar:
///     - present: [app:port]
///     - integer: app:port
/// ```
#[derive(Deserialize)]
pub struct CheckPillar {
    /// Keys that must be there.
    #[serde(default)]
    present: OneOrMany<String>,
    /// Keys that must be true or false.
    #[serde(default)]
    boolean: OneOrMany<String>,
    /// Keys that must be whole numbers.
    #[serde(default)]
    integer: OneOrMany<String>,
    /// Keys that must be texts.
    #[serde(default)]
    string: OneOrMany<String>,
    /// Keys that must be lists.
    #[serde(default)]
    listing: OneOrMany<String>,
    /// Keys that must be mappings.
    #[serde(default)]
    dictionary: OneOrMany<String>,
    /// Names the keys that are as they must be, too.
    #[serde(default)]
    verbose: bool,
}

impl State for CheckPillar {
    const NAME: &'static str = "test.check_pillar";
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        type Check = fn(&Value) -> bool;
        let checks: [(&OneOrMany<String>, &str, Check); 6] = [
            (&self.present, "None", |_| true),
            (&self.boolean, "<class 'bool'>", |v| v.as_bool().is_some()),
            (&self.integer, "<class 'int'>", |v| v.as_int().is_some() || v.as_bool().is_some()),
            (&self.string, "(<class 'str'>,)", |v| v.as_str().is_some()),
            (&self.listing, "<class 'list'>", |v| v.as_list().is_some()),
            (&self.dictionary, "<class 'dict'>", |v| v.as_map().is_some()),
        ];
        if checks.iter().all(|(keys, ..)| keys.0.is_empty()) {
            return Err(StateError::failed("Missing required argument text."));
        }
        let (mut comment, mut fine) = (String::new(), String::new());
        for (keys, kind, check) in checks {
            for key in &keys.0 {
                match cx.data.pillar.traverse(key, ":").filter(|value| !value.is_null()) {
                    None => comment += &format!("Pillar key \"{key}\" is missing.\n"),
                    Some(value) if !check(value) => comment += &format!("Pillar key \"{key}\" is not {kind}.\n"),
                    Some(_) => fine += &format!("- {key} ({kind})\n"),
                }
            }
        }
        let failed = !comment.is_empty();
        if self.verbose && !fine.is_empty() {
            comment += &format!("Those keys passed the check:\n{fine}");
        }
        Ok(if failed { Plan::failed(comment) } else { Plan::unchanged(comment) })
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(super::shared::fired(cx))
    }
}
