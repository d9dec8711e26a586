//! `hosts.*`: `/etc/hosts`.

use crate::hosts::Hosts;
use corpus_core::host::Act;
use corpus_core::{ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "hosts.list_hosts",
        args: "()",
        doc: "Returns all addresses with their names.",
        run: ExecFn::Read(|_, look, _| {
            let mut all = Map::new();
            for (ip, names) in Hosts::read(look)?.entries() {
                let entry: Map = [("aliases", names.to_vec())].into_iter().collect();
                all.insert(ip, Value::map(entry));
            }
            Ok(all.into())
        }),
    },
    ExecDef {
        name: "hosts.get_ip",
        args: "(host)",
        doc: "Returns the address of a name; empty if there is none.",
        run: ExecFn::Read(|call, look, _| {
            let found = Hosts::read(look)?.addresses_of(&call.need(0, "host")?);
            Ok(found.into_iter().next().unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "hosts.get_alias",
        args: "(ip)",
        doc: "Returns the names of an address.",
        run: ExecFn::Read(|call, look, _| {
            let ip = call.need(0, "ip")?;
            let hosts = Hosts::read(look)?;
            let names: Vec<String> =
                hosts.entries().filter(|(at, _)| *at == ip).flat_map(|(_, names)| names.to_vec()).collect();
            Ok(names.into())
        }),
    },
    ExecDef {
        name: "hosts.has_pair",
        args: "(ip, alias)",
        doc: "Tells whether an address carries a name.",
        run: ExecFn::Read(|call, look, _| {
            Ok(Hosts::read(look)?.has(&call.need(0, "ip")?, &call.need(1, "alias")?).into())
        }),
    },
    ExecDef {
        name: "hosts.set_host",
        args: "(ip, alias, comment=None)",
        doc: "Sets the names of an address, all of them; empty ones remove the address.",
        run: ExecFn::Write(|call, act, _| {
            edit(act, |hosts| {
                let names: Vec<String> = match call.arg(1, "alias") {
                    Some(Value::List(names)) => names.iter().map(corpus_core::python::str).collect(),
                    _ => call.need(1, "alias")?.split_whitespace().map(str::to_owned).collect(),
                };
                let ip = call.need(0, "ip")?;
                hosts.set(&ip, &names);
                if let (Some(comment), Some(first)) = (call.text(2, "comment"), names.first()) {
                    hosts.add(&ip, first, Some(&comment));
                }
                Ok(())
            })
        }),
    },
    ExecDef {
        name: "hosts.add_host",
        args: "(ip, alias)",
        doc: "Adds a name to an address.",
        run: ExecFn::Write(|call, act, _| {
            edit(act, |hosts| {
                hosts.add(&call.need(0, "ip")?, &call.need(1, "alias")?, None);
                Ok(())
            })
        }),
    },
    ExecDef {
        name: "hosts.rm_host",
        args: "(ip, alias)",
        doc: "Takes a name off an address.",
        run: ExecFn::Write(|call, act, _| {
            edit(act, |hosts| {
                hosts.remove(&call.need(0, "ip")?, &call.need(1, "alias")?);
                Ok(())
            })
        }),
    },
];

fn edit(act: &dyn Act, change: impl FnOnce(&mut Hosts) -> Result<(), ExecError>) -> Result<Value, ExecError> {
    let mut hosts = Hosts::read(act.as_look())?;
    let before = hosts.clone();
    change(&mut hosts)?;
    if hosts != before {
        act.perform(&hosts.effect())?;
    }
    Ok(true.into())
}
