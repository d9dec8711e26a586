//! `network.routes`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Attrs, Content, Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::file::diff;
use serde::Deserialize;

/// Keeps the routes of an interface, which ifupdown sets and takes away with it.
///
/// ```sls
/// eth0:
///   network.routes:
///     - routes:
///       - name: office
///         ipaddr: 10.2.0.0
///         netmask: 255.255.0.0
///         gateway: 192.0.2.2
/// ```
#[derive(Deserialize)]
pub struct Routes {
    /// The interface.
    pub name: String,
    /// Mappings of `name`, `ipaddr`, `netmask`, `gateway` and `metric`.
    #[serde(default)]
    pub routes: Vec<Map>,
    /// Do not restart the networking service.
    #[serde(default)]
    pub require_reboot: bool,
}

impl Routes {
    /// Writes a script as Salt does.
    fn script(&self, verb: &str) -> String {
        let name = &self.name;
        let mut text = format!("#!/bin/sh\n# {verb}\ntest \"${{IFACE}}\" = \"{name}\" || exit 0\n");
        for route in &self.routes {
            let word = |key: &str| route.get(key).filter(|value| value.truthy()).map(python::str);
            if let Some(name) = word("name") {
                text += &format!("# {name}\n");
            }
            let part = |key: &str, before: &str| word(key).map(|value| format!("{before}{value}")).unwrap_or_default();
            text += &format!(
                "ip route {verb} {}{} {} dev {name}{}\n",
                part("ipaddr", ""),
                part("netmask", "/"),
                part("gateway", "via "),
                part("metric", " metric ")
            );
        }
        text
    }
}

impl State for Routes {
    const NAME: &'static str = "network.routes";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::ifupdown(cx)?;
        let name = &self.name;
        if self.routes.is_empty() {
            let expected = "Option: routes, Expected: [List of routes]";
            return Err(StateError::failed(format!("Invalid option -- Route interface: {name}, {expected}")));
        }
        let mut plan = Plan::unchanged(format!("Interface {name} routes are up to date."));
        // run-parts takes no names with dots.
        let file = format!("route-{}", name.replace('.', "_"));
        let (mut old, mut new, mut any) = (String::new(), String::new(), false);
        for (folder, verb) in [("if-up.d", "add"), ("if-down.d", "del")] {
            let path = format!("{}/{folder}/{file}", shared::FOLDER);
            let have = ask::text(cx.host, &path)?;
            any |= have.is_some();
            let (have, want) = (have.unwrap_or_default(), self.script(verb));
            if have != want {
                let content = Content::Bytes(want.clone().into());
                let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
                plan.push(Effect::WriteFile { path: path.into(), content, attrs, backup: None }, vec![]);
            }
            old += &have;
            new += &want;
        }
        if plan.steps.is_empty() {
            return Ok(plan);
        }
        if !self.require_reboot && cx.host.which("systemctl").is_some() {
            plan.exec(Command::new(["systemctl", "restart", "networking"]), vec![]);
        }
        if !any {
            let told: Value = format!("Added interface {name} routes.").into();
            return Ok(plan.change("network_routes", told).says(
                format!("Interface {name} routes are set to be added."),
                format!("Interface {name} routes added."),
            ));
        }
        let told = diff::unified(&old, &new).trim_end().to_owned();
        Ok(plan.change("network_routes", told.as_str()).says(
            format!("Interface {name} routes are set to be updated:\n{told}"),
            format!("Interface {name} routes updated."),
        ))
    }
}
