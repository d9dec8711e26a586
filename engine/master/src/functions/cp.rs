//! `cp.*` as templates use it: the state tree's files, read on the master.

use super::MasterDef;
use crate::Session;
use crate::diagnose::Outcome;
use crate::fileserver::lock;
use corpus_core::{Call, ChunkReport, Data, Diagnostic, ExecError, LowChunk, LowState, Value};
use corpus_exec::file::cached;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "cp.get_file_str",
        args: "(path, saltenv='base')",
        doc: "Returns the text of a file of the state tree, false if there is none.",
        run: get_file_str,
    },
    MasterDef {
        name: "cp.list_master",
        args: "(saltenv='base', prefix='')",
        doc: "Lists the files of the state tree.",
        run: list_master,
    },
    MasterDef {
        name: "cp.list_states",
        args: "(saltenv='base')",
        doc: "Lists the SLS names of the state tree.",
        run: list_states,
    },
    MasterDef {
        name: "cp.list_master_dirs",
        args: "(saltenv='base', prefix='')",
        doc: "Lists the folders of the state tree.",
        run: list_master_dirs,
    },
    MasterDef {
        name: "cp.get_file",
        args: "(path, dest, saltenv='base', makedirs=False)",
        doc: "Copies a file of the state tree to a path of the minion, and returns the path.",
        run: get_file,
    },
    MasterDef {
        name: "cp.get_url",
        args: "(path, dest=None, saltenv='base', makedirs=False)",
        doc: "Copies a file of the state tree, or of a web server, to a path of the minion, and returns the path; without one, into its cache.",
        run: get_url,
    },
    MasterDef {
        name: "cp.cache_file",
        args: "(path, saltenv='base')",
        doc: "Copies a file of the state tree into the minion's cache, and returns its path there; false if there is none.",
        run: cache_file,
    },
    MasterDef {
        name: "cp.cache_files",
        args: "(paths, saltenv='base')",
        doc: "Copies files of the state tree into the minion's cache, and returns their paths there.",
        run: cache_files,
    },
    MasterDef {
        name: "cp.cache_dir",
        args: "(path, saltenv='base')",
        doc: "Copies a folder of the state tree into the minion's cache, and returns the paths of its files there.",
        run: cache_dir,
    },
    MasterDef {
        name: "cp.is_cached",
        args: "(path, saltenv='base')",
        doc: "Returns where a file is in the minion's cache; empty if it is not.",
        run: is_cached,
    },
    MasterDef {
        name: "cp.push",
        args: "(path)",
        doc: "Not built: files of minions are not collected, and the call says so.",
        run: push,
    },
    MasterDef {
        name: "cp.push_dir",
        args: "(path)",
        doc: "Not built: files of minions are not collected, and the call says so.",
        run: push,
    },
    MasterDef { name: "cp.envs", args: "()", doc: "Lists the environments of the state tree.", run: envs },
    MasterDef {
        name: "cp.hash_file",
        args: "(path, saltenv='base')",
        doc: "Returns the SHA-256 of a file of the state tree.",
        run: hash_file,
    },
];

fn env(call: &Call, place: usize, data: &Data) -> String {
    call.text(place, "saltenv").unwrap_or_else(|| data.saltenv.to_string())
}

fn find(call: &Call, session: &Session, data: &Data) -> Result<Option<PathBuf>, ExecError> {
    let path = call.need(0, "path")?;
    let path = path.strip_prefix("salt://").unwrap_or(&path);
    Ok(session.corpus.engine.roots().find(path, &env(call, 1, data)))
}

