//! `file.*`: looking at files, and editing them by the rules that the file states follow.

use crate::file::{self, Text, block::Block, comment, diff, hash, line::Line, pattern, perms, replace::Replace, walk};
use corpus_core::decode::Mode;
use corpus_core::host::{Act, Look};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Call, Data, Effect, ExecDef, ExecError, ExecFn, Map, Meta, Value, python};
use std::path::{Path, PathBuf};

type Answer = Result<Value, ExecError>;
type Read = fn(&Call, &dyn Look, &Data) -> Answer;
type Write = fn(&Call, &dyn Act, &Data) -> Answer;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Read) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Write) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

const fn data(name: &'static str, args: &'static str, doc: &'static str, run: fn(&Call, &Data) -> Answer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Data(run) }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "file.access",
        "(path, mode)",
        "Tells whether a path can be read, written, executed (`r`, `w`, `x`) or is there (`f`).",
        access,
    ),
    write("file.append", "(path, *args)", "Adds lines at the end of a file.", append),
    data("file.basename", "(path)", "Returns the last part of a path.", |call, _| {
        let path = call.need(0, "path")?;
        Ok(path.rsplit('/').next().unwrap_or_default().into())
    }),
    write(
        "file.blockreplace",
        "(path, marker_start, marker_end, content='', append_if_not_found=False, prepend_if_not_found=False)",
        "Replaces the text between two markers.",
        blockreplace,
    ),
    read("file.check_hash", "(path, file_hash)", "Tells whether a file has a digest.", check_hash),
    write("file.chgrp", "(path, group)", "Changes the group of a file.", |call, host, _| {
        let group = call.arg(1, "group").cloned();
        set(call, host, perms::Want { group, ..perms::Want::default() }, true).map(|_| Value::Null)
    }),
    write("file.chown", "(path, user, group)", "Changes owner and group of a file.", |call, host, _| {
        chown(call, host, true)
    }),
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
    read("file.contains", "(path, text)", "Tells whether a file contains a text.", |call, host, _| {
        let text = call.need(1, "text")?;
        Ok(text_at(call, host)?.is_some_and(|found| found.text.contains(text.trim())).into())
    }),
    read("file.contains_regex", "(path, regex, lchar='')", "Tells whether a line of a file matches.", contains_regex),
    write("file.copy", "(src, dst, recurse=False, remove_existing=False)", "Copies a file or a directory.", copy),
    read("file.directory_exists", "(path)", "Tells whether there is a directory at a path.", |call, host, _| {
        Ok(stat(call, host)?.is_some_and(|meta| meta.is_dir()).into())
    }),
    data("file.dirname", "(path)", "Returns a path without its last part.", |call, _| {
        let path = call.need(0, "path")?;
        let head = path.rsplit_once('/').map_or("", |(head, _)| head);
        let trimmed = head.trim_end_matches('/');
        Ok(if trimmed.is_empty() && path.starts_with('/') { "/" } else { trimmed }.into())
    }),
    read("file.file_exists", "(path)", "Tells whether there is a file at a path.", |call, host, _| {
        Ok(stat(call, host)?.is_some_and(|meta| meta.is_file()).into())
    }),
    read(
        "file.find",
        "(path, name=, iname=, type=, size=, mtime=, owner=, group=, maxdepth=, mindepth=, print=)",
        "Lists what is below a path.",
        find,
    ),
    read("file.get_gid", "(path, follow_symlinks=True)", "Returns the number of a file's group.", |call, host, _| {
        Ok(meta(call, host, 1)?.gid.into())
    }),
    read("file.get_group", "(path, follow_symlinks=True)", "Returns a file's group.", |call, host, _| {
        Ok(perms::group_name(host, meta(call, host, 1)?.gid).into())
    }),
    read("file.get_hash", "(path, form='sha256')", "Returns the digest of a file.", get_hash),
    read("file.get_sum", "(path, form='sha256')", "Returns the digest of a file.", get_hash),
    read("file.get_mode", "(path, follow_symlinks=True)", "Returns the permissions of a file.", |call, host, _| {
        Ok(Mode::show(meta(call, host, 1)?.mode).into())
    }),
    read("file.get_uid", "(path, follow_symlinks=True)", "Returns the number of a file's owner.", |call, host, _| {
        Ok(meta(call, host, 1)?.uid.into())
    }),
    read("file.get_user", "(path, follow_symlinks=True)", "Returns a file's owner.", |call, host, _| {
        Ok(perms::user_name(host, meta(call, host, 1)?.uid).into())
    }),
    read("file.gid_to_group", "(gid)", "Returns the name of a group.", |call, host, _| {
        let gid = call.need(0, "gid")?;
        Ok(gid.parse().map_or(gid, |gid| perms::group_name(host, gid)).into())
    }),
    read("file.grep", "(path, pattern, *opts)", "Looks for a pattern with the grep program.", grep),
    read("file.group_to_gid", "(group)", "Returns the number of a group.", |call, host, _| {
        let group = call.arg(0, "group").cloned().unwrap_or_default();
        Ok(perms::gid(host, &group)?.map_or_else(|| "".into(), Value::from))
    }),
    read("file.is_link", "(path)", "Tells whether a path is a symbolic link.", |call, host, _| {
        Ok(host.lstat(&path_of(call, host, 0, "path")?)?.is_some_and(|meta| meta.is_symlink()).into())
    }),
    data("file.join", "(*args)", "Joins parts of a path.", |call, _| {
        let mut out = String::new();
        for part in call.args.iter().map(python::str) {
            if !out.is_empty() && !out.ends_with('/') {
                out.push('/');
            }
            // Salt: unlike Python, a later part that begins with a slash does not start over.
            out.push_str(if out.is_empty() { &part } else { part.trim_start_matches('/') });
        }
        Ok(out.into())
    }),
    write("file.lchown", "(path, user, group)", "Changes owner and group of a link itself.", |call, host, _| {
        chown(call, host, false)
    }),
    write(
        "file.line",
        "(path, content=None, match=None, mode=None, location=None, before=None, after=None, show_changes=True, backup=False, quiet=False, indent=True)",
        "Edits one line of a file.",
        edit_line,
    ),
    write("file.link", "(src, path)", "Makes a hard link.", |call, host, _| {
        let (target, path) = (path_of(call, host, 0, "src")?, path_of(call, host, 1, "path")?);
        host.perform(&Effect::Hardlink { path, target })?;
        Ok(true.into())
    }),
    read("file.list_backups", "(path, limit=None)", "Lists what `backup: minion` has kept of a file.", list_backups),
    read("file.lstat", "(path)", "Returns what `lstat` tells of a path.", lstat),
    write(
        "file.makedirs",
        "(path, user=None, group=None, mode=None)",
        "Makes the directory that a path is in.",
        makedirs,
    ),
    write("file.mkdir", "(dir_path, user=None, group=None, mode=None)", "Makes a directory, with its parents.", mkdir),
    write("file.move", "(src, dst)", "Moves a file.", rename),
    data("file.normpath", "(path)", "Resolves `.`, `..` and doubled slashes.", |call, _| {
        Ok(file::normpath(&call.need(0, "path")?).into())
    }),
    data("file.pardir", "()", "Returns the name of the parent directory.", |_, _| Ok("..".into())),
    read("file.path_exists_glob", "(path)", "Tells whether something matches a shell pattern.", path_exists_glob),
    write("file.prepend", "(path, *args)", "Adds lines at the beginning of a file.", prepend),
    read("file.read", "(path, binary=False)", "Returns the content of a file.", |call, host, _| {
        Ok(String::from_utf8_lossy(&host.read(&path_of(call, host, 0, "path")?)?).into_owned().into())
    }),
    read("file.readdir", "(path)", "Lists a directory, `.` and `..` included.", |call, host, _| {
        let mut names = vec![".".to_owned(), "..".to_owned()];
        names.extend(host.list(&path_of(call, host, 0, "path")?)?);
        Ok(names.into())
    }),
    read("file.readlink", "(path, canonicalize=False)", "Returns what a link points to.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        if !host.lstat(&path)?.is_some_and(|meta| meta.is_symlink()) {
            return Err(call.invalid("path", format!("A valid link was not specified: {}", path.display())));
        }
        let found =
            if call.flag(1, "canonicalize", false) { file::real_path(host, &path)? } else { host.read_link(&path)? };
        Ok(found.display().to_string().into())
    }),
    write("file.remove", "(path)", "Removes a file, a link or a whole directory.", remove),
    write("file.rename", "(src, dst)", "Renames a file.", rename),
    write(
        "file.replace",
        "(path, pattern, repl, count=0, flags=8, append_if_not_found=False, prepend_if_not_found=False, not_found_content=None, backup='.bak', dry_run=False, show_changes=True)",
        "Replaces what a regular expression finds.",
        replace,
    ),
    write("file.rmdir", "(path)", "Removes an empty directory.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        match host.list(&path) {
            Ok(names) if names.is_empty() => {
                host.perform(&Effect::Remove { path }).map(|_| true.into()).map_err(Into::into)
            }
            Ok(_) => Ok("Directory not empty".into()),
            Err(error) => Err(error.into()),
        }
    }),
    read(
        "file.search",
        "(path, pattern, flags=8, multiline=False, ignore_if_missing=False)",
        "Tells whether a regular expression finds something.",
        search,
    ),
    write("file.set_mode", "(path, mode)", "Changes the permissions of a file.", |call, host, _| {
        let mode = mode_of(call, 1, "mode")?;
        set(call, host, perms::Want { mode, ..perms::Want::default() }, true)?;
        Ok(mode.map(Mode::show).into())
    }),
    read("file.stats", "(path, hash_type=None, follow_symlinks=True)", "Returns what is known of a file.", stats),
    write("file.symlink", "(src, path, force=False)", "Makes a symbolic link.", symlink),
    write("file.touch", "(name, atime=None, mtime=None)", "Makes an empty file, or sets the times of one.", touch),
    write("file.truncate", "(path, length)", "Cuts a file to a length.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        let length = call.need(1, "length")?.parse().map_err(|_| call.invalid("length", "is no number"))?;
        let mut bytes = host.read(&path)?;
        bytes.resize(length, 0);
        put(host, path, bytes, None).map(|()| Value::Null)
    }),
    read("file.uid_to_user", "(uid)", "Returns the name of a user.", |call, host, _| {
        let uid = call.need(0, "uid")?;
        Ok(uid.parse().map_or(uid, |uid| perms::user_name(host, uid)).into())
    }),
    write(
        "file.uncomment",
        "(path, regex, char='#', backup='.bak')",
        "Uncomments the lines that match.",
        |call, host, _| comment_lines(call, host, Some(false)),
    ),
    read("file.user_to_uid", "(user)", "Returns the number of a user.", |call, host, _| {
        let user = call.arg(0, "user").cloned().unwrap_or_else(|| "root".into());
        Ok(perms::uid(host, &user)?.map_or_else(|| "".into(), Value::from))
    }),
    write("file.write", "(path, *args)", "Writes lines into a file.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        let lines = lines_of(call);
        let shown = path.display().to_string();
        put(host, path, lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes(), None)?;
        Ok(format!("Wrote {} lines to \"{shown}\"", lines.len()).into())
    }),
];

