//! `file.*`: looking at files.

use crate::file::call::{Answer, data, meta, path_of, read, seconds, stat};
use crate::file::{self, Text, hash, pattern, perms};
use corpus_core::decode::Mode;
use corpus_core::host::Look;
use corpus_core::{Call, Data, ExecDef, ExecError, Map, Meta, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "file.access",
        "(path, mode)",
        "Tells whether a path can be read, written, executed (`r`, `w`, `x`) or is there (`f`).",
        access,
    ),
    data("file.basename", "(path)", "Returns the last part of a path.", |call, _| {
        let path = call.need(0, "path")?;
        Ok(path.rsplit('/').next().unwrap_or_default().into())
    }),
    read("file.check_hash", "(path, file_hash)", "Tells whether a file has a digest.", check_hash),
    read("file.contains", "(path, text)", "Tells whether a file contains a text.", |call, host, _| {
        let text = call.need(1, "text")?;
        Ok(text_at(call, host)?.is_some_and(|found| found.text.contains(text.trim())).into())
    }),
    read("file.contains_regex", "(path, regex, lchar='')", "Tells whether a line of a file matches.", contains_regex),
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
    read("file.lstat", "(path)", "Returns what `lstat` tells of a path.", lstat),
    data("file.normpath", "(path)", "Resolves `.`, `..` and doubled slashes.", |call, _| {
        Ok(file::normpath(&call.need(0, "path")?).into())
    }),
    data("file.pardir", "()", "Returns the name of the parent directory.", |_, _| Ok("..".into())),
    read("file.read", "(path, binary=False)", "Returns the content of a file.", |call, host, _| {
        Ok(String::from_utf8_lossy(&host.read(&path_of(call, host, 0, "path")?)?).into_owned().into())
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
    read(
        "file.search",
        "(path, pattern, flags=8, multiline=False, ignore_if_missing=False)",
        "Tells whether a regular expression finds something.",
        search,
    ),
    read("file.stats", "(path, hash_type=None, follow_symlinks=True)", "Returns what is known of a file.", stats),
    read("file.uid_to_user", "(uid)", "Returns the name of a user.", |call, host, _| {
        let uid = call.need(0, "uid")?;
        Ok(uid.parse().map_or(uid, |uid| perms::user_name(host, uid)).into())
    }),
    read("file.user_to_uid", "(user)", "Returns the number of a user.", |call, host, _| {
        let user = call.arg(0, "user").cloned().unwrap_or_else(|| "root".into());
        Ok(perms::uid(host, &user)?.map_or_else(|| "".into(), Value::from))
    }),
];

fn text_at(call: &Call, host: &dyn Look) -> Result<Option<Text>, ExecError> {
    let path = path_of(call, host, 0, "path")?;
    Ok(match host.stat(&path)? {
        Some(meta) if meta.is_file() => Text::read(&host.read(&path)?),
        _ => None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::ExecFn;
    use corpus_core::fake::Fake;

    fn ask(host: &Fake, fun: &str, args: &[&str], kwargs: &[(&str, Value)]) -> Answer {
        let call = Call {
            fun: fun.into(),
            args: args.iter().map(Value::str).collect(),
            kwargs: kwargs.iter().map(|(k, v)| (*k, v.clone())).collect(),
        };
        let data = Data::default();
        match crate::all().iter().find(|def| def.name == fun).expect(fun).run {
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
