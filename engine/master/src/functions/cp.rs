//! `cp.*` as templates use it: the state tree's files, read on the master.

use super::MasterDef;
use crate::Session;
use corpus_core::{Call, Data, ExecError, Value};
use std::path::PathBuf;
use std::sync::Arc;

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