fn path_of(call: &Call, host: &dyn Look, place: usize, name: &str) -> Result<PathBuf, ExecError> {
    Ok(PathBuf::from(file::expand_user(host, &call.need(place, name)?)))
}

fn stat(call: &Call, host: &dyn Look) -> Result<Option<Meta>, ExecError> {
    Ok(host.stat(&path_of(call, host, 0, "path")?)?)
}

fn meta(call: &Call, host: &dyn Look, follow: usize) -> Result<Meta, ExecError> {
    let path = path_of(call, host, 0, "path")?;
    let found = if call.flag(follow, "follow_symlinks", true) { host.stat(&path)? } else { host.lstat(&path)? };
    found.ok_or_else(|| ExecError::failed(format!("Path not found: {}", path.display())))
}

fn text_at(call: &Call, host: &dyn Look) -> Result<Option<Text>, ExecError> {
    let path = path_of(call, host, 0, "path")?;
    Ok(match host.stat(&path)? {
        Some(meta) if meta.is_file() => Text::read(&host.read(&path)?),
        _ => None,
    })
}

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

fn put(host: &dyn Act, path: PathBuf, bytes: Vec<u8>, backup: Option<PathBuf>) -> Result<(), ExecError> {
    let content = Content::Bytes(bytes);
    host.perform(&Effect::WriteFile { path, content, attrs: Attrs::default(), backup })?;
    Ok(())
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

fn mode_of(call: &Call, place: usize, name: &str) -> Result<Option<u32>, ExecError> {
    let Some(value) = call.arg(place, name).filter(|value| !value.is_null()) else { return Ok(None) };
    let mode: Mode = corpus_core::decode::from_value(value).map_err(|error| call.invalid(name, error))?;
    Ok(mode.bits())
}

fn set(call: &Call, host: &dyn Act, want: perms::Want, follow: bool) -> Result<(), ExecError> {
    let path = path_of(call, host.as_look(), 0, "path")?;
    if let Some(text) = want.unavailable(host.as_look())? {
        return Err(ExecError::failed(text.trim_end()));
    }
    host.perform(&Effect::Attrs { path, attrs: want.attrs(), follow })?;
    Ok(())
}

fn chown(call: &Call, host: &dyn Act, follow: bool) -> Answer {
    let (user, group) = (call.arg(1, "user").cloned(), call.arg(2, "group").cloned());
    set(call, host, perms::Want { user, group, mode: None }, follow).map(|()| Value::Null)
}

fn access(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let wanted = call.need(1, "mode")?;
    let found = stat(call, host)?;
    let bit = match wanted.as_str() {
        "f" => return Ok(found.is_some().into()),
        "r" => 0o444,
        "w" => 0o222,
        "x" => 0o111,
        _ => return Err(call.invalid("mode", "Invalid mode specified; use f, r, w or x")),
    };
    // The agent is root as a rule: it may read and write all, and execute what anybody may.
    Ok(found.is_some_and(|meta| bit != 0o111 || meta.is_dir() || meta.mode & bit != 0).into())
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

fn contains_regex(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let regex = pattern::compile(&call.need(1, "regex")?, 0).map_err(ExecError::Failed)?;
    let strip = call.text(2, "lchar").unwrap_or_default();
    let Some(text) = text_at(call, host)? else { return Ok(false.into()) };
    Ok(file::lines(&text.text)
        .into_iter()
        .any(|line| pattern::found(&regex, line.trim_start_matches(|c| strip.contains(c))))
        .into())
}

fn search(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let flags = pattern::flags(call.arg(2, "flags").unwrap_or(&Value::Null)).map_err(ExecError::Failed)?;
    let multiline = if call.flag(usize::MAX, "multiline", false) { pattern::MULTILINE } else { 0 };
    let regex = pattern::compile(&call.need(1, "pattern")?, flags | multiline).map_err(ExecError::Failed)?;
    match text_at(call, host)? {
        Some(text) => Ok(pattern::found(&regex, &text.text).into()),
        None if call.flag(usize::MAX, "ignore_if_missing", false) => Ok(false.into()),
        None => Err(ExecError::failed(format!("File not found: {}", call.need(0, "path")?))),
    }
}

fn grep(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let path = path_of(call, host, 0, "path")?;
    let mut argv = vec!["grep".to_owned()];
    argv.extend(call.args.iter().skip(2).map(python::str));
    argv.extend([call.need(1, "pattern")?, path.display().to_string()]);
    let output = host.query(&corpus_core::Command::new(argv))?;
    let mut out = Map::new();
    out.insert("pid", output.pid);
    out.insert("retcode", output.code);
    out.insert("stdout", output.stdout_text().trim_end_matches('\n'));
    out.insert("stderr", output.stderr_text().trim_end_matches('\n'));
    Ok(out.into())
}

fn get_hash(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let kind = call.text(1, "form").unwrap_or_else(|| "sha256".into());
    let found = hash::of_file(host, &kind.to_lowercase(), &path_of(call, host, 0, "path")?)?;
    found.map(Value::from).ok_or_else(|| call.invalid("form", format!("Invalid hash type: {kind}")))
}

fn check_hash(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let sum = hash::parse(&call.need(1, "file_hash")?).map_err(ExecError::Failed)?;
    let found = hash::of_file(host, sum.kind, &path_of(call, host, 0, "path")?)?;
    Ok((found.as_deref() == Some(&*sum.hex)).into())
}

fn seconds(mtime: i128) -> f64 {
    mtime as f64 / 1e9
}

fn lstat(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let Some(meta) = host.lstat(&path_of(call, host, 0, "path")?)? else { return Ok(Map::new().into()) };
    let mut out = Map::new();
    out.insert("st_gid", meta.gid);
    out.insert("st_mode", kind_bits(&meta) | meta.mode);
    out.insert("st_mtime", seconds(meta.mtime));
    out.insert("st_size", meta.size);
    out.insert("st_uid", meta.uid);
    Ok(out.into())
}

fn kind_bits(meta: &Meta) -> u32 {
    match meta.kind {
        corpus_core::FileKind::File => 0o100_000,
        corpus_core::FileKind::Dir => 0o040_000,
        corpus_core::FileKind::Symlink => 0o120_000,
        corpus_core::FileKind::Other => 0,
    }
}

fn stats(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let path = path_of(call, host, 0, "path")?;
    let meta = meta(call, host, 2)?;
    let kind = match meta.kind {
        corpus_core::FileKind::File => "file",
        corpus_core::FileKind::Dir => "dir",
        corpus_core::FileKind::Symlink => "link",
        corpus_core::FileKind::Other => "other",
    };
    let mut out = Map::new();
    out.insert("inode", meta.ino);
    out.insert("uid", meta.uid);
    out.insert("gid", meta.gid);
    out.insert("group", perms::group_name(host, meta.gid));
    out.insert("user", perms::user_name(host, meta.uid));
    out.insert("mtime", seconds(meta.mtime));
    out.insert("size", meta.size);
    out.insert("mode", Mode::show(meta.mode));
    if let Some(kind) = call.text(1, "hash_type").filter(|_| meta.is_file()) {
        out.insert("sum", hash::of_file(host, &kind, &path)?);
    }
    out.insert("type", kind);
    out.insert("target", file::real_path(host, &path)?.display().to_string());
    Ok(out.into())
}

fn path_exists_glob(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let path = path_of(call, host, 0, "path")?;
    let mut found = vec![PathBuf::from("/")];
    for part in path.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        let mut next = vec![];
        for dir in found {
            if part.contains(['*', '?', '[']) {
                let names = host.list(&dir).unwrap_or_default();
                let hidden = |name: &str| name.starts_with('.') && !part.starts_with('.');
                next.extend(
                    names
                        .iter()
                        .filter(|name| !hidden(name) && pattern::fnmatch(name, &part))
                        .map(|name| dir.join(name)),
                );
            } else if host.lstat(&dir.join(&*part))?.is_some() {
                next.push(dir.join(&*part));
            }
        }
        found = next;
    }
    Ok((!found.is_empty()).into())
}

fn list_backups(call: &Call, host: &dyn Look, data: &Data) -> Answer {
    let path = path_of(call, host, 0, "path")?;
    let dir = file::backups(&data.opts).join(file::parent(&path).strip_prefix("/").unwrap_or(Path::new("")));
    let start = format!("{}_", path.file_name().unwrap_or_default().to_string_lossy());
    let mut names = if host.stat(&dir)?.is_some() { host.list(&dir)? } else { vec![] };
    names.retain(|name| name.starts_with(&start));
    let limit =
        call.arg(1, "limit").and_then(Value::as_int).and_then(|i| usize::try_from(i).ok()).unwrap_or(usize::MAX);
    let mut found = vec![];
    for name in names {
        let location = dir.join(&name);
        if let Some(meta) = host.stat(&location)? {
            found.push((meta, name[start.len()..].to_owned(), location));
        }
    }
    found.sort_by_key(|(meta, ..)| std::cmp::Reverse(meta.mtime));
    let entry = |(at, (meta, time, location)): (usize, (Meta, String, PathBuf))| {
        let mut out = Map::new();
        out.insert("Backup Time", time);
        out.insert("Size", meta.size);
        out.insert("Location", location.display().to_string());
        (Value::from(at), Value::from(out))
    };
    Ok(found.into_iter().take(limit).enumerate().map(entry).collect::<Map>().into())
}

fn attrs_of(call: &Call, host: &dyn Look) -> Result<Attrs, ExecError> {
    let (user, group) = (call.arg(1, "user").cloned(), call.arg(2, "group").cloned());
    let want = perms::Want { user, group, mode: mode_of(call, 3, "mode")? };
    match want.unavailable(host)? {
        Some(text) => Err(ExecError::failed(text.trim_end())),
        None => Ok(want.attrs()),
    }
}

fn makedirs(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    let attrs = attrs_of(call, host.as_look())?;
    let missing = file::missing_parents(host.as_look(), &path)?;
    if missing.is_empty() {
        return Ok(format!("Directory '{}' already exists", file::parent(&path).display()).into());
    }
    for dir in missing {
        host.perform(&Effect::Mkdir { path: dir, attrs: attrs.clone() })?;
    }
    Ok(Value::Null)
}

fn mkdir(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "dir_path")?;
    let attrs = attrs_of(call, host.as_look())?;
    if host.stat(&path)?.is_some_and(|meta| meta.is_dir()) {
        return Ok(true.into());
    }
    for dir in file::missing_parents(host.as_look(), &path)?.into_iter().chain([path]) {
        host.perform(&Effect::Mkdir { path: dir, attrs: attrs.clone() })?;
    }
    Ok(true.into())
}

