//! `file.*`: editing files by the rules that the file states follow.

use crate::file::call::{Answer, path_of, put, stat, write};
use crate::file::{self, Text, block::Block, comment, diff, line::Line, pattern, replace::Replace};
use corpus_core::host::{Act, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, Value, python};
use std::path::PathBuf;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    write("file.append", "(path, *args)", "Adds lines at the end of a file.", append),
    write(
        "file.blockreplace",
        "(path, marker_start, marker_end, content='', append_if_not_found=False, prepend_if_not_found=False)",
        "Replaces the text between two markers.",
        blockreplace,
    ),
    write(
        "file.comment",
        "(path, regex, char='#', backup='.bak')",
        "Comments out the lines that match.",
        |call, host, _| comment_lines(call, host, Some(true)),
    ),
    write(
        "file.comment_line",
        "(path, regex, char='#', cmnt=True, backup='.bak')",
        "Comments out the lines that match, or the reverse.",
        |call, host, _| comment_lines(call, host, None),
    ),
    write(
        "file.line",
        "(path, content=None, match=None, mode=None, location=None, before=None, after=None, show_changes=True, backup=False, quiet=False, indent=True)",
        "Edits one line of a file.",
        edit_line,
    ),
    write("file.prepend", "(path, *args)", "Adds lines at the beginning of a file.", prepend),
    write(
        "file.replace",
        "(path, pattern, repl, count=0, flags=8, append_if_not_found=False, prepend_if_not_found=False, not_found_content=None, backup='.bak', dry_run=False, show_changes=True)",
        "Replaces what a regular expression finds.",
        replace,
    ),
    write("file.truncate", "(path, length)", "Cuts a file to a length.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        let length = call.need(1, "length")?.parse().map_err(|_| call.invalid("length", "is no number"))?;
        let mut bytes = host.read(&path)?;
        bytes.resize(length, 0);
        put(host, path, bytes, None).map(|()| Value::Null)
    }),
    write(
        "file.uncomment",
        "(path, regex, char='#', backup='.bak')",
        "Uncomments the lines that match.",
        |call, host, _| comment_lines(call, host, Some(false)),
    ),
    write("file.write", "(path, *args)", "Writes lines into a file.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        let lines = lines_of(call);
        let shown = path.display().to_string();
        put(host, path, lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes(), None)?;
        Ok(format!("Wrote {} lines to \"{shown}\"", lines.len()).into())
    }),
];

/// Reads a file that is to be edited.
fn editable(call: &Call, host: &dyn Look) -> Result<(PathBuf, Text), ExecError> {
    let path = file::real_path(host, &path_of(call, host, 0, "path")?)?;
    if !host.stat(&path)?.is_some_and(|meta| meta.is_file()) {
        return Err(ExecError::failed(format!("File not found: {}", path.display())));
    }
    let text = Text::read(&host.read(&path)?).ok_or_else(|| {
        ExecError::failed(format!("Cannot perform string replacements on a binary file: {}", path.display()))
    })?;
    Ok((path, text))
}

/// Writes an edited text and returns the difference, or whether there is one.
fn save(call: &Call, host: &dyn Act, path: PathBuf, old: &Text, new: &str) -> Answer {
    let changed = old.text != new;
    if changed && !call.flag(usize::MAX, "dry_run", false) {
        let backup = call.kwargs.get("backup").cloned().unwrap_or_else(|| ".bak".into());
        let backup = backup.truthy().then(|| match backup {
            Value::Bool(_) => ".bak".to_owned(),
            suffix => python::str(&suffix),
        });
        let backup = backup.map(|suffix| PathBuf::from(format!("{}{suffix}", path.display())));
        put(host, path, old.bytes(new), backup)?;
    }
    if !call.flag(usize::MAX, "show_changes", true) {
        return Ok(changed.into());
    }
    Ok(diff::unified(&old.text, new).into())
}

fn lines_of(call: &Call) -> Vec<String> {
    match call.kwargs.get("args") {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(one) => vec![python::str(one)],
        None => call.args.iter().skip(1).map(python::str).collect(),
    }
}

