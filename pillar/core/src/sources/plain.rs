//! What the sources made of template files share: plain Jinja engines, YAML of their results, a fingerprint of folders.

use crate::source::{Ask, Place};
use corpus_core::{Diagnostic, Map};
use corpus_render::{Engine, FileRoots, RenderCx, RenderedSls};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An engine for each folder whose templates may include each other; they keep what they have parsed.
#[derive(Default)]
pub struct Engines {
    by_folder: Mutex<HashMap<PathBuf, Engine>>,
}

impl Engines {
    /// Renders a file of a folder by plain Jinja.
    pub fn render(
        &self,
        folder: &Path,
        path: &Path,
        head: &str,
        ask: &Ask,
        vars: Map,
    ) -> Result<RenderedSls, Diagnostic> {
        let engine = {
            let mut known = self.by_folder.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Engine::plain(FileRoots::base(folder));
            known.entry(folder.to_owned()).or_insert_with(new).clone()
        };
        let mut cx = RenderCx::new(ask.data.clone(), ask.caller.clone());
        cx.saltenv = "base".into();
        cx.vars = vars;
        engine.render_jinja(path, &path.display().to_string(), head, &cx)
    }
}

/// The place of a rendered file's nodes: in the template.
pub fn place(rendered: &Arc<RenderedSls>) -> Place {
    let rendered = rendered.clone();
    Place::Computed(Arc::new(move |pos| rendered.locate(pos)))
}

/// Returns a digest of the names, sizes and times of all files of folders, and of single files.
pub fn fingerprint(paths: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    for path in paths {
        walk(path, &mut hash, 0);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn walk(path: &Path, hash: &mut Sha256, depth: usize) {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(path) else { return };
    hash.update(path.as_os_str().as_encoded_bytes());
    if !meta.is_dir() {
        let stamp = [meta.ino(), meta.size(), meta.mtime() as u64, meta.mtime_nsec() as u64, meta.ctime_nsec() as u64];
        stamp.iter().for_each(|number| hash.update(number.to_le_bytes()));
        return;
    }
    let mut names: Vec<_> = std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
    names.sort();
    for name in names.iter().filter(|_| depth < 40) {
        walk(name, hash, depth + 1);
    }
}
