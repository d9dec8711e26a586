//! `sync_modules`: a project's own Salt modules, `.salt/_<kind>/*.py`, linked into the state tree. No Python runs here;
//! the links keep the tree as the original made it, and corpus says of each function why it is not there. Programs in
//! `.salt/_modules` are modules as anywhere, and do run.

use crate::{Cx, ProjectError, ProjectName, R};
use corpus_core::Map;
use std::path::Path;

const KINDS: &[&str] = &[
    "auth",
    "beacons",
    "clouds",
    "engines",
    "grains",
    "log_handlers",
    "modules",
    "netapi",
    "outputters",
    "pillar",
    "proxy",
    "queues",
    "renderers",
    "returners",
    "roster",
    "runners",
    "sdb",
    "states",
    "tops",
    "utils",
    "wheel",
];

/// Links the modules of a project, each under its own name and under one with the project's. Tells what was linked.
pub fn sync(cx: &Cx, name: &ProjectName, cfg: &Map) -> R<Vec<String>> {
    let salt = cx.layout(name).salt(cfg.str("default_env").unwrap_or_default());
    let mut done = vec![];
    for kind in KINDS {
        let folder = salt.join(format!("_{kind}"));
        let mut files: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|file| file.ends_with(".py") || *kind == "modules" && is_program(&folder.join(file)))
            .collect();
        files.sort();
        let into = cx.salt_root().join(format!("_{kind}"));
        if !files.is_empty() {
            std::fs::create_dir_all(&into).map_err(|error| ProjectError::io("make", &into, error))?;
        }
        done.extend(unlink(&folder, &into)?.into_iter().map(|link| format!("removed _{kind}/{link}")));
        for file in files {
            for link in [file.clone(), format!("{name}_{file}")] {
                if linked(&folder.join(&file), &into.join(&link))? {
                    done.push(format!("_{kind}/{link}"));
                }
            }
        }
    }
    Ok(done)
}

/// Removes the links to what a project has no more.
fn unlink(folder: &Path, into: &Path) -> R<Vec<String>> {
    let mut gone = vec![];
    for entry in std::fs::read_dir(into).into_iter().flatten().flatten() {
        let link = entry.path();
        if std::fs::read_link(&link).is_ok_and(|target| target.starts_with(folder)) && !link.exists() {
            std::fs::remove_file(&link).map_err(|error| ProjectError::io("remove", &link, error))?;
            gone.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(gone)
}

/// Tells whether a file is an executable module: it has the run bit and no dot in its name.
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let dotless = file.file_name().is_some_and(|name| !name.as_encoded_bytes().contains(&b'.'));
    dotless && std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn linked(target: &Path, link: &Path) -> R<bool> {
    if std::fs::read_link(link).is_ok_and(|found| found == target) {
        return Ok(false);
    }
    let fail = |error| ProjectError::io("link", link, error);
    match std::fs::remove_file(link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    std::os::unix::fs::symlink(target, link).map_err(fail)?;
    Ok(true)
}
