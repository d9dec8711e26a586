//! `file.*`: looking for files.

use crate::file::call::{Answer, path_of, read, seconds};
use crate::file::{self, hash, pattern, perms, walk};
use corpus_core::decode::Mode;
use corpus_core::host::Look;
use corpus_core::{Call, Data, ExecDef, ExecError, Map, Meta, Value, python};
use std::path::{Path, PathBuf};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "file.find",
        "(path, name=, iname=, type=, size=, mtime=, owner=, group=, maxdepth=, mindepth=, print=)",
        "Lists what is below a path.",
        find,
    ),
    read("file.grep", "(path, pattern, *opts)", "Looks for a pattern with the grep program.", grep),
    read("file.list_backups", "(path, limit=None)", "Lists what `backup: minion` has kept of a file.", list_backups),
    read("file.path_exists_glob", "(path)", "Tells whether something matches a shell pattern.", path_exists_glob),
    read("file.readdir", "(path)", "Lists a directory, `.` and `..` included.", |call, host, _| {
        let mut names = vec![".".to_owned(), "..".to_owned()];
        names.extend(host.list(&path_of(call, host, 0, "path")?)?);
        Ok(names.into())
    }),
];

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
