//! `test.*`: is anybody there?

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value, host::Look};

/// The functions of this module.
pub const FNS: &[ExecDef] =
    &[ExecDef { name: "test.ping", args: "()", doc: "Returns `True`: the minion answers.", run: ExecFn::Read(ping) }];

fn ping(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(true.into())
}
