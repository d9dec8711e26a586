//! `acl.*`: access lists of files, through `getfacl` and `setfacl`.

use crate::ask;
use corpus_core::host::{Command, HostResult};
use corpus_core::{Call, ExecDef, ExecFn, Look, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "acl.version",
        args: "()",
        doc: "Returns the version of `getfacl`.",
        run: ExecFn::Read(|_, look, _| {
            let text = ask::output(look, &Command::new(["getfacl", "--version"]))?;
            Ok(text.split_whitespace().nth(1).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "acl.getfacl",
        args: "(*paths, recursive=False)",
        doc: "Describes the access lists of files.",
        run: ExecFn::Read(|call, look, _| {
            let paths: Vec<String> = call.args.iter().map(corpus_core::python::str).collect();
            if paths.is_empty() {
                return Err(call.missing("paths"));
            }
            let all = read(look, &paths, call.kwargs.get("recursive").is_some_and(Value::truthy))?;
            let file = |file: File| -> (String, Value) {
                let entry = |entry: &Entry| -> Value {
                    let inner: Map = [("octal", i64::from(entry.bits))].into_iter().collect();
                    let words = if entry.default { "default:" } else { "" };
                    let key = format!("{words}{}:{}", entry.kind, entry.name);
                    [(key, Value::from(inner))].into_iter().collect::<Map>().into()
                };
                (file.path, file.entries.iter().map(entry).collect::<Vec<_>>().into())
            };
            Ok(all.into_iter().map(file).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "acl.wipefacls",
        args: "(*paths, recursive=False)",
        doc: "Takes the access lists off files.",
        run: ExecFn::Write(|call, act, _| {
            let paths: Vec<String> = call.args.iter().map(corpus_core::python::str).collect();
            let recursive = call.kwargs.get("recursive").is_some_and(Value::truthy);
            ask::must(act, set(&["-b"], recursive, &paths)).map(|_| true.into())
        }),
    },
    ExecDef {
        name: "acl.modfacl",
        args: "(acl_type, acl_name='', perms='', *paths, recursive=False)",
        doc: "Adds an entry to access lists.",
        run: ExecFn::Write(|call, act, _| {
            let entry = written(&call.need(0, "acl_type")?, &call.text(1, "acl_name").unwrap_or_default());
            let entry = format!("{entry}:{}", call.text(2, "perms").unwrap_or_default());
            ask::must(act, set(&["-m", &entry], recursive(call), &rest(call, 3))).map(|_| true.into())
        }),
    },
    ExecDef {
        name: "acl.delfacl",
        args: "(acl_type, acl_name='', *paths, recursive=False)",
        doc: "Takes an entry off access lists.",
        run: ExecFn::Write(|call, act, _| {
            let entry = written(&call.need(0, "acl_type")?, &call.text(1, "acl_name").unwrap_or_default());
            ask::must(act, set(&["-x", &entry], recursive(call), &rest(call, 2))).map(|_| true.into())
        }),
    },
];

fn recursive(call: &Call) -> bool {
    call.kwargs.get("recursive").is_some_and(Value::truthy)
}

fn rest(call: &Call, from: usize) -> Vec<String> {
    call.args.iter().skip(from).map(corpus_core::python::str).collect()
}

/// A file with its access list.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub owner: String,
    pub group: String,
    pub entries: Vec<Entry>,
}

/// An entry of an access list.
#[derive(Clone, Debug)]
pub struct Entry {
    pub default: bool,
    /// `user`, `group`, `mask` or `other`.
    pub kind: String,
    /// Of the owner and the owning group: theirs.
    pub name: String,
    /// 4 to read, 2 to write, 1 to execute.
    pub bits: u8,
}

/// Reads letters: `rwx`.
pub fn bits(perms: &str) -> u8 {
    [('r', 4), ('w', 2), ('x', 1)].iter().filter(|(letter, _)| perms.contains(*letter)).map(|(_, bit)| bit).sum()
}

/// Reads access lists.
pub fn read(look: &dyn Look, paths: &[String], recursive: bool) -> HostResult<Vec<File>> {
    let mut command = Command::new(["getfacl", "--absolute-names"]);
    command.argv.extend(recursive.then(|| "-R".to_owned()));
    command.argv.extend(paths.iter().cloned());
    let text = ask::output(look, &command)?;
    let mut files: Vec<File> = vec![];
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("# file: ") {
            let (owner, group) = (String::new(), String::new());
            files.push(File { path: path.into(), owner, group, entries: vec![] });
            continue;
        }
        let Some(file) = files.last_mut() else { continue };
        if let Some(owner) = line.strip_prefix("# owner: ") {
            file.owner = owner.into();
        } else if let Some(group) = line.strip_prefix("# group: ") {
            file.group = group.into();
        } else if !line.is_empty() && !line.starts_with('#') {
            let (default, rest) = line.strip_prefix("default:").map_or((false, line), |rest| (true, rest));
            let parts: Vec<&str> = rest.split(':').collect();
            let [kind, name, .., perms] = parts[..] else { continue };
            let name = match (kind, name) {
                ("user", "") => file.owner.clone(),
                ("group", "") => file.group.clone(),
                (_, name) => name.to_owned(),
            };
            // With `#effective:` behind it, that counts.
            file.entries.push(Entry { default, kind: kind.into(), name, bits: bits(perms) });
        }
    }
    Ok(files)
}

/// Writes an entry as `setfacl` takes it: `d:u:joe`.
pub fn written(acl_type: &str, name: &str) -> String {
    let plain = acl_type.trim_start_matches("default:").trim_start_matches("d:");
    let letter = plain.chars().next().unwrap_or('u');
    format!("{}{letter}:{name}", if plain == acl_type { "" } else { "d:" })
}

/// Makes the command that changes access lists.
pub fn set(words: &[&str], recursive: bool, paths: &[String]) -> Command {
    let mut command = Command::new(["setfacl"]);
    command.argv.extend(recursive.then(|| "-R".to_owned()));
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.argv.extend(paths.iter().cloned());
    command
}