fn rename(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (from, to) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "dst")?);
    host.perform(&Effect::Rename { from, to })?;
    Ok(true.into())
}

fn copy(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (from, to) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "dst")?);
    let Some(meta) = host.stat(&from)? else {
        return Err(ExecError::failed(format!("No such file or directory '{}'", from.display())));
    };
    if meta.is_dir() && !call.flag(2, "recurse", false) {
        return Err(ExecError::failed("Cannot copy overwriting a directory without recurse flag set to true!"));
    }
    if call.flag(3, "remove_existing", false) && host.lstat(&to)?.is_some() {
        host.perform(&Effect::Remove { path: to.clone() })?;
    }
    host.perform(&Effect::Copy { from, to, preserve: true })?;
    Ok(true.into())
}

fn remove(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    if !path.is_absolute() {
        return Err(ExecError::failed("File path must be absolute."));
    }
    if path == Path::new("/") {
        return Err(ExecError::failed("Refusing to remove \"/\""));
    }
    if host.lstat(&path)?.is_none() {
        return Ok(false.into());
    }
    host.perform(&Effect::Remove { path })?;
    Ok(true.into())
}

fn symlink(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (target, path) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "path")?);
    if let Some(have) = host.lstat(&path)? {
        if have.is_symlink() && host.read_link(&path)? == target {
            return Ok(true.into());
        }
        if !call.flag(2, "force", false) {
            return Err(ExecError::failed(format!("Found existing symlink or file: {}", path.display())));
        }
        host.perform(&Effect::Remove { path: path.clone() })?;
    }
    host.perform(&Effect::Symlink { path, target, attrs: Attrs::default() })?;
    Ok(true.into())
}

