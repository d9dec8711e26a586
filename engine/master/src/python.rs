//! Modules in Python that a state tree brings along (`_modules`, `_states`, `_grains`): corpus has no Python to run
//! them, so what misses them says which file it is.

use crate::loader::Loader;
use corpus_compile::SlsLoader;
use corpus_core::{Diagnostic, LowState, Registry};
use corpus_render::FileRoots;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What to do instead, for all of them.
const WAY_OUT: &str = "corpus runs no Python: make it an executable module, `_modules/NAME` with the run bit, which \
                       answers in JSON (docs/guide/modules.md), or put the value into pillar or grains";
/// What to do instead of a state in Python.
const STATE_WAY_OUT: &str = "corpus runs no Python: declare it with the states that `corpus sys.list_state_functions` \
                             names, or call an executable module by `module.run` (docs/guide/modules.md)";

/// Finds the Python file that gives a module its name, by its file name or its `__virtualname__`.
pub fn find(roots: &FileRoots, folder: &str, module: &str) -> Option<PathBuf> {
    let files = files(roots, folder);
    let named = files.iter().find(|path| path.file_stem().is_some_and(|stem| stem == module));
    named.or_else(|| files.iter().find(|path| calls_itself(path, module))).cloned()
}

fn files(roots: &FileRoots, folder: &str) -> Vec<PathBuf> {
    let envs: Vec<String> = roots.envs().map(str::to_owned).collect();
    let folders = envs.iter().flat_map(|env| roots.roots(env)).map(|root| root.join(folder));
    let mut files: Vec<PathBuf> = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.sort();
    files.dedup();
    files
}

fn calls_itself(path: &Path, module: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let assigned = text.lines().filter_map(|line| line.strip_prefix("__virtualname__")?.trim().strip_prefix('='));
    assigned.map(|value| value.trim().trim_matches(['"', '\''])).any(|name| name == module)
}

/// Says why a function is not there, if a Python file of the tree would bring it.
pub fn explain(roots: &FileRoots, fun: &str) -> Option<String> {
    let file = find(roots, "_modules", fun.split('.').next()?)?;
    Some(format!("it is written in Python ({}); {WAY_OUT}", file.display()))
}

/// Warns of the Python files that a run misses: those of its states, and those of grains.
pub fn warnings(roots: &FileRoots, low: &LowState, registry: &Registry, loader: &Loader) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let unknown = low.chunks.iter().filter(|chunk| registry.state(&chunk.full_name()).is_none());
    let mut warnings: Vec<Diagnostic> = unknown
        .filter(|chunk| seen.insert(&*chunk.state))
        .filter_map(|chunk| {
            let file = find(roots, "_states", &chunk.state)?;
            let message = format!("the states `{}.*` are written in Python ({})", chunk.state, file.display());
            Some(Diagnostic::warning(message).at(loader.relocate(&chunk.span), "").hint(STATE_WAY_OUT))
        })
        .collect();
    warnings.extend(files(roots, "_grains").iter().map(|file| {
        let message = format!("the grains of {} are missing: it is written in Python", file.display());
        Diagnostic::warning(message)
            .hint("corpus runs no Python: set the grains with `grains.present` or `grains.setval`")
    }));
    warnings
}
