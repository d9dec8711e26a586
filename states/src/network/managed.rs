//! `network.managed`

use super::shared;
use corpus_core::host::Command;
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value, state};
use corpus_exec::ask;
use corpus_exec::file::diff;
use corpus_exec::interfaces::{Stanza, bond, wanted};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Keeps a network interface of Debian's `/etc/network/interfaces`, and has it up or down. Further arguments are its settings:
/// `proto ipaddr netmask gateway dns mtu hwaddr up_cmds hotplug`, with `ipv6` in front those of IPv6, and `ports stp fd`… of
/// a bridge, `mode slaves miimon`… of a bond, `provider user password pppoe_iface`… of a dial-up. What the files say of other interfaces stays as it is.
///
/// ```sls
/// eth0:
///   network.managed:
///     - type: eth
///     - proto: static
///     - ipaddr: 192.0.2.7
///     - netmask: 255.255.255.0
///     - gateway: 192.0.2.1
///     - dns: [192.0.2.53]
/// ```
#[derive(Deserialize)]
pub struct Managed {
    /// The interface.
    pub name: String,
    /// `eth`, `bridge`, `vlan`, `bond`, `slave` or `pppoe`.
    #[serde(default = "eth", rename = "type")]
    pub kind: String,
    /// Whether it is to be up, now and after a reboot.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Neither `ifup` nor `ifdown`.
    #[serde(default)]
    pub noifupdown: Value,
    /// The file that has it, in `interfaces.d` if it names no folder.
    pub filename: Option<String>,
}

fn eth() -> String {
    "eth".into()
}

fn yes() -> bool {
    true
}

impl Managed {
    /// Finds the file that has the interface, or is to have it.
    fn file(&self, cx: &PlanCx<'_>) -> Result<PathBuf, StateError> {
        let main = Path::new(shared::FOLDER).join("interfaces");
        let folder = Path::new(shared::FOLDER).join("interfaces.d");
        if let Some(name) = &self.filename {
            return Ok(folder.join(name));
        }
        if ask::is_dir(cx.host, &folder) {
            for name in cx.host.list(&folder)? {
                let path = folder.join(name);
                if Stanza::read(&ask::text(cx.host, &path)?.unwrap_or_default(), &self.name).is_some() {
                    return Ok(path);
                }
            }
        }
        Ok(main)
    }

    fn is_up(&self, cx: &PlanCx<'_>) -> Result<bool, StateError> {
        if let Some(up) = cx.host.predicted(&self.fact()) {
            return Ok(up.truthy());
        }
        let flags = ask::text(cx.host, format!("/sys/class/net/{}/flags", self.name))?.unwrap_or_default();
        Ok(u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 1 == 1))
    }

    /// Plans the file beside the interface's own: what `modprobe` is told of a bond, what `pppd` is of a provider.
    /// Returns Salt's words about a bond.
    fn more(
        &self,
        cx: &PlanCx<'_>,
        given: &Map,
        plan: &mut Plan,
    ) -> Result<Option<(String, &'static str)>, StateError> {
        let name = &self.name;
        if self.kind == "pppoe" {
            let provider = given.str("provider").filter(|name| !name.is_empty() && !name.contains('/'));
            let provider =
                provider.ok_or_else(|| StateError::failed("provider is a required setting for pppoe interfaces"))?;
            cx.program("pppd", "ppp")?;
            let path = format!("/etc/ppp/peers/{provider}");
            let text = bond::peer(name, given).map_err(StateError::failed)?;
            if ask::text(cx.host, &path)?.as_ref() != Some(&text) {
                // It holds a password: what it says is not shown.
                plan.changes.insert("provider", format!("Updated {path}"));
                let (content, attrs) = (Content::Bytes(text.into()), Attrs { mode: Some(0o600), ..Attrs::default() });
                plan.push(Effect::WriteFile { path: path.into(), content, attrs, backup: None }, vec![]);
            }
            return Ok(None);
        }
        if self.kind != "bond" {
            return Ok(None);
        }
        let path = format!("/etc/modprobe.d/{name}.conf");
        let text = bond::module(name, given).map_err(StateError::failed)?;
        let have = ask::text(cx.host, &path)?;
        if have.as_ref() == Some(&text) {
            return Ok(None);
        }
        plan.push(Effect::text(path, text.as_str()), vec![]);
        Ok(Some(match have {
            None => {
                plan.changes.insert("bond", format!("Added bond {name}."));
                ("is set to be added.".into(), "added.")
            }
            Some(have) => {
                let told = diff::unified(&have, &text).trim_end().to_owned();
                plan.changes.insert("bond", told.as_str());
                (format!("is set to be updated:\n{told}"), "updated.")
            }
        }))
    }

    fn fact(&self) -> String {
        format!("network:up:{}", self.name)
    }
}

