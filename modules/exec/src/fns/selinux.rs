//! `selinux.*`: modes, booleans, modules and the contexts that files are to have.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::value::{Map, Value};
use corpus_core::{ExecDef, ExecError, ExecFn, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "selinux.getenforce",
        args: "()",
        doc: "Returns the mode that SELinux runs in.",
        run: ExecFn::Read(|_, look, _| Ok(running(look)?.into())),
    },
    ExecDef {
        name: "selinux.getconfig",
        args: "()",
        doc: "Returns the mode that SELinux has after a reboot.",
        run: ExecFn::Read(|_, look, _| Ok(configured(look)?.into())),
    },
    ExecDef {
        name: "selinux.list_sebool",
        args: "()",
        doc: "Lists the booleans, with their state and their default.",
        run: ExecFn::Read(|_, look, _| {
            Ok(booleans(look)?.into_iter().map(|(name, boolean)| (name, boolean.shown())).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "selinux.getsebool",
        args: "(boolean)",
        doc: "Describes a boolean.",
        run: ExecFn::Read(|call, look, _| {
            let wanted = call.need(0, "boolean")?;
            let found = booleans(look)?.into_iter().find(|(name, _)| *name == wanted);
            Ok(found.map_or_else(Map::new, |(_, boolean)| boolean.shown()).into())
        }),
    },
    ExecDef {
        name: "selinux.setsebool",
        args: "(boolean, value, persist=False)",
        doc: "Sets a boolean.",
        run: ExecFn::Write(|call, act, _| {
            let value = call.arg(1, "value").ok_or_else(|| call.missing("value"))?;
            let value = refined(value).ok_or_else(|| call.invalid("value", "it is neither on nor off"))?;
            let command = set_booleans(&[(call.need(0, "boolean")?, value.to_owned())], call.flag(2, "persist", false));
            Ok(ask::run(act, command)?.ok().into())
        }),
    },
    ExecDef {
        name: "selinux.port_get_policy",
        args: "(name, sel_type=None, protocol=None, port=None)",
        doc: "Returns the type that the policy has for a port.",
        run: ExecFn::Read(|call, look, _| {
            let (protocol, port) = port_spec(&call.need(0, "name")?, call.text(2, "protocol"), call.text(3, "port"))
                .map_err(ExecError::Failed)?;
            let kind = call.text(1, "sel_type");
            let found = ports(look)?.into_iter().find(|entry| entry.is(kind.as_deref(), &protocol, &port));
            Ok(found.map(|entry| entry.shown()).into())
        }),
    },
    ExecDef {
        name: "selinux.list_semod",
        args: "()",
        doc: "Lists the modules of the policy.",
        run: ExecFn::Read(|_, look, _| {
            let shown = |enabled: bool| Map::from_iter([("Enabled", Value::from(enabled)), ("Version", Value::Null)]);
            Ok(modules(look)?.into_iter().map(|(name, enabled)| (name, shown(enabled))).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "selinux.fcontext_get_policy",
        args: "(name, filetype=None, sel_type=None, sel_user=None, sel_level=None)",
        doc: "Returns the context that the policy has for a file specification; none if it has none.",
        run: ExecFn::Read(|call, look, _| {
            let filetype = match call.text(1, "filetype") {
                Some(code) => Some(filetype(&code).map_err(ExecError::Failed)?),
                None => None,
            };
            let wanted =
                [(2, "sel_type"), (3, "sel_user"), (4, "sel_level")].map(|(place, name)| call.text(place, name));
            let all = contexts(look)?;
            let name = call.need(0, "name")?;
            let found = all.iter().find(|entry| entry.is(&name, filetype, &wanted.each_ref().map(|w| w.as_deref())));
            Ok(found.map(Context::shown).into())
        }),
    },
];

const CONFIG: &str = "/etc/selinux/config";

/// Returns the mode that SELinux runs in.
pub fn running(look: &dyn Look) -> HostResult<String> {
    for folder in ["/sys/fs/selinux", "/selinux"] {
        if let Some(text) = ask::text(look, format!("{folder}/enforce"))? {
            return Ok(if text.trim() == "0" { "Permissive" } else { "Enforcing" }.into());
        }
    }
    Ok("Disabled".into())
}

/// Returns the mode that the configuration names.
pub fn configured(look: &dyn Look) -> HostResult<Option<String>> {
    let text = ask::text(look, CONFIG)?.unwrap_or_default();
    let word = text.lines().find_map(|line| line.trim().strip_prefix("SELINUX="));
    Ok(word.map(|word| {
        let word = word.trim().to_lowercase();
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }))
}

/// Returns the configuration with another mode, and where it is; none if there is no configuration.
pub fn with_mode(look: &dyn Look, mode: &str) -> HostResult<Option<(&'static str, String)>> {
    let Some(text) = ask::text(look, CONFIG)? else { return Ok(None) };
    let mode = mode.to_lowercase();
    let line =
        |line: &str| if line.starts_with("SELINUX=") { format!("SELINUX={mode}\n") } else { format!("{line}\n") };
    Ok(Some((CONFIG, text.lines().map(line).collect())))
}

/// A boolean, now and after a reboot: `on` or `off`.
pub struct Boolean {
    pub state: String,
    pub default: String,
    pub description: String,
}

impl Boolean {
    fn shown(self) -> Map {
        [("State", self.state), ("Default", self.default), ("Description", self.description)].into_iter().collect()
    }
}

/// Lists the booleans.
pub fn booleans(look: &dyn Look) -> HostResult<Vec<(String, Boolean)>> {
    let text = ask::output(look, &Command::new(["semanage", "boolean", "--list"]))?;
    let read = |line: &str| {
        let (name, rest) = line.split_once('(')?;
        let (values, description) = rest.split_once(')')?;
        let (state, default) = values.split_once(',')?;
        let [state, default] = [state, default].map(|word| word.trim().to_owned());
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((name.trim().to_owned(), Boolean { state, default, description }))
    };
    Ok(text.lines().filter_map(read).collect())
}

/// Reads `on` and `off` as Salt does.
pub fn refined(value: &Value) -> Option<&'static str> {
    match python::str(value).to_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some("on"),
        "0" | "off" | "no" | "false" => Some("off"),
        _ => None,
    }
}

/// Makes the command that sets booleans.
pub fn set_booleans(wanted: &[(String, String)], persist: bool) -> Command {
    let mut command = Command::new(["setsebool"]);
    command.argv.extend(persist.then(|| "-P".to_owned()));
    command.argv.extend(wanted.iter().map(|(name, value)| format!("{name}={value}")));
    command
}

/// Lists the modules of the policy, and whether they are enabled.
pub fn modules(look: &dyn Look) -> HostResult<Vec<(String, bool)>> {
    let text = ask::output(look, &Command::new(["semodule", "--list-modules=full"]))?;
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(((*words.get(1)?).to_owned(), words.len() != 4))
    };
    Ok(text.lines().filter_map(read).collect())
}

const FILETYPES: [(&str, &str); 8] = [
    ("a", "all files"),
    ("f", "regular file"),
    ("d", "directory"),
    ("c", "character device"),
    ("b", "block device"),
    ("s", "socket"),
    ("l", "symbolic link"),
    ("p", "named pipe"),
];

/// Returns the words that `semanage` has for the letter of a kind of file.
pub fn filetype(code: &str) -> Result<&'static str, String> {
    let found = FILETYPES.iter().find(|(letter, _)| *letter == code).map(|(_, words)| *words);
    found.ok_or_else(|| {
        let valid = FILETYPES.map(|(letter, _)| letter).join(", ");
        format!("Invalid file type code '{code}'; expected one of: {valid}")
    })
}

/// What the policy has for a file specification.
pub struct Context {
    pub filespec: String,
    pub filetype: String,
    /// User, role, type and level.
    pub parts: [String; 4],
}

impl Context {
    /// Tells whether it is this specification's, with the type, user and level that are given.
    pub fn is(&self, name: &str, filetype: Option<&str>, wanted: &[Option<&str>; 3]) -> bool {
        let [user, _, kind, level] = &self.parts;
        self.filespec == name
            && filetype.is_none_or(|filetype| filetype == self.filetype)
            && [kind, user, level].iter().zip(wanted).all(|(have, want)| want.is_none_or(|want| want == *have))
    }

    /// Describes it as Salt does.
    pub fn shown(&self) -> Map {
        let [user, role, kind, level] = self.parts.clone();
        let mut map = Map::new();
        map.insert("filespec", self.filespec.as_str());
        map.insert("filetype", self.filetype.as_str());
        for (name, value) in [("sel_user", user), ("sel_role", role), ("sel_type", kind), ("sel_level", level)] {
            map.insert(name, value);
        }
        map
    }
}

/// Lists what the policy has for files.
pub fn contexts(look: &dyn Look) -> HostResult<Vec<Context>> {
    let text = ask::output(look, &Command::new(["semanage", "fcontext", "--list"]))?;
    Ok(text.lines().filter_map(context).collect())
}

fn context(line: &str) -> Option<Context> {
    let (rest, context) = line.trim_end().rsplit_once(char::is_whitespace)?;
    let mut parts = context.splitn(4, ':').map(str::to_owned);
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let rest = rest.trim_end();
    let (_, filetype) = FILETYPES.iter().find(|(_, words)| rest.ends_with(&format!(" {words}")))?;
    let filespec = rest.strip_suffix(filetype)?.trim_end().to_owned();
    Some(Context { filespec, filetype: (*filetype).to_owned(), parts })
}

/// Makes the command that adds, modifies or deletes what the policy has for a file specification.
pub fn change_context(action: &str, name: &str, filetype: &str, wanted: &[Option<&str>; 3]) -> Command {
    let mut command = Command::new(["semanage", "fcontext"]);
    command.argv.push(format!("--{action}"));
    // Old versions do not know the letter of all files, which is the default.
    if filetype != "a" {
        command.argv.extend(["--ftype".to_owned(), filetype.to_owned()]);
    }
    for (flag, value) in ["--type", "--seuser", "--range"].iter().zip(wanted) {
        command.argv.extend(value.iter().flat_map(|value| [(*flag).to_owned(), (*value).to_owned()]));
    }
    command.argv.push(name.to_owned());
    command
}

/// Makes the command that gives files the contexts of the policy, or only tells.
pub fn restore(name: &str, recursive: bool, tell: bool) -> Command {
    let mut command = Command::new(["restorecon", "-v"]);
    command.argv.insert(1, if tell { "-n" } else { "-F" }.into());
    command.argv.extend(recursive.then(|| "-R".to_owned()));
    command.argv.push(name.to_owned());
    command
}

/// Reads which files have other contexts than the policy says: Salt's `changes`.
pub fn relabelled(text: &str) -> Map {
    let mut changes = Map::new();
    for line in text.lines() {
        let parts = match (line.strip_prefix("Would relabel "), line.strip_prefix("restorecon reset ")) {
            (Some(rest), _) => {
                rest.split_once(" from ").and_then(|(file, rest)| Some((file, rest.split_once(" to ")?)))
            }
            (_, Some(rest)) => {
                rest.split_once(" context ").and_then(|(file, rest)| Some((file, rest.split_once("->")?)))
            }
            _ => None,
        };
        let Some((file, (old, new))) = parts else { continue };
        let (mut before, mut after) = (Map::new(), Map::new());
        let names = ["sel_user", "sel_role", "sel_type", "sel_level"];
        for (name, (old, new)) in names.iter().zip(old.splitn(4, ':').zip(new.splitn(4, ':'))) {
            if old != new {
                before.insert(*name, old);
                after.insert(*name, new);
            }
        }
        changes.insert(file, Map::from_iter([("old", before), ("new", after)]));
    }
    changes
}

/// A type of the policy, and the ports that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub sel_type: String,
    pub protocol: String,
    /// As they are listed, `80, 443, 8000-8010`.
    pub port: String,
}

