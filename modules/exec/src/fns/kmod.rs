//! `kmod.*`: kernel modules that are loaded.

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef { name: "kmod.lsmod", args: "()", doc: "Describes the loaded modules.", run: ExecFn::Read(lsmod) },
    ExecDef { name: "kmod.mod_list", args: "()", doc: "Lists the loaded modules.", run: ExecFn::Read(mod_list) },
    ExecDef {
        name: "kmod.is_loaded",
        args: "(mod)",
        doc: "Tells whether a module is loaded.",
        run: ExecFn::Read(is_loaded),
    },
];

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

fn mod_list(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mut names: Vec<String> = modules(host).iter().filter_map(|m| m.str("module").map(str::to_owned)).collect();
    names.sort();
    Ok(names.into())
}

fn is_loaded(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    // The kernel writes all of them with underscores.
    let wanted = call.need(0, "mod")?.replace('-', "_");
    Ok(modules(host).iter().any(|m| m.str("module") == Some(&wanted)).into())
}
