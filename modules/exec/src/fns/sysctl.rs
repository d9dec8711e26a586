//! `sysctl.*`: settings of the kernel.

use crate::ask;
use corpus_core::host::Command;
use corpus_core::{Call, ExecDef, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "sysctl.get",
        args: "(name)",
        doc: "Returns a setting's value; empty if there is none.",
        run: ExecFn::Read(|call, look, _| {
            let text = ask::text(look, path(&call.need(0, "name")?))?;
            Ok(text.map(|text| text.trim().to_owned()).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "sysctl.assign",
        args: "(name, value)",
        doc: "Sets a value until the next boot.",
        run: ExecFn::Write(|call: &Call, act, _| {
            let (name, value) = (call.need(0, "name")?, call.need(1, "value")?);
            ask::must(act, Command::new(["sysctl", "-w", &format!("{name}={value}")]))?;
            Ok(Value::map([(name, value)].into_iter().collect()))
        }),
    },
];

fn path(name: &str) -> String {
    format!("/proc/sys/{}", if name.contains('/') { name.to_owned() } else { name.replace('.', "/") })
}