fn get_file_str(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let Some(path) = find(call, session, data)? else { return Ok(false.into()) };
    let text = std::fs::read(&path).map_err(|error| ExecError::failed(format!("read {}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&text).into_owned().into())
}

fn hash_file(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let Some(path) = find(call, session, data)? else { return Ok(false.into()) };
    let file = session.corpus.files.describe(&path, "").map_err(ExecError::failed)?;
    let entries = [("hsum", corpus_core::digest::hex(&file.sha256)), ("hash_type", "sha256".to_owned())];
    Ok(entries.into_iter().collect::<corpus_core::Map>().into())
}

fn list_master(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let prefix = call.text(1, "prefix").unwrap_or_default();
    Ok(session.corpus.engine.roots().list_files(&env(call, 0, data), &prefix).into())
}

fn list_states(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(session.corpus.engine.roots().list_sls(&env(call, 0, data)).into())
}

fn envs(_: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(session.corpus.engine.roots().envs().collect::<Vec<_>>().into())
}

fn list_master_dirs(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let prefix = call.text(1, "prefix").unwrap_or_default();
    let files = session.corpus.engine.roots().list_files(&env(call, 0, data), &prefix);
    let mut dirs: Vec<String> = vec![".".into()];
    for file in &files {
        dirs.extend(file.match_indices('/').map(|(at, _)| file[..at].to_owned()));
    }
    dirs.sort();
    dirs.dedup();
    Ok(dirs.into())
}

/// Has the minion write a file where the template says, but for a dry run, which tells of it.
fn put(
    session: &Arc<Session>,
    data: &Arc<Data>,
    url: &str,
    dest: &str,
    env: &str,
    makedirs: bool,
) -> Result<Value, ExecError> {
    let dry = session.dry.load(Ordering::Relaxed);
    let chunk = keep(session, data, url, dest, env, makedirs, dry)?;
    if dry && chunk.is_some_and(|chunk| chunk.result.is_none()) {
        let told = format!("a template writes {dest} while it renders; in a dry run it is left as it is");
        lock(&session.warnings).push(Diagnostic::warning(told));
    }
    Ok(dest.into())
}

/// Has the minion keep a file, as the state `file.managed` does. What goes into its cache is no change of the machine:
/// templates read it there, in a dry run, too.
fn keep(
    session: &Arc<Session>,
    data: &Arc<Data>,
    url: &str,
    dest: &str,
    env: &str,
    makedirs: bool,
    dry: bool,
) -> Result<Option<ChunkReport>, ExecError> {
    let url = if url.contains("://") { url.to_owned() } else { format!("salt://{url}") };
    let args = [("source", Value::from(url)), ("makedirs", makedirs.into()), ("skip_verify", true.into())];
    let low = LowChunk {
        id: dest.into(),
        name: dest.into(),
        state: "file".into(),
        fun: "managed".into(),
        sls: "cp".into(),
        saltenv: env.into(),
        args: args.into_iter().collect(),
        ..LowChunk::default()
    };
    let mut call = Call::new("cp.get_file", vec![]);
    call.kwargs.insert("test", dry);
    let low = Arc::new(LowState { chunks: vec![low] });
    match super::state::walk(session, &call, data.clone(), &low, &|_| {}) {
        Outcome::Run(report) => match report.chunks.into_iter().next() {
            Some(chunk) if chunk.result == Some(false) => Err(ExecError::failed(format!("{dest}: {}", chunk.comment))),
            chunk => Ok(chunk),
        },
        Outcome::Failed(failure) => Err(ExecError::failed(failure.message)),
        _ => Err(ExecError::failed(format!("{dest}: the minion gave no report"))),
    }
}

/// Has the minion keep a file in its cache and returns its place there.
fn into_cache(session: &Arc<Session>, data: &Arc<Data>, url: &str, env: &str) -> Result<Value, ExecError> {
    let dest = cached(url, env);
    keep(session, data, url, &dest, env, true, false)?;
    Ok(dest.into())
}

fn get_file(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let (path, dest) = (call.need(0, "path")?, call.need(1, "dest")?);
    put(session, data, &path, &dest, &env(call, 2, data), call.flag(3, "makedirs", false))
}

fn get_url(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let (path, env) = (call.need(0, "path")?, env(call, 2, data));
    match call.text(1, "dest").filter(|dest| !dest.is_empty()) {
        Some(dest) => put(session, data, &path, &dest, &env, call.flag(3, "makedirs", false)),
        None => into_cache(session, data, &path, &env),
    }
}

fn cache(session: &Arc<Session>, data: &Arc<Data>, url: &str, env: &str) -> Result<Value, ExecError> {
    let path = url.strip_prefix("salt://").unwrap_or(url);
    if !path.contains("://") && session.corpus.engine.roots().find(path, env).is_none() {
        return Ok(false.into());
    }
    into_cache(session, data, url, env)
}

fn cache_file(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    cache(session, data, &call.need(0, "path")?, &env(call, 1, data))
}

fn cache_files(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let paths: Vec<String> = match call.arg(0, "paths") {
        Some(Value::List(items)) => items.iter().map(corpus_core::python::str).collect(),
        _ => call.need(0, "paths")?.split(',').map(|path| path.trim().to_owned()).collect(),
    };
    let env = env(call, 1, data);
    Ok(Value::list(paths.iter().map(|path| cache(session, data, path, &env)).collect::<Result<_, _>>()?))
}

fn cache_dir(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let (path, env) = (call.need(0, "path")?, env(call, 1, data));
    let folder = path.strip_prefix("salt://").unwrap_or(&path).trim_end_matches('/');
    let below = format!("{folder}/");
    let files = session.corpus.engine.roots().list_files(&env, folder);
    let files = files.into_iter().filter(|file| folder.is_empty() || file.starts_with(&below));
    Ok(Value::list(files.map(|file| cache(session, data, &format!("salt://{file}"), &env)).collect::<Result<_, _>>()?))
}

fn is_cached(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = cached(&call.need(0, "path")?, &env(call, 1, data));
    let asked = session.minion.call(&Call::new("file.file_exists", vec![path.as_str().into()]));
    let there = asked.map_err(|error| ExecError::failed(error.to_string()))??;
    Ok(if there.truthy() { path.into() } else { "".into() })
}

fn push(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Err(ExecError::failed(format!(
        "{} is not built: files of minions are not collected; `cmd.run 'base64 FILE'` shows one",
        call.fun
    )))
}
