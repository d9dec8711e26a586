//! `event.*`: no bus listens to single calls yet; the state `event.send` fires within a run.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

const fn fires(name: &'static str, args: &'static str) -> ExecDef {
    ExecDef {
        name,
        args,
        doc: "Not built as a call: says so. The state `event.send` sends events.",
        run: ExecFn::Data(refuse),
    }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    fires("event.send", "(tag, data=None, preload=None, with_env=False, with_grains=False, with_pillar=False)"),
    fires("event.fire", "(data, tag)"),
    fires("event.fire_master", "(data, tag, preload=None)"),
];

fn refuse(call: &Call, _: &Data) -> Result<Value, ExecError> {
    Err(ExecError::failed(format!(
        "{}: events are sent by states only, as part of a run: write `event.send` as a state",
        call.fun
    )))
}
