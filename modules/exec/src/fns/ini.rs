//! `ini.*`: keys and sections of ini files.

use crate::ini::{self, Section, Style};
use corpus_core::{Act, Call, Effect, ExecDef, ExecError, ExecFn, Look, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "ini.set_option",
        args: "(file_name, sections=None, separator='=', encoding=None, no_spaces=False)",
        doc: "Sets keys, and keys of sections; returns what changed.",
        run: ExecFn::Write(|call, act, _| {
            let style = style(call, 2, 4);
            let wanted = call.arg(1, "sections").and_then(Value::as_map).cloned().unwrap_or_default();
            let (path, mut file) = read(call, act.as_look(), &style)?;
            let changes = file.update(&wanted, &style);
            write(act, &path, &file, &style, !changes.is_empty())?;
            Ok(changes.into())
        }),
    },
    ExecDef {
        name: "ini.get_option",
        args: "(file_name, section, option, separator='=', encoding=None)",
        doc: "Returns the value of a key.",
        run: ExecFn::Read(|call, look, _| {
            let (_, file) = read(call, look, &style(call, 3, usize::MAX))?;
            Ok(file.get(call.text(1, "section").as_deref(), &call.need(2, "option")?).unwrap_or_default())
        }),
    },
    ExecDef {
        name: "ini.remove_option",
        args: "(file_name, section, option, separator='=', encoding=None)",
        doc: "Takes a key out and returns its value.",
        run: ExecFn::Write(|call, act, _| {
            let style = style(call, 3, usize::MAX);
            let (path, mut file) = read(call, act.as_look(), &style)?;
            let gone = file.remove(call.text(1, "section").as_deref(), &call.need(2, "option")?);
            write(act, &path, &file, &style, gone.is_some())?;
            Ok(gone.into())
        }),
    },
    ExecDef {
        name: "ini.get_section",
        args: "(file_name, section, separator='=', encoding=None)",
        doc: "Returns the keys of a section.",
        run: ExecFn::Read(|call, look, _| {
            let (_, file) = read(call, look, &style(call, 2, usize::MAX))?;
            Ok(file.section(&call.need(1, "section")?).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "ini.remove_section",
        args: "(file_name, section, separator='=', encoding=None)",
        doc: "Takes a section out and returns what it held.",
        run: ExecFn::Write(|call, act, _| {
            let style = style(call, 2, usize::MAX);
            let (path, mut file) = read(call, act.as_look(), &style)?;
            let gone = file.remove_section(&call.need(1, "section")?);
            write(act, &path, &file, &style, gone.is_some())?;
            Ok(gone.map(Map::into).unwrap_or_default())
        }),
    },
    ExecDef {
        name: "ini.get_ini",
        args: "(file_name, separator='=', encoding=None)",
        doc: "Returns all sections with their keys.",
        run: ExecFn::Read(|call, look, _| Ok(read(call, look, &style(call, 1, usize::MAX))?.1.values().into())),
    },
];

fn style(call: &Call, separator: usize, no_spaces: usize) -> Style {
    Style {
        separator: call.text(separator, "separator").unwrap_or_else(|| "=".into()),
        no_spaces: call.flag(no_spaces, "no_spaces", false),
    }
}

fn read(call: &Call, look: &dyn Look, style: &Style) -> Result<(String, Section), ExecError> {
    let path = call.need(0, "file_name")?;
    let file = ini::read(look, &path, style)?;
    Ok((path, file))
}

fn write(act: &dyn Act, path: &str, file: &Section, style: &Style, changed: bool) -> Result<(), ExecError> {
    if changed {
        act.perform(&Effect::text(path, file.write(style)))?;
    }
    Ok(())
}
