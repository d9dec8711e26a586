//! Documents written from the registries: `docs/parity.md`, and a page per state function.

use anyhow::{Context, Result};
use corpus_core::{ExecFn, Registry, StateDef};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Compares the documents with what the registries say, or writes them.
pub fn check(root: &Path, bless: bool) -> Result<Vec<String>> {
    let registry = corpus_minion::registry();
    let mut pages: BTreeMap<PathBuf, String> = BTreeMap::new();
    pages.insert(
        "docs/parity.md".into(),
        parity(&registry, &std::fs::read_to_string(root.join("docs/parity-notes.md")).unwrap_or_default()),
    );
    for def in registry.all_states() {
        pages.insert(format!("docs/reference/states/{}.md", def.name).into(), state_page(def));
    }
    pages.insert("docs/reference/functions.md".into(), functions(&registry));
    let mut complaints = vec![];
    for (path, text) in &pages {
        let at = root.join(path);
        let have = std::fs::read_to_string(&at).unwrap_or_default();
        if have == *text {
            continue;
        }
        if bless {
            std::fs::create_dir_all(at.parent().context("a page has a folder")?)?;
            std::fs::write(&at, text)?;
        } else {
            complaints.push(format!("{} is not what the sources say; `cargo tidy --bless` writes it", path.display()));
        }
    }
    for stale in stale(root, &pages)? {
        if bless {
            std::fs::remove_file(root.join(&stale))?;
        } else {
            complaints.push(format!("{} describes a function that is gone", stale.display()));
        }
    }
    Ok(complaints)
}

fn stale(root: &Path, pages: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let folder = Path::new("docs/reference/states");
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Ok(vec![]) };
    let mut found = vec![];
    for entry in entries {
        let path = folder.join(entry?.file_name());
        if !pages.contains_key(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

const HEAD: &str = "<!-- Written by `cargo tidy --bless` from the sources; do not edit. -->\n\n";

fn parity(registry: &Registry, notes: &str) -> String {
    let mut out = format!(
        "{HEAD}# What is built\n\nEvery function that this build answers, with the arguments that it takes. What is not here answers \
         with an error that names it. How behaviour differs from Salt's is in [salt-differences.md](salt-differences.md).\n\n"
    );
    let _ =
        writeln!(out, "## State functions ({})\n\n| function | arguments |\n|---|---|", registry.all_states().count());
    for def in registry.all_states() {
        let args: Vec<String> = (def.args)().iter().map(|arg| format!("`{arg}`")).collect();
        let _ = writeln!(out, "| [`{0}`](reference/states/{0}.md) | {1} |", def.name, args.join(" "));
    }
    let names: Vec<&str> = names(registry).into_iter().map(|(name, ..)| name).collect();
    let _ = writeln!(out, "\n## Execution functions ({})\n", names.len());
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &names {
        let (module, fun) = name.split_once('.').unwrap_or((name, ""));
        modules.entry(module).or_default().push(fun);
    }
    for (module, funs) in modules {
        let _ = writeln!(out, "- `{module}`: {}", funs.join(", "));
    }
    out.push_str("\nSignatures are in [reference/functions.md](reference/functions.md).\n");
    if !notes.is_empty() {
        out.push('\n');
        out.push_str(notes);
    }
    out
}

/// All execution functions: name, signature, documentation, where it is answered.
fn names(registry: &Registry) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let mut all: Vec<_> = registry
        .all_exec()
        .map(|def| {
            let site = match def.run {
                ExecFn::Data(_) => "data",
                ExecFn::Read(_) => "minion, reads",
                ExecFn::Write(_) => "minion, changes",
            };
            (def.name, def.args, def.doc, site)
        })
        .collect();
    all.extend(corpus_master::functions::all().map(|def| (def.name, def.args, def.doc, "master")));
    let projects = corpus_project::FUNCTIONS.iter().copied().flatten();
    all.extend(projects.map(|def| (def.name, def.args, def.doc, "master")));
    all.extend(corpus_project::EXEC.iter().map(|def| (def.name, def.args, def.doc, "minion, changes")));
    // The master answers first.
    all.sort_by_key(|(name, _, _, site)| (*name, *site != "master"));
    all.dedup_by_key(|entry| entry.0);
    all
}

fn functions(registry: &Registry) -> String {
    let mut out = format!("{HEAD}# Execution functions\n\n| function | answered by | what it does |\n|---|---|---|\n");
    for (name, args, doc, site) in names(registry) {
        let doc = doc.trim().lines().next().unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(out, "| `{name}{}` | {site} | {doc} |", args.replace('|', "\\|"));
    }
    out
}

fn state_page(def: &StateDef) -> String {
    let mut out =
        format!("{HEAD}# {}\n\n{}\n\n## Arguments\n\n| argument | meaning |\n|---|---|\n", def.name, def.doc.trim());
    for arg in (def.args)() {
        let words = def.arg_docs.iter().find(|(name, _)| name == arg).map_or("", |(_, words)| words);
        let _ = writeln!(out, "| `{arg}` | {} |", words.replace('\n', " ").replace('|', "\\|"));
    }
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let _ = writeln!(
        out,
        "\nActs on `watch` by itself: {}. Applied twice, the second time changes nothing: {}.",
        yes(def.watches),
        if def.converges { "yes, and a run fails if not" } else { "not promised" }
    );
    out
}
