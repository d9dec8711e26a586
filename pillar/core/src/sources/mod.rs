//! The sources that need no more than files and programs of the master, by the names of Salt's `ext_pillar` modules.

mod cmd;
mod corpus_db;
mod file_tree;
mod nodegroups;
mod plain;
mod saltclass;
mod stack;

use crate::arguments::{Arguments, Entry};
use crate::source::PillarSource;
use corpus_core::{Diagnostic, Value, python, suggest};
use std::sync::Arc;

pub use plain::fingerprint;

/// Makes a source of an entry, if its name is one of these.
pub fn make(entry: &Entry) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>> {
    let args = Arguments::of(&entry.value);
    let identity = python::repr(&entry.value);
    Some(match entry.name.as_str() {
        "cmd_yaml" => cmd::make(cmd::Format::Yaml, args),
        "cmd_json" => cmd::make(cmd::Format::Json, args),
        "cmd_yamlex" => cmd::make(cmd::Format::Yamlex, args),
        "file_tree" => file_tree::make(args, identity),
        "nodegroups" => nodegroups::make(args),
        "stack" => stack::make(args, identity),
        "corpus_db" => corpus_db::make(args),
        "saltclass" => saltclass::make(args, identity),
        _ => return None,
    })
}

/// The names of [`make`].
pub const NAMES: &[&str] =
    &["cmd_yaml", "cmd_json", "cmd_yamlex", "file_tree", "nodegroups", "stack", "saltclass", "corpus_db"];

/// Says why a source is not there and what to do; `known` are the names that there are.
pub fn refusal(name: &str, known: &[&str]) -> Diagnostic {
    let message = format!("the source '{name}' is not built");
    let hint = match name {
        "reclass_adapter" | "reclass" => {
            "it needs reclass, which is written in Python: run it yourself, `cmd_yaml: reclass --nodeinfo %s -o yaml` with \
             its `parameters`, or write the inventory for `saltclass` or `stack`"
        }
        "makostack" => "its templates are Mako, which is Python: `stack` does the same with Jinja",
        "hiera" | "puppet" | "varstack" | "pepa" | "django_orm" => {
            "it needs a program or library that corpus has none of: run it yourself with `cmd_yaml` or `cmd_json`"
        }
        "mysql" | "sqlcipher" | "mongo" | "redis" | "rethinkdb" | "etcd" | "consul" | "couchdb" => {
            "there are `postgres` and `sqlite3`; another database can be asked with `cmd_json`"
        }
        "nacl" | "gpg" => "secrets are decrypted by `#!yaml|gpg` in the SLS that hold them",
        _ => "",
    };
    if !hint.is_empty() {
        return Diagnostic::error(message).hint(hint);
    }
    let hint = suggest::did_you_mean(name, known.iter().copied());
    Diagnostic::error(message).hint(hint.unwrap_or_else(|| {
        format!("there are: {}; modules of your own in Python become programs for `cmd_json`", known.join(", "))
    }))
}

/// Says that a value must be a mapping.
pub(crate) fn not_a_mapping(what: &str, value: &Value) -> Diagnostic {
    Diagnostic::error(format!("{what} is a {}, not a mapping", value.type_name()))
}
