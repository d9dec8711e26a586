//! `saltutil.*`: what a long-lived Salt minion has to be told. This one starts fresh for each run, so
//! refreshing and syncing is always done already.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

const fn nothing_to_do(name: &'static str) -> ExecDef {
    ExecDef { name, args: "(**kwargs)", doc: "Returns `True`: there is nothing to refresh.", run: ExecFn::Data(done) }
}

const fn nothing_to_sync(name: &'static str) -> ExecDef {
    ExecDef {
        name,
        args: "(**kwargs)",
        doc: "Returns an empty list: nothing is kept on the minion.",
        run: ExecFn::Data(none),
    }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    nothing_to_do("saltutil.refresh_pillar"),
    nothing_to_do("saltutil.refresh_grains"),
    nothing_to_do("saltutil.refresh_modules"),
    nothing_to_do("saltutil.refresh_beacons"),
    nothing_to_do("saltutil.refresh_matchers"),
    nothing_to_do("saltutil.clear_cache"),
    nothing_to_do("saltutil.clear_job_cache"),
    nothing_to_sync("saltutil.sync_all"),
    nothing_to_sync("saltutil.sync_modules"),
    nothing_to_sync("saltutil.sync_states"),
    nothing_to_sync("saltutil.sync_grains"),
    nothing_to_sync("saltutil.sync_renderers"),
    nothing_to_sync("saltutil.sync_utils"),
    nothing_to_sync("saltutil.sync_pillar"),
    nothing_to_sync("saltutil.sync_outputters"),
    nothing_to_sync("saltutil.sync_returners"),
    nothing_to_sync("saltutil.sync_beacons"),
    nothing_to_sync("saltutil.sync_engines"),
    nothing_to_sync("saltutil.sync_matchers"),
    nothing_to_sync("saltutil.running"),
    ExecDef {
        name: "saltutil.runner",
        args: "(name, arg=None, kwarg=None)",
        doc: "Not built: runners are no part of this build, and the call says so.",
        run: ExecFn::Data(runner),
    },
    ExecDef {
        name: "saltutil.wheel",
        args: "(name, arg=None, kwarg=None)",
        doc: "Not built: wheel functions are no part of this build, and the call says so.",
        run: ExecFn::Data(runner),
    },
];

fn runner(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let (kind, name) = (call.fun.trim_start_matches("saltutil."), call.text(0, "name").unwrap_or_default());
    Err(ExecError::failed(format!(
        "{}: the {kind} function `{name}` is not built; a list of minions can come from the pillar or from the roster",
        call.fun
    )))
}

fn done(_: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(true.into())
}

fn none(_: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(Value::list(vec![]))
}
