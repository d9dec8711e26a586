//! What `mc_apache.include_module` and `mc_apache.exclude_module` share.

use crate::apache_module::shared::What;
use corpus_core::{Plan, PlanCx, StateError, Value};

/// Plans that modules are enabled, or are not.
pub fn plan(cx: &PlanCx<'_>, modules: &[String], enable: bool) -> Result<Plan, StateError> {
    let mut changed = vec![];
    let mut plan = Plan::unchanged("the modules are as they should be");
    for module in modules {
        let one = What::Module.plan(cx, module, enable)?;
        if !one.steps.is_empty() {
            changed.push(module.as_str());
        }
        plan.steps.extend(one.steps);
    }
    if changed.is_empty() {
        return Ok(plan);
    }
    let (key, word) = if enable { ("enabled", "enabled") } else { ("disabled", "disabled") };
    let list = changed.join(", ");
    plan.changes.insert(key, Value::from(changed));
    Ok(plan.says(format!("Modules to be {word}: {list}"), format!("Modules {word}: {list}")))
}
