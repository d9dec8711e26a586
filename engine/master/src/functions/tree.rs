//! Functions that read the state tree as data: `defaults.get`, `jinja.*`, and where a file or folder is.

use super::MasterDef;
use crate::{Session, TemplateCaller};
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use corpus_render::RenderCx;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "defaults.get",
        args: "(key, default='')",
        doc: "Returns a value of `salt://FORMULA/defaults.yaml` (or `.json`); the key reads `FORMULA:key:below`.",
        run: defaults_get,
    },
    MasterDef {
        name: "jinja.load_map",
        args: "(path, value)",
        doc: "Returns a variable that a template of the state tree sets, such as a map.",
        run: |call, session, data| {
            let (path, value) = (call.need(0, "path")?, call.need(1, "value")?);
            let text = format!("{{% from \"{path}\" import {value} with context %}}\n{{{{ {value} | tojson }}}}\n");
            rendered(&text, "jinja|yaml", session, data)
        },
    },
    MasterDef {
        name: "jinja.import_yaml",
        args: "(path)",
        doc: "Returns the data of a YAML file of the state tree, rendered.",
        run: |call, session, data| import("yaml", call, session, data),
    },
    MasterDef {
        name: "jinja.import_json",
        args: "(path)",
        doc: "Returns the data of a JSON file of the state tree, rendered.",
        run: |call, session, data| import("json", call, session, data),
    },
    MasterDef {
        name: "slsutil.file_exists",
        args: "(path, saltenv='base')",
        doc: "Tells whether the state tree has a file.",
        run: |call, session, _| Ok(has_file(session, &call.need(0, "path")?, &env(call, 1)).into()),
    },
    MasterDef {
        name: "slsutil.dir_exists",
        args: "(path, saltenv='base')",
        doc: "Tells whether the state tree has a directory.",
        run: |call, session, _| Ok(has_dir(session, &call.need(0, "path")?, &env(call, 1)).into()),
    },
    MasterDef {
        name: "slsutil.path_exists",
        args: "(path, saltenv='base')",
        doc: "Tells whether the state tree has a file or a directory.",
        run: |call, session, _| Ok(has(session, &call.need(0, "path")?, &env(call, 1)).into()),
    },
    MasterDef {
        name: "slsutil.findup",
        args: "(startpath, filenames, saltenv='base')",
        doc: "Returns the first of some files that is in a directory of the state tree or in one above it.",
        run: findup,
    },
    MasterDef {
        name: "slsutil.deserialize",
        args: "(serializer, stream_or_string, **mod_kwargs)",
        doc: "Reads data from `json` or `yaml` text.",
        run: deserialize,
    },
    MasterDef {
        name: "pillar.file_exists",
        args: "(path, saltenv=None)",
        doc: "Tells whether the pillar roots have a file.",
        run: pillar_file,
    },
];

fn env(call: &Call, place: usize) -> String {
    call.text(place, "saltenv").unwrap_or_else(|| "base".into())
}

fn has_file(session: &Session, path: &str, env: &str) -> bool {
    // Salt looks the name up in a list: `salt://x` and `/x` are not in it.
    !path.contains("://") && !path.starts_with('/') && session.corpus.engine.roots().find(path, env).is_some()
}

fn has_dir(session: &Session, path: &str, env: &str) -> bool {
    !path.contains("://") && !path.starts_with('/') && session.corpus.engine.roots().find_dir(path, env).is_some()
}

fn has(session: &Session, path: &str, env: &str) -> bool {
    has_file(session, path, env) || has_dir(session, path, env)
}

fn findup(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let env = env(call, 2);
    let start = call.text(0, "startpath").unwrap_or_default();
    let mut folder = start.trim_matches('/').trim_start_matches("./").to_owned();
    if !folder.is_empty() && !has(session, &folder, &env) {
        return Err(ExecError::failed(format!("Starting path not found in the state tree: {start}")));
    }
    let names: Vec<String> = match call.arg(1, "filenames") {
        Some(Value::List(names)) => names.iter().map(python::str).collect(),
        Some(Value::Str(name)) => vec![name.to_string()],
        _ => return Err(ExecError::failed("Filenames argument must be a string or list of strings")),
    };
    loop {
        for name in &names {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if has(session, &path, &env) {
                return Ok(path.into());
            }
        }
        if folder.is_empty() {
            return Err(ExecError::failed("File pattern(s) not found in path ancestry"));
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above).to_owned();
    }
}

fn rendered(text: &str, pipe: &str, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let cx = RenderCx::new(data.clone(), Arc::new(TemplateCaller::new(session.clone(), data.clone())));
    match session.corpus.engine.render_source(text, "<string>", pipe, &cx) {
        Ok(rendered) => Ok(rendered.node.to_value()),
        Err(diagnostic) => Err(ExecError::failed(diagnostic.to_text(None).trim_end().trim_start_matches("error: "))),
    }
}

fn import(kind: &str, call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let text = format!("{{% import_{kind} \"{path}\" as imported %}}\n{{{{ imported | tojson }}}}\n");
    rendered(&text, "jinja|yaml", session, data)
}

fn deserialize(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let kind = call.need(0, "serializer")?;
    if !matches!(&*kind, "json" | "yaml") {
        return Err(call.invalid("serializer", format!("`{kind}` is not built; there are json and yaml")));
    }
    let text = call.need(1, "stream_or_string")?;
    rendered(&text, &kind, session, data)
}

fn defaults_get(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let key = call.need(0, "key")?;
    let (formula, key) = key.split_once(':').map_or((&*key, None), |(formula, key)| (formula, Some(key)));
    let mut found = Value::Null;
    for kind in ["yaml", "json"] {
        let path = format!("{formula}/defaults.{kind}");
        let Some(file) = session.corpus.engine.roots().find(&path, &data.saltenv) else { continue };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| ExecError::failed(format!("read {}: {error}", file.display())))?;
        let read = rendered(&text, kind, session, data);
        found = read.map_err(|error| ExecError::failed(format!("{path}: {error}")))?;
        if !found.truthy() {
            found = Map::new().into();
        }
        break;
    }
    Ok(match key {
        None => found,
        Some(key) => {
            let default = || call.arg(1, "default").cloned().unwrap_or_else(|| "".into());
            found.traverse(key, ":").cloned().unwrap_or_else(default)
        }
    })
}

fn pillar_file(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let roots = session.corpus.pillar_engine.roots();
    let found = match call.text(1, "saltenv") {
        Some(env) => roots.envs().any(|known| known == env) && roots.find(&path, &env).is_some(),
        None => roots.envs().any(|env| roots.find(&path, env).is_some()),
    };
    Ok(found.into())
}