fn touch(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "name")?;
    let time = |place, name| call.arg(place, name).and_then(Value::as_int);
    let (atime, mtime) = (time(1, "atime"), time(2, "mtime"));
    if host.stat(&path)?.is_none() {
        put(host, path.clone(), vec![], None)?;
    }
    host.perform(&Effect::Times { path, atime, mtime })?;
    Ok(true.into())
}

/// `file.find`: the tests that trees use; anything else is refused by name rather than ignored.
fn find(call: &Call, host: &dyn Look, _: &Data) -> Answer {
    let top = path_of(call, host, 0, "path")?;
    const KNOWN: [&str; 12] =
        ["path", "name", "iname", "regex", "type", "size", "mtime", "owner", "group", "maxdepth", "mindepth", "print"];
    for key in call.kwargs.keys().filter_map(Value::as_str) {
        if !KNOWN.contains(&key) {
            return Err(call.invalid(key, "is not built for file.find"));
        }
    }
    let text = |name: &str| call.kwargs.get(name).map(python::str);
    let number = |name: &str| call.kwargs.get(name).and_then(Value::as_int).and_then(|i| usize::try_from(i).ok());
    let regex = text("regex").map(|regex| pattern::compile(&regex, 0)).transpose().map_err(ExecError::Failed)?;
    let size = text("size").map(|size| bounds(&size)).transpose().map_err(|why| call.invalid("size", why))?;
    if text("mtime").is_some() {
        return Err(call.invalid("mtime", "is not built for file.find: it depends on the time of day"));
    }
    let (owner, group) = (text("owner"), text("group"));
    let mut found = vec![];
    if let Some(meta) = host.lstat(&top)? {
        found.push(walk::Found { path: top.clone(), meta, depth: 0 });
        if meta.is_dir() {
            found.extend(walk::below(host, &top, number("maxdepth"))?);
        }
    }
    let mut out = vec![];
    for walk::Found { path, meta, depth } in found {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = match meta.kind {
            corpus_core::FileKind::File => 'f',
            corpus_core::FileKind::Dir => 'd',
            corpus_core::FileKind::Symlink => 'l',
            corpus_core::FileKind::Other => 's',
        };
        let good = number("mindepth").is_none_or(|least| depth >= least)
            && text("name").is_none_or(|glob| pattern::fnmatch(&name, &glob))
            && text("iname").is_none_or(|glob| pattern::fnmatch(&name.to_lowercase(), &glob.to_lowercase()))
            && text("type").is_none_or(|kinds| kinds.contains(kind))
            && regex.as_ref().is_none_or(|regex| pattern::found(regex, &path.to_string_lossy()))
            && size.is_none_or(|(low, high)| (low..=high).contains(&meta.size))
            && owner.as_ref().is_none_or(|owner| perms::user_name(host, meta.uid) == *owner)
            && group.as_ref().is_none_or(|group| perms::group_name(host, meta.gid) == *group);
        if good {
            let shown = path.display().to_string();
            let column = |word: &str| match word.trim() {
                "name" => Value::from(name.as_str()),
                "size" => meta.size.into(),
                "mode" => Mode::show(meta.mode).into(),
                "user" => perms::user_name(host, meta.uid).into(),
                "group" => perms::group_name(host, meta.gid).into(),
                "mtime" => seconds(meta.mtime).into(),
                "type" => kind.to_string().into(),
                "md5" => hash::of_file(host, "md5", &path).ok().flatten().into(),
                _ => shown.as_str().into(),
            };
            let columns: Vec<Value> = text("print").unwrap_or_else(|| "path".into()).split(',').map(column).collect();
            out.push(if columns.len() == 1 { columns.into_iter().next().unwrap_or_default() } else { columns.into() });
        }
    }
    Ok(out.into())
}

