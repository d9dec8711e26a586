//! The procedures that come with corpus: SLS files within the program, laid out on the disk once per build, so that
//! they are found as `salt://makina-states/projects/2/…` and `salt://corpus/projects/2/…`.

use crate::{ProjectError, R};
use corpus_core::digest::{hex, sha256};
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/bundles.rs"));

/// The names under which the tree is found: the one that existing projects write, and ours.
const HEADS: &[&str] = &["makina-states/projects", "corpus/projects"];

/// Returns a state tree with the bundles, laying it out if this build has not done so yet.
pub fn root(cache: &Path) -> R<PathBuf> {
    let place = place(cache);
    if !place.is_dir() {
        lay_out(&place)?;
    }
    link(&place)?;
    Ok(place)
}

/// Returns where the tree of this build is, or would be.
pub fn place(cache: &Path) -> PathBuf {
    let mut all = vec![];
    for (name, text) in FILES {
        all.extend_from_slice(name.as_bytes());
        all.push(0);
        all.extend_from_slice(text.as_bytes());
        all.push(0);
    }
    cache.join("bundles").join(&hex(&sha256(&all))[..16])
}

fn lay_out(place: &Path) -> R<()> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    let fail = |error: std::io::Error| ProjectError::io("write", folder, error);
    std::fs::create_dir_all(folder).map_err(fail)?;
    let temporary = tempfile::Builder::new().prefix(".corpus-").tempdir_in(folder).map_err(fail)?;
    for (name, text) in FILES {
        let heads: Vec<String> =
            match ["services/", "localsettings/", "_macros/"].iter().any(|head| name.starts_with(head)) {
                true => vec![format!("makina-states/{name}")],
                false => HEADS.iter().map(|head| format!("{head}/{name}")).collect(),
            };
        for path in heads.iter().map(|head| temporary.path().join(head)) {
            std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(fail)?;
            std::fs::write(&path, text).map_err(fail)?;
        }
    }
    open(temporary.path()).map_err(fail)?;
    // Another process may have been faster: its tree is the same.
    match std::fs::rename(temporary.path(), place) {
        Ok(()) => {
            std::mem::forget(temporary);
            Ok(())
        }
        Err(_) if place.is_dir() => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

/// Puts the program there that recipes of the original start by its path: this one, under another name.
fn link(place: &Path) -> R<()> {
    let Ok(own) = std::env::current_exe() else { return Ok(()) };
    let bin = place.join("bin");
    let link = bin.join(crate::reset::NAME);
    if std::fs::read_link(&link).is_ok_and(|found| found == own) {
        return Ok(());
    }
    let temporary = bin.join(format!(".corpus-{}", std::process::id()));
    let make = || -> std::io::Result<()> {
        std::fs::create_dir_all(&bin)?;
        std::os::unix::fs::symlink(own, &temporary)?;
        std::fs::rename(&temporary, &link)
    };
    make().map_err(|error| ProjectError::io("link", &link, error))
}

/// Lets everybody read the tree: what a project's user starts of it must be found by him.
fn open(tree: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(tree, std::fs::Permissions::from_mode(0o755))
}

/// Returns a file of an installer.
pub fn file(api: &str, installer: &str, name: &str) -> Option<&'static str> {
    let wanted = format!("{api}/{installer}/{name}");
    FILES.iter().find(|(known, _)| *known == wanted).map(|(_, text)| *text)
}
