//! `sys.*`: what there is, and how to use it.

use super::MasterDef;
use crate::Session;
use corpus_core::{Call, Data, ExecError, Map, Value, suggest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "sys.doc",
        args: "(*names)",
        doc: "Returns the documentation of functions: execution functions, else state functions.",
        run: doc,
    },
    MasterDef {
        name: "sys.state_doc",
        args: "(*names)",
        doc: "Returns the documentation of state functions.",
        run: state_doc,
    },
    MasterDef {
        name: "sys.list_functions",
        args: "(*modules)",
        doc: "Lists the execution functions.",
        run: list_functions,
    },
    MasterDef { name: "sys.list_modules", args: "()", doc: "Lists the execution modules.", run: list_modules },
    MasterDef {
        name: "sys.list_state_functions",
        args: "(*modules)",
        doc: "Lists the state functions.",
        run: list_state_functions,
    },
    MasterDef { name: "sys.list_state_modules", args: "()", doc: "Lists the state modules.", run: list_state_modules },
    MasterDef {
        name: "sys.argspec",
        args: "(name)",
        doc: "Returns the arguments of execution functions.",
        run: argspec,
    },
    MasterDef {
        name: "sys.state_argspec",
        args: "(name)",
        doc: "Returns the arguments of state functions.",
        run: state_argspec,
    },
];

/// Returns name and text of everything that has the name, or whose module has.
fn wanted(names: &[String], name: &str) -> bool {
    names.is_empty()
        || names.iter().any(|want| {
            want == name
                || name.split_once('.').is_some_and(|(module, _)| module == want)
                || corpus_core::glob::matches(want, name)
        })
}

fn names(call: &Call) -> Vec<String> {
    call.args.iter().map(corpus_core::python::str).collect()
}

/// Everything that can be called, with arguments and documentation: the tree's own modules are asked on the minion.
fn exec_docs(session: &Arc<Session>) -> Result<Vec<(String, String, String)>, ExecError> {
    let corpus = &session.corpus;
    let mut all: Vec<_> =
        corpus.registry.all_exec().map(|d| (d.name.to_owned(), d.args.to_owned(), d.doc.to_owned())).collect();
    all.extend(corpus.master_functions().map(|d| (d.name.to_owned(), d.args.to_owned(), d.doc.to_owned())));
    all.extend(session.corpus.runners().map(|d| (d.name.to_owned(), d.args.to_owned(), d.doc.to_owned())));
    all.sort();
    all.dedup_by(|a, b| a.0 == b.0);
    let built_in = all.len();
    let modules = session.module_functions().map_err(ExecError::failed)?;
    // What corpus has itself is not replaced.
    let new = |(name, ..): &(String, String, String)| all[..built_in].binary_search_by(|own| own.0.cmp(name)).is_err();
    let new: Vec<_> = modules.into_iter().filter(new).collect();
    all.extend(new);
    all.sort();
    Ok(all)
}

fn doc(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let mut found = Map::new();
    for (name, args, doc) in exec_docs(session)? {
        if wanted(&names, &name) {
            found.insert(name.as_str(), format!("{name}{args}\n\n{doc}"));
        }
    }
    // People ask for `file.managed` and mean the state.
    if let (Value::Map(states), false) = (state_doc(call, session, data)?, names.is_empty()) {
        for (name, text) in states.iter() {
            found.0.entry(name.clone()).or_insert_with(|| text.clone());
        }
    }
    if found.is_empty() {
        let all = session.corpus.function_names();
        let states = session.corpus.registry.all_states().map(|def| def.name);
        let near =
            names.first().and_then(|name| suggest::did_you_mean(name, all.iter().map(String::as_str).chain(states)));
        let hint =
            near.unwrap_or_else(|| "`sys.list_functions` and `sys.list_state_functions` list what there is".into());
        return Err(ExecError::Failed(format!("'{}' is not available. ({hint})", names.join(", "))));
    }
    Ok(found.into())
}

fn state_doc(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let mut found = Map::new();
    for def in session.corpus.registry.all_states().filter(|def| wanted(&names, def.name)) {
        let mut text = def.doc.trim_end().to_owned();
        for arg in (def.args)() {
            let words = def.arg_docs.iter().find(|(name, _)| name == arg).map_or("", |(_, words)| words);
            text += &format!(
                "\n{}{arg}\n    {}",
                if text.contains("\nArguments") { "" } else { "\nArguments\n---------\n" },
                words.replace('\n', "\n    ")
            );
        }
        found.insert(def.name, text);
    }
    Ok(found.into())
}

fn list_functions(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let all = exec_docs(session)?.into_iter().map(|(name, ..)| name);
    Ok(all.filter(|name| wanted(&names, name)).collect::<Vec<_>>().into())
}

fn modules<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let modules: BTreeSet<&str> = names.filter_map(|name| Some(name.split_once('.')?.0)).collect();
    modules.into_iter().collect::<Vec<_>>().into()
}

fn list_modules(_: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let all: Vec<String> = exec_docs(session)?.into_iter().map(|(name, ..)| name).collect();
    Ok(modules(all.iter().map(String::as_str)))
}

fn list_state_functions(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let all = session.corpus.registry.all_states().map(|def| def.name);
    Ok(all.filter(|name| wanted(&names, name)).collect::<Vec<_>>().into())
}

fn list_state_modules(_: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(modules(session.corpus.registry.all_states().map(|def| def.name)))
}

fn argspec(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let mut found = Map::new();
    for (name, args, _) in exec_docs(session)?.into_iter().filter(|(name, ..)| wanted(&names, name)) {
        found.insert(name, args);
    }
    Ok(found.into())
}

fn state_argspec(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let names = names(call);
    let mut found = Map::new();
    for def in session.corpus.registry.all_states().filter(|def| wanted(&names, def.name)) {
        found.insert(def.name, (def.args)().to_vec());
    }
    Ok(found.into())
}
