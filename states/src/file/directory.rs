//! `file.directory`

use super::shared::{self, failed};
use corpus_core::decode::{Mode, OneOrMany};
use corpus_core::low::{LowChunk, RequisiteKind};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{self, pattern, perms::Want, walk};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Keeps a directory: that it is there, who owns it, and if told so what is in it.
///
/// ```sls
/// /srv/app:
///   file.directory:
///     - user: root
///     - mode: '0755'
///     - makedirs: true
///     - recurse: [user, group]
/// ```
#[derive(Deserialize)]
pub struct Directory {
    name: String,
    /// Who owns the directory.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that the directory belongs to.
    group: Option<Value>,
    /// Also repairs what is below: `user`, `group`, `mode`; `ignore_files`, `ignore_dirs`, `silent` limit that.
    #[serde(default)]
    recurse: Value,
    /// How deep `recurse` goes.
    max_depth: Option<usize>,
    /// The permissions of directories.
    dir_mode: Option<Mode>,
    /// The permissions of directories, unless `dir_mode` says otherwise.
    mode: Option<Mode>,
    /// The permissions of files, for `recurse`; those of directories unless set.
    file_mode: Option<Mode>,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// Removes everything that no required file state manages.
    #[serde(default)]
    clean: bool,
    /// What `clean` leaves: shell patterns, or regular expressions after `E@`.
    exclude_pat: Option<OneOrMany<String>>,
    /// Changes what a link points to, not the link.
    #[serde(default)]
    follow_symlinks: bool,
    /// Replaces a file that is in the way.
    #[serde(default)]
    force: bool,
    /// Moves what is in the way to this name.
    backupname: Option<String>,
    /// Takes a link to a directory for a directory.
    #[serde(default = "shared::yes")]
    allow_symlink: bool,
    /// Repairs only what is below, not the directory.
    #[serde(default)]
    children_only: bool,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_owner")]
    _win_owner: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_perms")]
    _win_perms: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_deny_perms")]
    _win_deny_perms: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_inheritance")]
    _win_inheritance: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_perms_reset")]
    _win_perms_reset: Value,
}

const KINDS: [&str; 6] = ["user", "group", "mode", "ignore_files", "ignore_dirs", "silent"];

impl Directory {
    fn recurse_set(&self) -> Result<Vec<String>, StateError> {
        if !self.recurse.truthy() {
            return Ok(vec![]);
        }
        let Some(items) = self.recurse.as_list() else {
            return Err(failed("\"recurse\" must be formed as a list of strings"));
        };
        let words: Vec<String> = items.iter().map(python::str).collect();
        if words.iter().any(|word| !KINDS.contains(&&**word)) {
            let kinds: Vec<String> = KINDS.iter().map(|kind| format!("\"{kind}\"")).collect();
            return Err(failed(format!("Types for \"recurse\" limited to {}.", kinds.join(", "))));
        }
        let has = |word: &str| words.iter().any(|w| w == word);
        if has("ignore_files") && has("ignore_dirs") {
            return Err(failed(
                "Must not specify \"recurse\" options \"ignore_files\" and \"ignore_dirs\" at the same time.",
            ));
        }
        for (word, value) in [("user", &self.user), ("group", &self.group)] {
            if has(word) && value.is_none() {
                return Err(failed(format!(
                    "{word} not specified, but configured as a target for recursive ownership management"
                )));
            }
        }
        Ok(words)
    }

    /// Clears the way: moves or removes what is at the path and is no directory.
    fn clear(&self, cx: &PlanCx<'_>, plan: &mut Plan, path: &Path) -> Result<bool, StateError> {
        let Some(meta) = cx.host.lstat(path)? else { return Ok(false) };
        let shown = path.display();
        let is_file = cx.host.stat(path)?.is_some_and(|meta| meta.is_file());
        let in_the_way = is_file || meta.is_symlink() && (!self.allow_symlink || self.force);
        if !in_the_way {
            return Ok(false);
        }
        if let Some(backup) = &self.backupname {
            let backup = shared::path(cx, backup)?;
            if cx.host.lstat(&backup)?.is_some() {
                if !self.force {
                    return Err(failed(format!("File exists where the backup target {} should go", backup.display())));
                }
                plan.changes.insert("forced", format!("Existing file at backup path {} was removed", backup.display()));
                plan.push(Effect::Remove { path: backup.clone() }, vec![]);
            }
            plan.changes.insert("backup", format!("{shown} renamed to {}", backup.display()));
            plan.would = format!("{shown} would be backed up and replaced with a new directory");
            plan.push(Effect::Rename { from: path.to_owned(), to: backup }, vec![]);
        } else if self.force {
            let what = if meta.is_symlink() { "Symlink" } else { "File" };
            plan.changes.insert("forced", format!("{what} was forcibly replaced"));
            plan.push(Effect::Remove { path: path.to_owned() }, vec![]);
        } else {
            let what = if is_file { "file" } else { "symlink" };
            return Err(failed(format!("Specified location {shown} exists and is a {what}")));
        }
        Ok(true)
    }

