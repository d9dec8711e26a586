//! `publish.*`: calls from minion to minion. No master listens for them, so nobody answers, as in Salt when
//! its `peer` setting lets nobody.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value};

const fn nobody(name: &'static str, args: &'static str) -> ExecDef {
    ExecDef { name, args, doc: "Returns an empty mapping: no minion may call another.", run: ExecFn::Data(none) }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    nobody("publish.publish", "(tgt, fun, arg=None, tgt_type='glob', returner='', timeout=5)"),
    nobody("publish.full_data", "(tgt, fun, arg=None, tgt_type='glob', returner='', timeout=5)"),
    nobody("publish.runner", "(fun, arg=None, timeout=5)"),
];

fn none(_: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(Map::new().into())
}
