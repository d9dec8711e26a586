//! `service.*`: what a machine's service manager knows and does.

use crate::ask;
use crate::service::{self, Action, Options};
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("service.status", "(name, sig=None)", "Tells whether a service runs.", |call, look, _| {
        Ok(service::status(look, &call.need(0, "name")?, call.text(1, "sig").as_deref())?.running.into())
    }),
    read("service.available", "(name)", "Tells whether there is such a service.", |call, look, _| {
        Ok(service::status(look, &call.need(0, "name")?, None)?.available.into())
    }),
    read("service.missing", "(name)", "Tells whether there is no such service.", |call, look, _| {
        Ok((!service::status(look, &call.need(0, "name")?, None)?.available).into())
    }),
    read("service.enabled", "(name)", "Tells whether a service starts at boot.", |call, look, _| {
        Ok(service::status(look, &call.need(0, "name")?, None)?.enabled.into())
    }),
    read("service.disabled", "(name)", "Tells whether a service does not start at boot.", |call, look, _| {
        Ok((!service::status(look, &call.need(0, "name")?, None)?.enabled).into())
    }),
    read("service.masked", "(name, runtime=False)", "Tells whether a service is masked.", |call, look, _| {
        let status = service::status(look, &call.need(0, "name")?, None)?;
        Ok(if call.flag(1, "runtime", false) { status.masked_runtime } else { status.masked }.into())
    }),
    read("service.get_all", "()", "Lists all services.", |_, look, _| Ok(service::provider(look)?.all(look)?.into())),
    write("service.start", "Starts a service.", |call, act, _| perform(call, act, Action::Start)),
    write("service.stop", "Stops a service.", |call, act, _| perform(call, act, Action::Stop)),
    write("service.restart", "Restarts a service.", |call, act, _| perform(call, act, Action::Restart)),
    write("service.full_restart", "Stops and starts a service.", |call, act, _| {
        perform(call, act, Action::FullRestart)
    }),
    write("service.reload", "Lets a service read its configuration again.", |call, act, _| {
        perform(call, act, Action::Reload)
    }),
    write("service.force_reload", "Reloads a service, or restarts it where it cannot reload.", |call, act, _| {
        perform(call, act, Action::ForceReload)
    }),
    write("service.enable", "Makes a service start at boot.", |call, act, _| perform(call, act, Action::Enable)),
    write("service.disable", "Keeps a service from starting at boot.", |call, act, _| {
        perform(call, act, Action::Disable)
    }),
    write("service.mask", "Masks a service.", |call, act, _| {
        perform(call, act, Action::Mask { runtime: call.flag(1, "runtime", false) })
    }),
    write("service.unmask", "Takes the mask off a service.", |call, act, _| {
        perform(call, act, Action::Unmask { runtime: call.flag(1, "runtime", false) })
    }),
    ExecDef {
        name: "service.systemctl_reload",
        args: "()",
        doc: "Lets systemd read its units again.",
        run: ExecFn::Write(|_, act, _| {
            ask::must(act, Command::new(["systemctl", "daemon-reload"]))?;
            Ok(true.into())
        }),
    },
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args: "(name, no_block=False)", doc, run: ExecFn::Write(run) }
}

fn perform(call: &Call, act: &dyn Act, action: Action) -> Result<Value, ExecError> {
    let name = call.need(0, "name")?;
    let options = Options { no_block: call.flag(99, "no_block", false) };
    let mut good = true;
    for step in service::steps(act.as_look(), action, &name, options)? {
        good &= act.perform(&step.effect)?.output().is_none_or(corpus_core::Output::ok);
    }
    Ok(good.into())
}
