//! `log.*`: messages from templates. They answer `True`, as in Salt.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef { name: "log.debug", args: "(message)", doc: "Logs at the level DEBUG.", run: ExecFn::Data(debug) },
    ExecDef { name: "log.info", args: "(message)", doc: "Logs at the level INFO.", run: ExecFn::Data(info) },
    ExecDef { name: "log.warning", args: "(message)", doc: "Logs at the level WARNING.", run: ExecFn::Data(warning) },
    ExecDef { name: "log.error", args: "(message)", doc: "Logs at the level ERROR.", run: ExecFn::Data(error) },
    ExecDef { name: "log.critical", args: "(message)", doc: "Logs at the level CRITICAL.", run: ExecFn::Data(error) },
    ExecDef { name: "log.exception", args: "(message)", doc: "Logs at the level ERROR.", run: ExecFn::Data(error) },
];

fn debug(call: &Call, _: &Data) -> Result<Value, ExecError> {
    tracing::debug!("{}", call.need(0, "message")?);
    Ok(true.into())
}

fn info(call: &Call, _: &Data) -> Result<Value, ExecError> {
    tracing::info!("{}", call.need(0, "message")?);
    Ok(true.into())
}

fn warning(call: &Call, _: &Data) -> Result<Value, ExecError> {
    tracing::warn!("{}", call.need(0, "message")?);
    Ok(true.into())
}

fn error(call: &Call, _: &Data) -> Result<Value, ExecError> {
    tracing::error!("{}", call.need(0, "message")?);
    Ok(true.into())
}
