//! `system.*`: stopping the machine, its clock and its description.

use crate::ask;
use crate::grains::clock;
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    write("system.reboot", "(at_time=None)", "Starts the machine anew, at once or in some minutes.", |call, act, _| {
        stop(call, act, "-r", 0)
    }),
    write(
        "system.shutdown",
        "(at_time=None)",
        "Shuts the machine down, at once or in some minutes.",
        |call, act, _| stop(call, act, "-h", 0),
    ),
    write("system.halt", "()", "Halts the machine.", |_, act, _| run(act, Command::new(["halt"]))),
    write("system.poweroff", "()", "Switches the machine off.", |_, act, _| run(act, Command::new(["poweroff"]))),
    write("system.init", "(runlevel)", "Changes the run level.", |call, act, _| {
        run(act, Command::new(["init", &call.need(0, "runlevel")?]))
    }),
    read("system.get_system_date", "()", "Returns the machine's date.", |_, look, _| Ok(now(look, "%m/%d/%Y"))),
    read("system.get_system_time", "()", "Returns the machine's time.", |_, look, _| Ok(now(look, "%I:%M:%S %p"))),
    read("system.get_system_date_time", "()", "Returns the machine's date and time.", |_, look, _| {
        Ok(now(look, "%Y-%m-%d %H:%M:%S"))
    }),
    read("system.get_computer_name", "()", "Returns the machine's name.", |_, look, _| {
        let text = ask::text(look, "/proc/sys/kernel/hostname")?.unwrap_or_default();
        Ok(text.trim().into())
    }),
    read("system.get_computer_desc", "()", "Returns what `/etc/machine-info` says of the machine.", |_, look, _| {
        let text = ask::text(look, "/etc/machine-info")?.unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("PRETTY_HOSTNAME="));
        Ok(found.map_or(Value::Bool(false), |name| name.trim_matches('"').into()))
    }),
    read("system.get_reboot_required_witnessed", "()", "Tells whether something waits for a reboot.", |_, look, _| {
        Ok(["/var/run/salt/reboot-required", "/run/reboot-required"].iter().any(|path| ask::exists(look, path)).into())
    }),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn now(look: &dyn Look, format: &str) -> Value {
    let now = clock::now();
    clock::strftime(format, now, &clock::zone(look, now)).into()
}

fn run(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    Ok(ask::must(act, command)?.stdout_text().trim_end().into())
}

fn stop(call: &Call, act: &dyn Act, how: &str, place: usize) -> Result<Value, ExecError> {
    let when = call.text(place, "at_time").unwrap_or_else(|| "now".into());
    run(act, Command::new(["shutdown", how, &when]))
}