    fn repair_below(
        &self,
        cx: &PlanCx<'_>,
        plan: &mut Plan,
        path: &Path,
        words: &[String],
        (dir_mode, file_mode): (Option<u32>, Option<u32>),
    ) -> Result<(), StateError> {
        let has = |word: &str| words.iter().any(|w| w == word);
        let owners = Want {
            user: self.user.clone().filter(|_| has("user")),
            group: self.group.clone().filter(|_| has("group")),
            mode: None,
        };
        for found in walk::below(cx.host, path, self.max_depth)? {
            let dir = found.meta.is_dir();
            if if dir { has("ignore_dirs") } else { has("ignore_files") } {
                continue;
            }
            let mode = if dir { dir_mode } else { file_mode }.filter(|_| has("mode"));
            let want = Want { mode, ..owners.clone() };
            let (attrs, changes) = want.drift_at(cx.host, &found.path, self.follow_symlinks)?;
            if !attrs.is_empty() {
                plan.changes.insert(found.path.display().to_string(), changes);
                plan.push(Effect::Attrs { path: found.path, attrs, follow: self.follow_symlinks }, vec![]);
            }
        }
        Ok(())
    }
}

/// Plans the removal of what is below a directory and not kept; returns what is removed, outermost only.
pub fn clean(
    cx: &PlanCx<'_>,
    plan: &mut Plan,
    path: &Path,
    keep: &[PathBuf],
    exclude: &[String],
) -> Result<(Vec<String>, Vec<PathBuf>), StateError> {
    let (mut removed, mut all) = (vec![], vec![]);
    let below = walk::below(cx.host, path, None)?;
    // A link to its own folder: seen through it, it lies in what it names.
    let link = cx.host.lstat(path)?.is_some_and(|meta| meta.is_symlink());
    let own = link.then(|| file::place(cx.host, path)).transpose()?;
    let whole = own.as_ref().map(|own| file::real_path(cx.host, own)).transpose()?;
    let is_own = |relative: &Path| whole.as_ref().is_some_and(|whole| own.as_deref() == Some(&whole.join(relative)));
    let kept = |found: &Path| {
        if is_own(found.strip_prefix(path).unwrap_or(found)) {
            return true;
        }
        let relative = found.strip_prefix(path).unwrap_or(found).to_string_lossy();
        keep.iter().any(|k| k.starts_with(found)) || !pattern::included(&relative, &[], exclude)
    };
    for found in &below {
        if kept(&found.path) {
            continue;
        }
        // A directory goes only as a whole: with something in it that is kept, what surrounds that goes.
        if found.meta.is_dir() && below.iter().any(|inner| inner.path.starts_with(&found.path) && kept(&inner.path)) {
            continue;
        }
        all.push(found.path.clone());
        if !removed.iter().any(|outer: &PathBuf| found.path.starts_with(outer)) {
            removed.push(found.path.clone());
            plan.push(Effect::Remove { path: found.path.clone() }, vec![]);
        }
    }
    Ok((removed.iter().map(|p| p.display().to_string()).collect(), all))
}

