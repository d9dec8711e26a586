//! `logrotate.*`: what logrotate's files say, and the same with other words.

use crate::ask;
use corpus_core::host::{HostError, HostResult, Look};
use corpus_core::{Call, Effect, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The file that all begins with.
pub const CONF: &str = "/etc/logrotate.conf";

/// Words before a script, which ends with `endscript`.
const SCRIPTS: [&str; 5] = ["firstaction", "lastaction", "prerotate", "postrotate", "preremove"];

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "logrotate.show_conf",
        args: "(conf_file='/etc/logrotate.conf')",
        doc: "Returns what the files say.",
        run: ExecFn::Read(|call, look, _| Ok(read(look, &conf_file(call, 0))?.into())),
    },
    ExecDef {
        name: "logrotate.get",
        args: "(key, value=None, conf_file='/etc/logrotate.conf')",
        doc: "Returns what a command is set to, or one within a block.",
        run: ExecFn::Read(|call, look, _| {
            let conf = read(look, &conf_file(call, 2))?;
            Ok(get(&conf, &call.need(0, "key")?, call.text(1, "value").as_deref()))
        }),
    },
    ExecDef {
        name: "logrotate.set",
        args: "(key, value, setting=None, conf_file='/etc/logrotate.conf')",
        doc: "Sets a command, or one within a block.",
        run: ExecFn::Write(|call: &Call, act, _| {
            let (key, value) = (call.need(0, "key")?, call.arg(1, "value").cloned().unwrap_or_default());
            let setting = call.arg(2, "setting").filter(|setting| !setting.is_null());
            let effect =
                change(act.as_look(), &conf_file(call, 3), &key, &value, setting).map_err(ExecError::Failed)?;
            act.perform(&effect)?;
            Ok(true.into())
        }),
    },
];

fn conf_file(call: &Call, place: usize) -> String {
    call.text(place, "conf_file").unwrap_or_else(|| CONF.into())
}

/// Turns the text of a whole number into one.
pub fn number(value: &Value) -> Value {
    match value {
        Value::Str(text) => text.trim().parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        other => other.clone(),
    }
}

/// Returns what a command is set to; false if it is not.
pub fn get(conf: &Map, key: &str, within: Option<&str>) -> Value {
    let found = conf.get(key).cloned().unwrap_or_else(|| false.into());
    match within {
        Some(within) if found.truthy() => found.get(within).cloned().unwrap_or_else(|| false.into()),
        _ => found,
    }
}

/// Reads a file, and the files that it includes.
pub fn read(look: &dyn Look, path: &str) -> HostResult<Map> {
    read_at(look, path, 0)
}