/// Reads `10k`, `+1m`, `-5` as the least and the greatest size.
fn bounds(text: &str) -> Result<(u64, u64), String> {
    let (sign, rest) = match text.chars().next() {
        Some(sign @ ('+' | '-')) => (Some(sign), &text[1..]),
        _ => (None, text),
    };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match rest[digits.len()..].to_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        other => return Err(format!("unknown unit {other}")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size"))?;
    let bytes = number.saturating_mul(unit);
    Ok(match sign {
        Some('+') => (bytes, u64::MAX),
        Some(_) => (0, bytes),
        None => (bytes, bytes.saturating_add(unit - 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    fn ask(host: &Fake, fun: &str, args: &[&str], kwargs: &[(&str, Value)]) -> Answer {
        let call = Call {
            fun: fun.into(),
            args: args.iter().map(Value::str).collect(),
            kwargs: kwargs.iter().map(|(k, v)| (*k, v.clone())).collect(),
        };
        let data = Data::default();
        match FNS.iter().find(|def| def.name == fun).expect(fun).run {
            ExecFn::Data(run) => run(&call, &data),
            ExecFn::Read(run) => run(&call, host, &data),
            ExecFn::Write(run) => run(&call, host, &data),
        }
    }

    #[test]
    fn answers_as_salt_does() {
        let host = Fake::new();
        host.add_file("/d/a.conf", "hello\n", 0o640);
        host.add_file("/d/sub/b.conf", "x = 1\n", 0o600);
        host.add_link("/d/l", "a.conf");
        let no: &[(&str, Value)] = &[];
        for (fun, args, kwargs, expected) in [
            ("file.file_exists", &["/d/a.conf"][..], no, "True"),
            ("file.file_exists", &["/d"], no, "False"),
            ("file.directory_exists", &["/d"], no, "True"),
            ("file.dirname", &["/a/b/c"], no, "'/a/b'"),
            ("file.dirname", &["/a"], no, "'/'"),
            ("file.basename", &["/a/b"], no, "'b'"),
            ("file.join", &["/", "usr", "/local"], no, "'/usr/local'"),
            ("file.get_mode", &["/d/a.conf"], no, "'0640'"),
            ("file.get_user", &["/d/a.conf"], no, "'root'"),
            ("file.readlink", &["/d/l"], no, "'a.conf'"),
            ("file.is_link", &["/d/l"], no, "True"),
            ("file.get_hash", &["/d/a.conf", "md5"], no, "'b1946ac92492d2347c6235b4d2611184'"),
            ("file.check_hash", &["/d/a.conf", "md5=b1946ac92492d2347c6235b4d2611184"], no, "True"),
            ("file.search", &["/d/sub/b.conf", "^x ="], no, "True"),
            ("file.contains", &["/d/a.conf", "hell"], no, "True"),
            ("file.path_exists_glob", &["/d/*/b.conf"], no, "True"),
            ("file.find", &["/d"], &[("name", "*.conf".into())], "['/d/a.conf', '/d/sub/b.conf']"),
            (
                "file.find",
                &["/d"],
                &[("type", "f".into()), ("maxdepth", 1.into()), ("print", "name".into())],
                "['a.conf']",
            ),
            ("file.append", &["/d/a.conf", "more"], no, "'Wrote 1 lines to \"/d/a.conf\"'"),
            ("file.read", &["/d/a.conf"], no, "'hello\\nmore\\n'"),
            (
                "file.replace",
                &["/d/a.conf", "more", "less"],
                &[("backup", false.into())],
                "'--- \\n+++ \\n@@ -1,2 +1,2 @@\\n hello\\n-more\\n+less\\n'",
            ),
            ("file.set_mode", &["/d/a.conf", "600"], no, "'0600'"),
            ("file.remove", &["/d/a.conf"], no, "True"),
            ("file.remove", &["/d/a.conf"], no, "False"),
            ("file.mkdir", &["/new/deep"], no, "True"),
            ("file.normpath", &["/a/../b"], no, "'/b'"),
        ] {
            let answer = ask(&host, fun, args, kwargs).map(|value| python::repr(&value));
            assert_eq!(answer.as_deref().map_err(ToString::to_string), Ok(expected), "{fun} {args:?}");
        }
        assert!(ask(&host, "file.find", &["/d"], &[("exec", "rm".into())]).is_err());
    }
}