/// Returns the paths that required file states manage, as `clean` keeps them.
pub fn required(cx: &PlanCx<'_>, top: &Path) -> Result<Vec<PathBuf>, StateError> {
    let targets = cx.low.requisites.iter().filter(|r| r.kind == RequisiteKind::Require).flat_map(|r| &r.targets);
    let mut keep = vec![];
    for low in targets.filter_map(|target| cx.chunks.get(*target as usize)).filter(|low| &*low.state == "file") {
        let name = PathBuf::from(file::normpath(&python::str(&low.name)));
        if &*low.fun == "recurse" {
            keep.extend(recursed(cx, low, &name)?);
        } else if name.starts_with(top) && shared::is_dir(cx, &name)? {
            keep.extend(walk::below(cx.host, &name, None)?.into_iter().map(|found| found.path));
        }
        keep.push(name);
    }
    Ok(keep)
}

fn recursed(cx: &PlanCx<'_>, low: &LowChunk, name: &Path) -> Result<Vec<PathBuf>, StateError> {
    let source = low.args.get("source").map(shared::texts).unwrap_or_default();
    let Some(url) = source.first() else { return Ok(vec![]) };
    Ok(cx.source.tree(url, &low.saltenv)?.into_iter().map(|entry| name.join(entry.path)).collect())
}

impl State for Directory {
    const NAME: &'static str = "file.directory";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display().to_string();
        if self.max_depth.is_some() && self.clean {
            return Err(failed("Cannot specify both max_depth and clean"));
        }
        let dir_mode = shared::bits(self.dir_mode.or(self.mode));
        let file_mode = shared::bits(self.file_mode).or(dir_mode);
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: dir_mode };
        shared::check_owner(cx, &want)?;
        let words = self.recurse_set()?;
        let mut plan = Plan::default();
        let cleared = self.clear(cx, &mut plan, &path)?;
        let have = cx.host.stat(&path)?.filter(|_| !cleared);
        match have {
            Some(meta) if !meta.is_dir() => {
                return Err(failed(format!("Specified location {shown} exists and is a file")));
            }
            None => {
                if !shared::is_dir(cx, file::parent(&path))? {
                    if !self.makedirs {
                        return Err(StateError::missing(format!("No directory to create {shown} in")));
                    }
                    shared::make_parents(cx, &mut plan, &path, &want.attrs())?;
                }
                plan.push(Effect::Mkdir { path: path.clone(), attrs: want.attrs() }, vec![]);
                let new: Map = [("directory", "new")].into_iter().collect();
                plan.changes.insert(shown.as_str(), new);
            }
            Some(_) => {
                if !words.is_empty() {
                    self.repair_below(cx, &mut plan, &path, &words, (dir_mode, file_mode))?;
                }
                if !self.children_only {
                    let link = cx.host.lstat(&path)?.is_some_and(|meta| meta.is_symlink());
                    let follow = self.follow_symlinks || !link;
                    let (attrs, changes) = want.drift_at(cx.host, &path, follow)?;
                    if !attrs.is_empty() {
                        plan.changes.insert(shown.as_str(), changes);
                        plan.push(Effect::Attrs { path: path.clone(), attrs, follow }, vec![]);
                    }
                }
                plan.did = if self.children_only {
                    format!("Directory {shown}/* updated")
                } else {
                    format!("Directory {shown} updated")
                };
                if self.clean {
                    let keep = required(cx, &path)?;
                    let (removed, all) = clean(cx, &mut plan, &path, &keep, shared::patterns(&self.exclude_pat))?;
                    for gone in all {
                        let why: Map = [("removed", "Removed due to clean")].into_iter().collect();
                        plan.changes.insert(gone.display().to_string(), why);
                    }
                    if !removed.is_empty() {
                        plan.changes.insert("removed", removed);
                        plan.did = format!("Files cleaned from directory {shown}");
                    }
                }
            }
        }
        if plan.would.is_empty() {
            plan.would = will_change(&plan.changes);
        }
        if words.iter().any(|word| word == "silent") && !plan.is_empty() {
            plan.changes = [("recursion", "Changes silenced")].into_iter().collect();
        }
        plan.unchanged = format!("The directory {shown} is in the correct state");
        Ok(plan)
    }
}

/// Salt's comment of a dry run: each path with what changes of it.
fn will_change(changes: &Map) -> String {
    let mut out = String::from("The following files will be changed:\n");
    for (path, what) in changes {
        for (key, value) in what.as_map().into_iter().flatten() {
            out += &format!("{}: {} - {}\n", python::str(path), python::str(key), python::str(value));
        }
    }
    out
}