impl State for Managed {
    const NAME: &'static str = "network.managed";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if !matches!(self.kind.as_str(), "eth" | "bridge" | "vlan" | "slave" | "bond" | "pppoe") {
            return Err(StateError::failed(format!(
                "network.managed: the type `{}` is not built; there are eth, bridge, vlan, bond, slave and pppoe",
                self.kind
            )));
        }
        shared::ifupdown(cx)?;
        let own = ["name", "type", "enabled", "noifupdown", "filename"];
        let given: Map = state::arguments(cx.low)
            .iter()
            .filter(|(key, _)| {
                key.as_str().is_none_or(|key| !own.contains(&key) && !corpus_core::keywords::is_engine_word(key))
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let (want, unknown) = wanted(name, &self.kind, self.enabled, &given).map_err(StateError::failed)?;
        let path = self.file(cx)?;
        let text = ask::text(cx.host, &path)?.unwrap_or_default();
        let have = Stanza::read(&text, name);
        let mut plan = Plan::unchanged(format!("Interface {name} is up to date."));
        for key in unknown {
            plan = plan.warn(format!("network.managed: the setting `{key}` is not known and does nothing"));
        }
        let (mut would, mut did) = (plan.unchanged.clone(), plan.unchanged.clone());
        if have.as_ref().is_none_or(|have| !have.is(&want)) {
            let mut told = "Added network interface.".to_owned();
            (would, did) = (format!("Interface {name} is set to be added."), format!("Interface {name} added."));
            if let Some(have) = &have {
                told = diff::unified(&have.text(name), &want.text(name)).trim_end().to_owned();
                would = format!("Interface {name} is set to be updated:\n{told}");
                did = format!("Interface {name} updated.");
            }
            plan = plan.change("interface", told);
            plan.push(Effect::text(path, want.put(&text, name)), vec![]);
        }
        if let Some(text) = self.more(cx, &given, &mut plan)? {
            (would, did) = (format!("Bond interface {name} {}", text.0), format!("Bond interface {name} {}", text.1));
        }
        // The master of a slave brings it up.
        if !self.noifupdown.truthy() && self.kind != "slave" {
            let (up, changed) = (self.is_up(cx)?, !plan.changes.is_empty());
            let step = |plan: &mut Plan, program: &str, up: bool| {
                plan.exec(Command::new([program, name.as_str()]), vec![Prediction::Fact(self.fact(), up.into())]);
            };
            if self.enabled != up || (up && changed) {
                if self.kind == "bond" {
                    cx.program("ifenslave", "ifenslave")?;
                }
                cx.program(if self.enabled { "ifup" } else { "ifdown" }, "ifupdown")?;
            }
            match (self.enabled, up) {
                (true, true) if changed => {
                    step(&mut plan, "ifdown", false);
                    step(&mut plan, "ifup", true);
                    plan = plan.change("status", format!("Interface {name} restart to validate"));
                }
                (true, false) => {
                    step(&mut plan, "ifup", true);
                    plan = plan.change("status", format!("Interface {name} is up"));
                }
                (false, true) => {
                    step(&mut plan, "ifdown", false);
                    plan = plan.change("status", format!("Interface {name} down"));
                }
                _ => {}
            }
        }
        Ok(plan.says(would, did))
    }
}
