//! `sdb.*`: values from key stores. None is built yet; the calls say so.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[ExecDef {
    name: "sdb.get",
    args: "(uri, strict=False)",
    doc: "Looks a value up in a key store.",
    run: ExecFn::Data(get),
}];

/// A text that is no `sdb://` address is its own value, as in Salt.
fn get(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let uri = call.need(0, "uri")?;
    if uri.starts_with("sdb://") {
        return Err(ExecError::failed(format!("sdb.get: `{uri}` cannot be looked up: key stores are not built yet")));
    }
    Ok(uri.into())
}
