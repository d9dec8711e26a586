//! `sysctl.*`: settings of the kernel.

use crate::ask;
use corpus_core::host::{Command, Look};
use corpus_core::plan::{Attrs, Content, Effect};
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
    ExecDef {
        name: "sysctl.show",
        args: "(config_file=False)",
        doc: "Returns all settings: the running kernel's, or those of a file.",
        run: ExecFn::Read(|call, look, _| {
            let text = match call.arg(0, "config_file").and_then(Value::as_str) {
                Some(file) => ask::text(look, file)?.unwrap_or_default(),
                None => look.query(&Command::new(["sysctl", "-a"]))?.stdout_text(),
            };
            let pair = |line: &str| {
                let (name, value) = line.trim().split_once('=').filter(|(name, _)| !name.starts_with(['#', ';']))?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            Ok(text.lines().filter_map(pair).collect::<corpus_core::Map>().into())
        }),
    },
    ExecDef {
        name: "sysctl.default_config",
        args: "()",
        doc: "Returns the file that keeps settings for the next boot.",
        run: ExecFn::Read(|_, look, _| Ok(config(look).into())),
    },
    ExecDef {
        name: "sysctl.persist",
        args: "(name, value, config=None)",
        doc: "Sets a value, now and for the next boot: `Updated` or `Already set`.",
        run: ExecFn::Write(|call, act, _| {
            let (name, value) = (call.need(0, "name")?, call.need(1, "value")?);
            let file = call.text(2, "config").unwrap_or_else(|| config(act.as_look()).into());
            let text = ask::text(act.as_look(), &file)?.unwrap_or_default();
            let running = ask::text(act.as_look(), path(&name))?.map(|text| text.trim().to_owned());
            let (mut out, mut found) = (String::new(), None);
            for line in text.lines() {
                let have = line.split_once('=').filter(|(key, _)| key.trim() == name).map(|(_, have)| have.trim());
                match have {
                    Some(have) if found.is_none() => {
                        found = Some(have == value);
                        out += &format!("{name} = {value}\n");
                    }
                    Some(_) => {}
                    None => out += &format!("{line}\n"),
                }
            }
            if found == Some(true) && running.as_deref() == Some(&value) {
                return Ok("Already set".into());
            }
            if found.is_none() {
                out += &format!("{name} = {value}\n");
            }
            let content = Content::Bytes(out.into_bytes());
            act.perform(&Effect::WriteFile { path: file.into(), content, attrs: Attrs::default(), backup: None })?;
            ask::must(act, Command::new(["sysctl", "-w", &format!("{name}={value}")]))?;
            Ok("Updated".into())
        }),
    },
];

fn config(look: &dyn Look) -> &'static str {
    if ask::is_dir(look, "/etc/sysctl.d") { "/etc/sysctl.d/99-salt.conf" } else { "/etc/sysctl.conf" }
}

fn path(name: &str) -> String {
    format!("/proc/sys/{}", if name.contains('/') { name.to_owned() } else { name.replace('.', "/") })
}