fn read_at(look: &dyn Look, path: &str, depth: u8) -> HostResult<Map> {
    if depth > 8 {
        return Err(HostError::other(format!("read {path}"), "it includes itself"));
    }
    let text = ask::text(look, path)?
        .ok_or_else(|| HostError::io(format!("read {path}"), &std::io::ErrorKind::NotFound.into()))?;
    let (mut all, mut block, mut script) = (Map::new(), None::<Map>, None::<(String, Vec<Value>)>);
    let (mut names, mut included) = (Vec::<String>::new(), Map::new());
    for line in text.lines().map(str::trim) {
        if let Some((word, mut body)) = script.take() {
            if line == "endscript" {
                block.as_mut().unwrap_or(&mut all).insert(word, body);
            } else {
                body.push(line.into());
                script = Some((word, body));
            }
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first().filter(|word| !word.starts_with('#')) else { continue };
        if line.contains('{') && !line.contains('}') {
            names
                .extend(words.iter().map(|word| word.trim_end_matches('{').to_owned()).filter(|word| !word.is_empty()));
            block = Some(Map::new());
        } else if line.contains('}') {
            let done = block.take().unwrap_or_default();
            for name in names.drain(..) {
                all.insert(name, done.clone());
            }
        } else if block.is_none() && words.len() == 1 && first.starts_with(['/', '~', '"', '\'']) {
            names.push((*first).to_owned());
        } else if SCRIPTS.contains(first) && words.len() == 1 {
            script = Some(((*first).to_owned(), vec![]));
        } else {
            let value = match words.len() {
                1 => true.into(),
                2 => number(&words[1].into()),
                _ => words[1..].join(" ").into(),
            };
            block.as_mut().unwrap_or(&mut all).insert(*first, value);
            if *first == "include" && words.len() > 1 {
                include(look, words[1], depth, &mut all, &mut included)?;
            }
        }
    }
    if !included.is_empty() {
        all.insert("include files", included);
    }
    Ok(all)
}

fn include(look: &dyn Look, folder: &str, depth: u8, all: &mut Map, included: &mut Map) -> HostResult<()> {
    let names = if ask::is_dir(look, folder) { look.list(folder.as_ref())? } else { vec![] };
    for name in names {
        let conf = read_at(look, &format!("{folder}/{name}"), depth + 1)?;
        included.insert(name, conf.keys().cloned().collect::<Vec<Value>>());
        all.0.extend(conf);
    }
    Ok(())
}

fn block(name: &str, settings: &Map) -> String {
    let mut out = format!("{name} {{\n");
    for (key, value) in settings {
        let key = python::str(key);
        out += &match value {
            Value::List(body) => {
                let lines: String = body.iter().map(|line| format!("        {}\n", python::str(line))).collect();
                format!("    {key}\n{lines}    endscript\n")
            }
            Value::Bool(true) => format!("    {key}\n"),
            other => format!("    {key} {}\n", python::str(other)),
        };
    }
    out + "}"
}

/// Returns the effect that sets a command, or with a `setting` one within a block.
pub fn change(
    look: &dyn Look,
    path: &str,
    key: &str,
    value: &Value,
    setting: Option<&Value>,
) -> Result<Effect, String> {
    let failed = |error: HostError| error.to_string();
    let conf = read(look, path).map_err(failed)?;
    let mut path = path.to_owned();
    // What an included file says is changed there.
    for (file, keys) in conf.get("include files").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        if keys.as_list().is_some_and(|keys| keys.contains(&key.into())) {
            path = format!("{}/{}", conf.str("include").unwrap_or_default(), python::str(file));
        }
    }
    let text = ask::text(look, &path).map_err(failed)?.unwrap_or_default();
    let Some(setting) = setting else {
        if conf.get(key).is_some_and(|have| have.as_map().is_some()) {
            return Err(format!(
                "Error: {key} includes a dict, and a specific setting inside the dict was not declared"
            ));
        }
        let line = match value {
            Value::Bool(true) => key.to_owned(),
            value if value.truthy() => format!("{key} {}", python::str(value)),
            _ => String::new(),
        };
        let is = |old: &str| old.split_whitespace().next() == Some(key);
        let mut lines: Vec<&str> = text.lines().map(|old| if is(old) { line.as_str() } else { old }).collect();
        if !text.lines().any(is) {
            lines.insert(0, &line);
        }
        return Ok(Effect::text(path, lines.join("\n") + "\n"));
    };
    let mut settings = match conf.get(key) {
        None => Map::new(),
        Some(Value::Map(map)) => (**map).clone(),
        Some(_) => {
            let why = "Error: A setting for a dict was declared, but the configuration line given is not a dict";
            return Err(why.into());
        }
    };
    let word = python::str(value);
    if setting.truthy() {
        settings.insert(word, setting.clone());
    } else {
        settings.remove(&word);
    }
    let new = block(key, &settings);
    let start = text.match_indices(key).map(|(at, _)| at).find(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    let range = start.and_then(|start| Some(start..start + text[start..].find('}')? + 1));
    let out = match range {
        Some(range) => format!("{}{new}{}", &text[..range.start], &text[range.end..]),
        None => format!("{}{new}\n", if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }),
    };
    Ok(Effect::text(path, out))
}
