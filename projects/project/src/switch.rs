//! The switch from one release to the next, and back. `project/` is one whole tree or the other at every instant: each
//! is complete and on the disk before they change places in one rename.

use crate::fs::{Fs, TreeId, tree_id};
use crate::journal::{Journal, Phase};
use crate::report::DeployReport;
use crate::{Layout, ProjectError, R, undo};
use std::path::PathBuf;

/// The tree that is being prepared; after the switch, the previous one.
pub fn spare(layout: &Layout, id: &str) -> PathBuf {
    layout.archive(id).join(".next")
}

/// The previous release, once it is an archive.
pub fn archived(layout: &Layout, id: &str) -> PathBuf {
    layout.archive(id).join("project")
}

/// Where the tree that failed is kept.
pub fn failed(layout: &Layout, id: &str) -> PathBuf {
    layout.archive(id).join("project.failed")
}

/// Puts the prepared tree into the place of `project/`.
pub fn forward(fs: &dyn Fs, layout: &Layout, journal: &mut Journal) -> R<()> {
    let next = spare(layout, &journal.id);
    fs.sync_all(&next)?;
    journal.previous = tree_id(&layout.project);
    journal.next = tree_id(&next);
    journal.phase = Phase::Switching;
    journal.write(fs, layout)?;
    match journal.previous {
        Some(_) => fs.exchange(&layout.project, &next)?,
        None => fs.rename(&next, &layout.project)?,
    }
    fs.sync_dir(&layout.dir)?;
    fs.sync_dir(&layout.archive(&journal.id))
}

/// Puts the previous release back, wherever it is, and keeps the failed tree. Tells whether there was something to do.
pub fn back(fs: &dyn Fs, layout: &Layout, journal: &mut Journal) -> R<bool> {
    let Some(previous) = journal.previous else { return Ok(false) };
    if journal.phase != Phase::RollingBack {
        journal.phase = Phase::RollingBack;
        journal.write(fs, layout)?;
    }
    let moved = tree_id(&layout.project) != Some(previous);
    if moved {
        let place = find(layout, &journal.id, previous).ok_or_else(|| {
            ProjectError::new(format!("the previous release is not in {}", layout.archive(&journal.id).display()))
                .hint(format!("`corpus mc_project.rollback` takes another archive: to={}", "<archive id>"))
        })?;
        fs.sync_all(&place)?;
        match tree_id(&layout.project) {
            Some(_) => fs.exchange(&layout.project, &place)?,
            None => fs.rename(&place, &layout.project)?,
        }
        fs.sync_dir(&layout.dir)?;
    }
    if let Some(place) = journal.next.and_then(|next| find(layout, &journal.id, next)) {
        let failed = failed(layout, &journal.id);
        fs.remove(&failed)?;
        fs.rename(&place, &failed)?;
    }
    if layout.archive(&journal.id).exists() {
        fs.sync_dir(&layout.archive(&journal.id))?;
    }
    Ok(moved)
}

fn find(layout: &Layout, id: &str, tree: TreeId) -> Option<PathBuf> {
    [spare(layout, id), archived(layout, id)].into_iter().find(|path| tree_id(path) == Some(tree))
}

/// Undoes what a killed deployment left. The caller holds the lock. Tells what it did.
pub fn recover(fs: &dyn Fs, layout: &Layout) -> R<Option<String>> {
    let Some(mut journal) = Journal::read(layout)? else { return Ok(None) };
    let id = journal.id.clone();
    let head = format!("the deployment {id} by {} was killed", journal.who);
    let said = match journal.phase {
        Phase::Preparing | Phase::Switching if journal.from.is_some() && tree_id(&layout.project) == journal.served => {
            give_back(fs, layout, &journal)?;
            format!("{head} before it moved anything; the archive is where it was")
        }
        Phase::Switching if journal.from.is_some() => {
            settle(fs, layout, &id, true)?;
            format!("{head} when the archived release was in place; it serves")
        }
        Phase::Preparing => {
            fs.remove(&layout.archive(&id))?;
            format!("{head} before it moved anything; its copies are removed")
        }
        Phase::Ended => {
            settle(fs, layout, &id, journal.from.is_some())?;
            tidy(fs, layout, &id)?;
            format!("{head} when it had ended; it is tidied up")
        }
        // A development tree keeps the failing code.
        Phase::Live if journal.env == "dev" => {
            undo::forget(layout, &id)?;
            format!("{head}; project/ stays as it is, as this is a dev environment")
        }
        Phase::Switching if tree_id(&layout.project) == journal.previous => {
            fs.remove(&spare(layout, &id))?;
            format!("{head} before it moved anything; its copies are removed")
        }
        Phase::Switching | Phase::Live | Phase::RollingBack => {
            let moved = back(fs, layout, &mut journal)?;
            let files = match journal.rollback_host {
                true => undo::restore(layout, &id)?,
                false => vec![],
            };
            let what = if moved { "the previous release is put back" } else { "the previous release serves" };
            format!("{head}; {what}, {} files of the host are put back", files.len())
        }
    };
    told(layout, &journal, &said);
    undo::forget(layout, &id)?;
    fs.remove(&layout.archive(&id).join(".pillar"))?;
    if std::fs::read_dir(layout.archive(&id)).is_ok_and(|mut entries| entries.next().is_none()) {
        fs.remove(&layout.archive(&id))?;
    }
    Journal::end(fs, layout)?;
    Ok(Some(said))
}

/// Leaves a report of the deployment that could not leave its own.
fn told(layout: &Layout, journal: &Journal, said: &str) {
    let project = layout.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = DeployReport {
        id: journal.id.clone(),
        project,
        what: if journal.from.is_some() { "rollback" } else { "deploy" }.into(),
        who: journal.who.clone(),
        env: journal.env.clone(),
        started: journal.started.clone(),
        project_rev: journal.revision.clone(),
        summary: said.to_owned(),
        comment: said.to_owned(),
        ..DeployReport::default()
    };
    report.rolled_back = journal.phase == Phase::RollingBack;
    // One that had ended has told the rest itself.
    if !layout.deployments().join(format!("{}.json", journal.id)).exists()
        && let Err(error) = crate::report::keep(layout, &report)
    {
        tracing::warn!("the report of the killed deployment is not kept: {error}");
    }
}

/// Puts an archive back from where it was taken.
pub fn give_back(fs: &dyn Fs, layout: &Layout, journal: &Journal) -> R<()> {
    let spare = spare(layout, &journal.id);
    if let Some(from) = journal.from.as_ref().filter(|_| spare.exists()) {
        fs.make_dir(&layout.archive(from), 0o750)?;
        fs.rename(&spare, &archived(layout, from))?;
    }
    Ok(())
}

/// Makes of the previous tree the deployment's archive, or drops it where recipes have made an archive of their own.
pub fn settle(fs: &dyn Fs, layout: &Layout, id: &str, keep: bool) -> R<()> {
    let (spare, archived) = (spare(layout, id), archived(layout, id));
    if spare.exists() && keep && !archived.exists() {
        fs.rename(&spare, &archived)?;
    }
    Ok(())
}

/// Removes what a deployment needs no longer.
pub fn tidy(fs: &dyn Fs, layout: &Layout, id: &str) -> R<()> {
    fs.remove(&spare(layout, id))?;
    fs.remove(&layout.archive(id).join(".pillar"))?;
    if std::fs::read_dir(layout.archive(id)).is_ok_and(|mut entries| entries.next().is_none()) {
        fs.remove(&layout.archive(id))?;
    }
    Ok(())
}
