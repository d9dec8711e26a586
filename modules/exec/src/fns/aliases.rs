//! `aliases.*`: where mail for local names goes.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Act, Data, Effect, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "aliases.list_aliases",
        args: "()",
        doc: "Returns all aliases with their targets.",
        run: ExecFn::Read(|_, look, data| {
            let file = Aliases::read(look, data)?;
            Ok(file.entries().map(|(name, target)| (name, Value::from(target))).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "aliases.get_target",
        args: "(alias)",
        doc: "Returns the target of an alias; empty if there is none.",
        run: ExecFn::Read(|call, look, data| {
            Ok(Aliases::read(look, data)?.target(&call.need(0, "alias")?).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "aliases.has_target",
        args: "(alias, target)",
        doc: "Tells whether an alias has a target.",
        run: ExecFn::Read(|call, look, data| {
            let target = target(call.arg(1, "target").ok_or_else(|| call.missing("target"))?);
            Ok((Aliases::read(look, data)?.target(&call.need(0, "alias")?) == Some(&target)).into())
        }),
    },
    ExecDef {
        name: "aliases.set_target",
        args: "(alias, target)",
        doc: "Sets the target of an alias.",
        run: ExecFn::Write(|call, act, data| {
            let target = target(call.arg(1, "target").ok_or_else(|| call.missing("target"))?);
            change(act, data, |file| file.set(&call.need(0, "alias")?, Some(&target)))
        }),
    },
    ExecDef {
        name: "aliases.rm_alias",
        args: "(alias)",
        doc: "Removes an alias.",
        run: ExecFn::Write(|call, act, data| change(act, data, |file| file.set(&call.need(0, "alias")?, None))),
    },
];

/// Writes one target or a list of them as the file has it.
pub fn target(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(", "),
        one => python::str(one),
    }
}

/// The table of aliases; lines that stay are kept as they are.
pub struct Aliases {
    path: String,
    lines: Vec<String>,
}

/// Takes a line apart: alias, target, comment with the space before it.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (data, comment) = match line.find(" #").or_else(|| line.find("\t#")) {
        Some(at) => line.split_at(line[..at].trim_end().len()),
        None => (line, ""),
    };
    let (name, target) = data.split_once(':')?;
    (!name.contains('#')).then(|| (name.trim(), target.trim(), comment))
}

impl Aliases {
    /// Reads the file that the configuration names (`aliases.file`).
    pub fn read(look: &dyn Look, data: &Data) -> HostResult<Self> {
        let path = data.opts.get("aliases.file").and_then(Value::as_str).unwrap_or("/etc/aliases").to_owned();
        let text = ask::text(look, &path)?.unwrap_or_default();
        Ok(Self { path, lines: text.lines().map(str::to_owned).collect() })
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| parts(line)).map(|(name, target, _)| (name, target))
    }

    /// Returns the target of an alias; the last line counts.
    pub fn target(&self, alias: &str) -> Option<&str> {
        self.entries().filter(|(name, _)| *name == alias).last().map(|(_, target)| target)
    }

    /// Sets a target, or takes the alias out.
    pub fn set(&mut self, alias: &str, target: Option<&str>) -> Result<(), ExecError> {
        if alias.is_empty() || target == Some("") {
            return Err(ExecError::failed(format!(
                "{} can not be an empty string",
                if alias.is_empty() { "alias" } else { "target" }
            )));
        }
        let mut done = target.is_none();
        self.lines = std::mem::take(&mut self.lines)
            .into_iter()
            .filter_map(|line| match parts(&line) {
                Some((name, _, comment)) if name == alias => {
                    let first = !std::mem::replace(&mut done, true);
                    first.then(|| format!("{alias}: {}{comment}", target.unwrap_or_default()))
                }
                _ => Some(line),
            })
            .collect();
        if let (false, Some(target)) = (done, target) {
            self.lines.push(format!("{alias}: {target}"));
        }
        Ok(())
    }

    /// Returns the effects that write the file and tell the mail system.
    pub fn effects(&self, look: &dyn Look) -> Vec<Effect> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let mut effects = vec![Effect::text(&self.path, text)];
        if look.which("newaliases").is_some() {
            effects.push(Effect::Exec(Command::new(["newaliases"])));
        }
        effects
    }
}

fn change(
    act: &dyn Act,
    data: &Data,
    edit: impl FnOnce(&mut Aliases) -> Result<(), ExecError>,
) -> Result<Value, ExecError> {
    let mut file = Aliases::read(act.as_look(), data)?;
    let before = file.lines.clone();
    edit(&mut file)?;
    if file.lines != before {
        for effect in file.effects(act.as_look()) {
            act.perform(&effect)?;
        }
    }
    Ok(true.into())
}
