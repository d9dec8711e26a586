//! `mine.*` as a minion's module: there is no long-lived minion that would fill a mine, so nothing is sent,
//! and updating is always done already.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "mine.update",
        args: "(clear=False, mine_functions=None)",
        doc: "Returns `True`: there is no mine to fill.",
        run: ExecFn::Data(done),
    },
    ExecDef {
        name: "mine.send",
        args: "(name, *args, **kwargs)",
        doc: "Returns `True`: there is no mine to fill.",
        run: ExecFn::Data(done),
    },
    ExecDef { name: "mine.delete", args: "(fun)", doc: "Returns `True`: there is no mine.", run: ExecFn::Data(done) },
    ExecDef { name: "mine.flush", args: "()", doc: "Returns `True`: there is no mine.", run: ExecFn::Data(done) },
    ExecDef { name: "mine.valid", args: "()", doc: "Returns the configured mine functions.", run: ExecFn::Data(valid) },
];

fn done(_: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(true.into())
}

fn valid(_: &Call, data: &Data) -> Result<Value, ExecError> {
    let found = data.pillar.get("mine_functions").or_else(|| data.opts.get("mine_functions"));
    Ok(found.cloned().unwrap_or_else(|| Map::new().into()))
}