fn append(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    let lines = lines_of(call);
    let mut bytes = host.read(&path)?;
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    lines.iter().for_each(|line| bytes.extend(format!("{line}\n").into_bytes()));
    let shown = path.display().to_string();
    put(host, path, bytes, None)?;
    Ok(format!("Wrote {} lines to \"{shown}\"", lines.len()).into())
}

fn prepend(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    let lines = lines_of(call);
    let mut bytes: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    if host.stat(&path)?.is_some() {
        bytes.extend(host.read(&path)?);
    }
    let shown = path.display().to_string();
    put(host, path, bytes, None)?;
    Ok(format!("Prepended {} lines to \"{shown}\"", lines.len()).into())
}

fn blockreplace(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (path, old) = editable(call, host.as_look())?;
    let block = Block {
        marker_start: call.text(1, "marker_start").unwrap_or_else(|| "#-- start managed zone --".into()),
        marker_end: call.text(2, "marker_end").unwrap_or_else(|| "#-- end managed zone --".into()),
        content: call.text(3, "content").unwrap_or_default(),
        append_if_not_found: call.flag(4, "append_if_not_found", false),
        prepend_if_not_found: call.flag(5, "prepend_if_not_found", false),
        insert_before_match: call.text(usize::MAX, "insert_before_match"),
        insert_after_match: call.text(usize::MAX, "insert_after_match"),
        append_newline: call.kwargs.get("append_newline").and_then(Value::as_bool),
    };
    let new = block.apply(&old.text).map_err(ExecError::Failed)?;
    save(call, host, path, &old, &new)
}

fn replace(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    if call.flag(usize::MAX, "ignore_if_missing", false) && stat(call, host.as_look())?.is_none() {
        return Ok(false.into());
    }
    let (path, old) = editable(call, host.as_look())?;
    let what = Replace {
        pattern: call.need(1, "pattern")?,
        repl: call.need(2, "repl")?,
        count: call.arg(3, "count").and_then(Value::as_int).and_then(|i| usize::try_from(i).ok()).unwrap_or(0),
        flags: pattern::flags(call.arg(4, "flags").unwrap_or(&Value::Null)).map_err(ExecError::Failed)?,
        append_if_not_found: call.flag(usize::MAX, "append_if_not_found", false),
        prepend_if_not_found: call.flag(usize::MAX, "prepend_if_not_found", false),
        not_found_content: call.text(usize::MAX, "not_found_content"),
        backslash_literal: call.flag(usize::MAX, "backslash_literal", false),
    };
    let new = what.apply(&old.text).map_err(ExecError::Failed)?;
    save(call, host, path, &old, &new)
}

fn comment_lines(call: &Call, host: &dyn Act, on: Option<bool>) -> Answer {
    let (path, old) = editable(call, host.as_look())?;
    let regex = call.need(1, "regex")?;
    let char = call.text(2, "char").unwrap_or_else(|| "#".into());
    let on = on.unwrap_or_else(|| call.flag(3, "cmnt", true));
    match comment::edit(&old.text, &regex, &char, on).map_err(ExecError::Failed)? {
        comment::Found::Edit(new) if new != old.text => save(call, host, path, &old, &new),
        _ => Ok(false.into()),
    }
}

fn edit_line(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (path, old) = match editable(call, host.as_look()) {
        Err(_) if call.flag(9, "quiet", false) => return Ok(false.into()),
        other => other?,
    };
    let mode = call.text(3, "mode").map(|mode| mode.to_lowercase());
    let what = Line {
        content: call.text(1, "content"),
        matching: call.text(2, "match"),
        mode: mode.ok_or_else(|| ExecError::failed("Mode was not defined. How to process the file?"))?,
        location: call.text(4, "location"),
        before: call.text(5, "before"),
        after: call.text(6, "after"),
        indent: call.flag(10, "indent", true),
    };
    if what.content.is_none() && what.mode != "delete" {
        return Err(ExecError::failed("Content can only be empty if mode is \"delete\""));
    }
    let new = what.apply(&old.text).map_err(ExecError::Failed)?;
    let mut plain = call.clone();
    if !plain.kwargs.contains("backup") {
        plain.kwargs.insert("backup", false);
    }
    save(&plain, host, path, &old, &new)
}