impl Port {
    /// Tells whether it is for a port, and of a type if one is given.
    pub fn is(&self, kind: Option<&str>, protocol: &str, port: &str) -> bool {
        let listed = self.port.split(',').any(|one| one.trim() == port);
        listed && self.protocol == protocol && kind.is_none_or(|kind| kind == self.sel_type)
    }

    /// Returns it as Salt does.
    pub fn shown(&self) -> Map {
        Map::from_iter([("sel_type", &self.sel_type), ("protocol", &self.protocol), ("port", &self.port)])
    }
}

/// Reads `tcp/80`, unless protocol and port are given apart.
pub fn port_spec(name: &str, protocol: Option<String>, port: Option<String>) -> Result<(String, String), String> {
    let split = name.split_once('/').filter(|(protocol, port)| {
        ["tcp", "udp"].contains(protocol) && port.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    let protocol = protocol.or_else(|| split.map(|(protocol, _)| protocol.to_owned()));
    let port = port.or_else(|| split.map(|(_, port)| port.to_owned()));
    match (protocol, port) {
        (Some(protocol), Some(port)) => Ok((protocol, port)),
        _ => Err(format!("Invalid name \"{name}\" format and protocol and port not provided or invalid")),
    }
}

/// Lists the ports of the policy.
pub fn ports(look: &dyn Look) -> HostResult<Vec<Port>> {
    let text = ask::output(look, &Command::new(["semanage", "port", "--list", "--noheading"]))?;
    let entry = |line: &str| {
        let (sel_type, rest) = line.trim().split_once(char::is_whitespace)?;
        let (protocol, port) = rest.trim().split_once(char::is_whitespace)?;
        Some(Port { sel_type: sel_type.into(), protocol: protocol.into(), port: port.trim().into() })
    };
    Ok(text.lines().filter_map(entry).collect())
}

/// Makes the command that gives a port a type, or takes it away; `action` is `add`, `modify` or `delete`.
pub fn change_port(action: &str, protocol: &str, port: &str, kind: Option<&str>, range: Option<&str>) -> Command {
    let flag = format!("--{action}");
    let mut command = Command::new(["semanage", "port", &flag, "--proto", protocol]);
    for (name, value) in [("--type", kind), ("--range", range)] {
        command.argv.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
    }
    command.argv.push(port.to_owned());
    command
}
