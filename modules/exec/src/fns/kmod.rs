//! `kmod.*`: kernel modules that are loaded.

use crate::ask;
use corpus_core::host::{Command, HostResult};
use corpus_core::plan::{Attrs, Content, Effect};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef { name: "kmod.lsmod", args: "()", doc: "Describes the loaded modules.", run: ExecFn::Read(lsmod) },
    ExecDef {
        name: "kmod.mod_list",
        args: "(only_persist=False)",
        doc: "Lists the loaded modules, or those that are loaded at boot.",
        run: ExecFn::Read(mod_list),
    },
    ExecDef {
        name: "kmod.is_loaded",
        args: "(mod)",
        doc: "Tells whether a module is loaded.",
        run: ExecFn::Read(is_loaded),
    },
    ExecDef {
        name: "kmod.load",
        args: "(mod, persist=False)",
        doc: "Loads a module and returns what that brought.",
        run: ExecFn::Write(|call, act, _| {
            let module = call.need(0, "mod")?;
            let before = names(act.as_look());
            ask::must(act, Command::new(["modprobe", &module]))?;
            let brought: Vec<String> = names(act.as_look()).into_iter().filter(|name| !before.contains(name)).collect();
            if call.flag(1, "persist", false) {
                act.perform(&booting(act.as_look(), &[module], &[])?)?;
            }
            Ok(brought.into())
        }),
    },
    ExecDef {
        name: "kmod.remove",
        args: "(mod, persist=False)",
        doc: "Unloads a module and returns what went.",
        run: ExecFn::Write(|call, act, _| {
            let module = call.need(0, "mod")?;
            let before = names(act.as_look());
            ask::must(act, Command::new(["rmmod", &module]))?;
            let after = names(act.as_look());
            if call.flag(1, "persist", false) {
                act.perform(&booting(act.as_look(), &[], &[module])?)?;
            }
            Ok(before.into_iter().filter(|name| !after.contains(name)).collect::<Vec<_>>().into())
        }),
    },
];

/// Tells whether both names are those of one module: the kernel writes all of them with underscores.
pub fn same(a: &str, b: &str) -> bool {
    a.replace('-', "_") == b.replace('-', "_")
}

/// Tells whether a module is loaded, or part of the kernel itself.
pub fn loaded(look: &dyn Look, module: &str) -> bool {
    let name = module.replace('-', "_");
    names(look).contains(&name) || ask::is_dir(look, format!("/sys/module/{name}"))
}

/// Tells whether a module could be loaded.
pub fn available(look: &dyn Look, module: &str) -> HostResult<bool> {
    Ok(look.query(&Command::new(["modprobe", "--dry-run", "--quiet", module]))?.ok())
}

fn boot_file(look: &dyn Look) -> &'static str {
    if ask::is_dir(look, "/etc/modules-load.d") { "/etc/modules-load.d/salt_managed.conf" } else { "/etc/modules" }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Lists the modules that Salt's file loads at boot.
pub fn at_boot(look: &dyn Look) -> HostResult<Vec<String>> {
    Ok(listed(&ask::text(look, boot_file(look))?.unwrap_or_default()).map(str::to_owned).collect())
}

/// Returns the effect that adds modules to those loaded at boot, and takes others out.
pub fn booting(look: &dyn Look, add: &[String], remove: &[String]) -> HostResult<Effect> {
    let path = boot_file(look);
    let text = ask::text(look, path)?.unwrap_or_default();
    let mut out: String = text
        .lines()
        .filter(|line| !remove.iter().any(|gone| same(line.trim(), gone)))
        .map(|line| format!("{line}\n"))
        .collect();
    for module in add {
        if !listed(&text).any(|have| same(have, module)) {
            out += &format!("{module}\n");
        }
    }
    let content = Content::Bytes(out.into_bytes());
    Ok(Effect::WriteFile { path: path.into(), content, attrs: Attrs::default(), backup: None })
}

fn names(look: &dyn Look) -> Vec<String> {
    modules(look).iter().filter_map(|module| module.str("module").map(str::to_owned)).collect()
}

fn modules(host: &dyn Look) -> Vec<Map> {
    // A kernel without modules has no such file.
    let bytes = host.read(Path::new("/proc/modules")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, size, count, users, ..] = words[..] else { return None };
            let deps: Vec<&str> = users.split(',').filter(|u| !u.is_empty() && *u != "-").collect();
            let mut module = Map::new();
            module.insert("size", size);
            module.insert("module", name);
            module.insert("depcount", count);
            module.insert("deps", deps);
            Some(module)
        })
        .collect()
}

fn lsmod(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(modules(host).into_iter().map(Value::from).collect::<Vec<_>>().into())
}

fn mod_list(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mut names = if call.flag(0, "only_persist", false) { at_boot(host)? } else { names(host) };
    names.sort();
    Ok(names.into())
}

fn is_loaded(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    // The kernel writes all of them with underscores.
    let wanted = call.need(0, "mod")?.replace('-', "_");
    Ok(modules(host).iter().any(|m| m.str("module") == Some(&wanted)).into())
}
