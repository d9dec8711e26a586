//! `defaults.*`: merging of default values. `defaults.get` reads the master's files and is answered there.

use super::slsutil::update;
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "defaults.merge",
        args: "(dest, src, merge_lists=False, in_place=True, convert_none=True)",
        doc: "Returns `src` merged into `dest`.",
        run: ExecFn::Data(merge),
    },
    ExecDef { name: "defaults.deepcopy", args: "(source)", doc: "Returns a copy.", run: ExecFn::Data(deepcopy) },
    ExecDef {
        name: "defaults.update",
        args: "(dest, defaults, merge_lists=True, in_place=True, convert_none=True)",
        doc: "Merges defaults under each entry of a mapping.",
        run: ExecFn::Data(update_),
    },
];

/// Reads an argument; `None` counts as an empty mapping unless that is turned off.
fn mapping(call: &Call, place: usize, name: &str) -> Result<Value, ExecError> {
    let value = call.arg(place, name).cloned().ok_or_else(|| call.missing(name))?;
    Ok(if value.is_null() && call.flag(4, "convert_none", true) { Map::new().into() } else { value })
}

fn refuse_none(call: &Call, what: &str) -> Result<(), ExecError> {
    if call.arg(0, "dest").is_some_and(Value::is_null) && call.flag(3, "in_place", true) {
        return Err(ExecError::failed(format!("Can't perform in-place {what} into NoneType")));
    }
    Ok(())
}

fn merge(call: &Call, _: &Data) -> Result<Value, ExecError> {
    refuse_none(call, "merge")?;
    let mut dest = mapping(call, 0, "dest")?;
    update(&mut dest, &mapping(call, 1, "src")?, true, call.flag(2, "merge_lists", false))?;
    Ok(dest)
}

fn deepcopy(call: &Call, _: &Data) -> Result<Value, ExecError> {
    call.arg(0, "source").cloned().ok_or_else(|| call.missing("source"))
}

fn update_(call: &Call, _: &Data) -> Result<Value, ExecError> {
    refuse_none(call, "update")?;
    let mut dest = mapping(call, 0, "dest")?;
    let defaults = mapping(call, 1, "defaults")?;
    let lists = call.flag(2, "merge_lists", true);
    let nodes = dest.as_map_mut().ok_or_else(|| call.invalid("dest", "must be a mapping"))?;
    for node in nodes.0.values_mut() {
        let mut merged = defaults.clone();
        let over = if node.is_null() { Map::new().into() } else { node.clone() };
        update(&mut merged, &over, true, lists)?;
        *node = merged;
    }
    Ok(dest)
}
