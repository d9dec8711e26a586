//! `timezone.system`

use corpus_core::{Attrs, Content, Effect, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use corpus_exec::fns::timezone;
use serde::Deserialize;

/// Keeps the machine in a time zone.
///
/// ```sls
/// Europe/Paris:
///   timezone.system:
///     - utc: True
/// ```
#[derive(Deserialize)]
pub struct System {
    /// The zone, `Europe/Paris`.
    pub name: String,
    /// The hardware clock runs in UTC.
    #[serde(default = "yes")]
    pub utc: bool,
}

fn yes() -> bool {
    true
}

impl State for System {
    const NAME: &'static str = "timezone.system";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, host) = (&self.name, cx.host);
        let same = timezone::same_zone(host, name).map_err(|error| {
            StateError::missing(format!("Unable to compare desired timezone '{name}' to system timezone: {error}"))
        })?;
        let local = match host.predicted("timezone:hwclock") {
            Some(clock) => clock.as_str() == Some("localtime"),
            None => timezone::hwclock_is_local(host)?,
        };
        let (mut would, mut did) = (vec![], vec![]);
        let mut plan = Plan::default();
        if !same {
            let zone = format!("/usr/share/zoneinfo/{name}");
            plan.push(
                Effect::Symlink { path: "/etc/localtime".into(), target: zone.into(), attrs: Attrs::default() },
                vec![],
            );
            if ask::exists(host, "/etc/timezone") || cx.data.grains.get("os_family") == Some(&"Debian".into()) {
                let content = Content::Bytes(format!("{name}\n").into());
                let effect =
                    Effect::WriteFile { path: "/etc/timezone".into(), content, attrs: Attrs::default(), backup: None };
                plan.push(effect, vec![]);
            }
            would.push(format!("Timezone {name} needs to be set"));
            did.push(format!("Set timezone {name}"));
            plan.changes.insert("timezone", name.as_str());
        }
        // Salt looks at the hardware clock only where the zone differs; a clock in local time is as wrong alone.
        if self.utc && local {
            let fact = Prediction::Fact("timezone:hwclock".into(), "UTC".into());
            plan.push(Effect::Exec(timezone::set_clock(host, "UTC")), vec![fact]);
            would.push("UTC needs to be set to True".to_owned());
            did.push("Set UTC to True".to_owned());
            plan.changes.insert("utc", true);
        }
        plan.unchanged = format!("Timezone {name} already set");
        if self.utc && !local {
            plan.unchanged += &format!(", UTC already set to {name}");
        }
        Ok(plan.says(would.join(", "), did.join(", ")))
    }
}
