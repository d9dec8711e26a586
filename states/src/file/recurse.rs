//! `file.recurse`

use super::directory;
use super::shared::manage::Managed;
use super::shared::sources::{self, Found, Spec, Wanted};
use super::shared::{self, failed};
use corpus_core::decode::{Mode, OneOrMany};
use corpus_core::plan::Attrs;
use corpus_core::source::{SourceError, TreeEntry, TreeKind};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::{self, pattern, perms::Want};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Brings a directory of the file server, with everything in it.
///
/// ```sls
/// /etc/app:
///   file.recurse:
///     - source: salt://app/conf
///     - file_mode: '0640'
///     - clean: true
/// ```
#[derive(Deserialize)]
pub struct Recurse {
    name: String,
    /// The directory: `salt://…`; of a list, the first that exists.
    source: Value,
    /// Kept for Salt's sake: sources are kept by their digest.
    #[serde(default, rename = "keep_source")]
    _keep_source: Value,
    /// Removes what the source does not have.
    #[serde(default)]
    clean: bool,
    /// Who owns what is brought.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that it belongs to.
    group: Option<Value>,
    /// The permissions of directories.
    dir_mode: Option<Mode>,
    /// The permissions of files; `keep` takes the source's.
    file_mode: Option<Mode>,
    /// Links have no permissions; kept for Salt's sake.
    #[serde(rename = "sym_mode")]
    _sym_mode: Option<Mode>,
    /// Renders every file with this engine.
    template: Option<String>,
    /// Variables for the templates.
    context: Option<Value>,
    /// Variables for the templates, unless `context` has them.
    defaults: Option<Value>,
    /// Replaces the content of files that are there.
    #[serde(default = "shared::yes")]
    replace: bool,
    /// Makes directories that have nothing in them, too.
    #[serde(default)]
    include_empty: bool,
    /// Keeps what the files were: `minion`.
    #[serde(default)]
    backup: Value,
    /// Brings only these: shell patterns, or regular expressions after `E@`.
    include_pat: Option<OneOrMany<String>>,
    /// Leaves these out, and alone when it cleans.
    exclude_pat: Option<OneOrMany<String>>,
    /// How deep to go; 0 is the directory's own files.
    maxdepth: Option<usize>,
    /// Makes links for links, instead of the files that they point to.
    #[serde(default)]
    keep_symlinks: bool,
    /// Replaces what is in the way of a link.
    #[serde(default)]
    force_symlinks: bool,
    /// Brings all of the sources, not just the first.
    #[serde(default)]
    merge: bool,
    /// Makes missing parents; always done.
    #[serde(default, rename = "makedirs")]
    _makedirs: Value,
    /// Shows differences.
    #[serde(default = "shared::yes")]
    show_changes: bool,
    /// Not for this state: use `file_mode` and `dir_mode`.
    mode: Option<Value>,
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
}

/// A plan under way, with the comments of its parts.
#[derive(Default)]
struct Work {
    plan: Plan,
    comments: Vec<(String, String)>,
    /// The directories that it makes, and with which attributes.
    made: HashMap<PathBuf, Vec<Attrs>>,
}

impl Work {
    /// Takes in the plan for one path.
    fn take(&mut self, path: &Path, part: Plan) {
        if part.is_empty() {
            return;
        }
        let shown = path.display().to_string();
        self.comments.push((shown.clone(), part.would));
        self.plan.changes.insert(shown, part.changes);
        for step in part.steps {
            if let Effect::Mkdir { path, attrs } = &step.effect {
                let made = self.made.entry(path.clone()).or_default();
                if made.contains(attrs) {
                    continue;
                }
                made.push(attrs.clone());
            }
            self.plan.steps.push(step);
        }
        self.plan.warnings.extend(part.warnings);
    }
}

impl Recurse {
    /// Returns the entries to bring, with the URL of each.
    fn entries(&self, cx: &PlanCx<'_>) -> Result<Vec<(TreeEntry, String)>, StateError> {
        let urls = shared::texts(&self.source);
        if let Some(bad) = urls.iter().find(|url| !url.starts_with("salt://")) {
            return Err(failed(format!("Recurse failed: Invalid source '{bad}' (must be a salt:// URI)")));
        }
        let (mut out, mut taken, mut found) = (vec![], HashSet::new(), false);
        let (include, exclude) = (shared::patterns(&self.include_pat), shared::patterns(&self.exclude_pat));
        for url in urls {
            let (root, query) = url.split_once('?').map_or((&*url, String::new()), |(u, q)| (u, format!("?{q}")));
            let env = query.split(['?', '&']).find_map(|part| part.strip_prefix("saltenv="));
            let entries = match cx.source.tree(root, env.unwrap_or(&cx.saltenv())) {
                Ok(entries) if !entries.is_empty() => entries,
                Ok(_) | Err(SourceError::NotFound(..)) => continue,
                Err(error) => return Err(failed(format!("Recurse failed: {error}"))),
            };
            found = true;
            for entry in entries {
                let deep = self.maxdepth.is_some_and(|max| entry.path.trim_matches('/').matches('/').count() > max);
                if deep || !pattern::included(&entry.path, include, exclude) || !taken.insert(entry.path.clone()) {
                    continue;
                }
                let from = format!("{}/{}{query}", root.trim_end_matches('/'), entry.path);
                out.push((entry, from));
            }
            if !self.merge {
                break;
            }
        }
        if found { Ok(out) } else { Err(failed("Recurse failed: none of the specified sources were found")) }
    }

    /// Finds the file that a path is to have.
    fn find(&self, cx: &PlanCx<'_>, path: &Path, url: &str) -> Result<Option<Found>, StateError> {
        let mut more = Map::new();
        more.insert("name", path.display().to_string());
        more.insert("source", url);
        more.insert("user", self.user.clone());
        more.insert("group", self.group.clone());
        let source = Value::str(url);
        let spec = Spec {
            file: path,
            source: &source,
            source_hash: &Value::Null,
            source_hash_name: None,
            skip_verify: true,
            template: sources::template(self.template.as_deref(), &self.context, &self.defaults, more)?,
        };
        spec.find(cx)
    }

    /// Has the contents brought together that are missing for sure: their files are not there, or of another size.
    fn ask_ahead(&self, cx: &PlanCx<'_>, files: &HashMap<PathBuf, Result<Option<Found>, StateError>>) {
        let missing = files.iter().filter_map(|(path, found)| match found {
            Ok(Some(Found { wanted: Wanted::Master(file), .. })) => match cx.host.stat(path) {
                Ok(Some(meta)) => (self.replace && meta.is_file() && meta.size != file.size).then_some(file),
                Ok(None) => Some(file),
                Err(_) => None,
            },
            _ => None,
        });
        let mut missing: Vec<_> = missing.cloned().collect();
        missing.sort_by(|a, b| a.url.cmp(&b.url));
        cx.source.fetch_all(&missing);
    }

    fn file(&self, cx: &PlanCx<'_>, path: &Path, found: Option<Found>) -> Result<Option<Plan>, StateError> {
        let Some(found) = found else { return Ok(None) };
        let keep = self.file_mode == Some(Mode::Keep);
        let mode = if keep { Some(found.mode) } else { shared::bits(self.file_mode) };
        let one = Managed {
            path,
            wanted: Some(found.wanted),
            from_source: true,
            want: Want { user: self.user.clone(), group: self.group.clone(), mode },
            replace: self.replace,
            makedirs: true,
            dir_mode: shared::bits(self.dir_mode).or(Some(0o755)),
            backup: &self.backup,
            show_changes: self.show_changes,
            new_file_diff: false,
            follow_symlinks: true,
            check_cmd: None,
            tmp_ext: "",
            tmp_dir: None,
        };
        one.plan(cx).map(Some)
    }

    fn dir(&self, cx: &PlanCx<'_>, path: &Path, top: bool) -> Result<Plan, StateError> {
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: shared::bits(self.dir_mode) };
        let shown = path.display().to_string();
        let mut plan = Plan::default();
        let mut changes = Map::new();
        match cx.host.stat(path)?.filter(|meta| meta.is_dir()) {
            Some(meta) => {
                let (attrs, drift) = want.drift(cx.host, &meta)?;
                if !attrs.is_empty() {
                    changes = drift;
                    plan.push(Effect::Attrs { path: path.to_owned(), attrs, follow: true }, vec![]);
                }
            }
            None => {
                if cx.host.lstat(path)?.is_some() {
                    if top || !self.clean {
                        return Err(failed(format!("The path {shown} exists and is not a directory")));
                    }
                    plan.push(Effect::Remove { path: path.to_owned() }, vec![]);
                }
                shared::make_parents(cx, &mut plan, path, &want.attrs())?;
                plan.push(Effect::Mkdir { path: path.to_owned(), attrs: want.attrs() }, vec![]);
                changes.insert("directory", "new");
            }
        }
        let mut would = String::from("The following files will be changed:\n");
        for (key, value) in &changes {
            would += &format!("{shown}: {} - {}\n", corpus_core::python::str(key), corpus_core::python::str(value));
        }
        if !changes.is_empty() {
            plan.changes.insert(shown, changes);
        }
        plan.would = would;
        Ok(plan)
    }

    fn link(&self, cx: &PlanCx<'_>, path: &Path, target: &str) -> Result<Plan, StateError> {
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: None };
        let shown = path.display().to_string();
        let mut plan = Plan { would: format!("Symlink {shown} to {target} is set for creation"), ..Plan::default() };
        match cx.host.lstat(path)? {
            Some(meta) if meta.is_symlink() && cx.host.read_link(path)? == Path::new(target) => {
                let (attrs, changes) = want.drift(cx.host, &meta)?;
                if !attrs.is_empty() {
                    plan.push(Effect::Attrs { path: path.to_owned(), attrs, follow: false }, vec![]);
                    plan.changes = changes;
                }
                return Ok(plan);
            }
            Some(meta) if !meta.is_symlink() => {
                if !self.force_symlinks {
                    return Err(failed(format!("File exists where the symlink {shown} should be")));
                }
                plan.push(Effect::Remove { path: path.to_owned() }, vec![]);
            }
            _ => {}
        }
        shared::make_parents(cx, &mut plan, path, &want.attrs())?;
        plan.changes.insert("new", shown);
        plan.push(Effect::Symlink { path: path.to_owned(), target: target.into(), attrs: want.attrs() }, vec![]);
        Ok(plan)
    }
}

impl State for Recurse {
    const NAME: &'static str = "file.recurse";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.mode.is_some() {
            return Err(failed("'mode' is not allowed in 'file.recurse'. Please use 'file_mode' and 'dir_mode'."));
        }
        let top = shared::path(cx, &self.name)?;
        let owners = Want { user: self.user.clone(), group: self.group.clone(), mode: None };
        shared::check_owner(cx, &owners)?;
        let entries = self.entries(cx)?;
        let place = |entry: &TreeEntry| PathBuf::from(file::normpath(&top.join(&entry.path).to_string_lossy()));
        let mut dirs = BTreeSet::from([top.clone()]);
        for (entry, _) in &entries {
            let path = place(entry);
            match &entry.kind {
                TreeKind::EmptyDir if self.include_empty => _ = dirs.insert(path),
                TreeKind::EmptyDir => {}
                _ => dirs.extend(path.ancestors().skip(1).take_while(|dir| dir.starts_with(&top)).map(Path::to_owned)),
            }
        }
        let mut work = Work::default();
        for dir in &dirs {
            let part = self.dir(cx, dir, *dir == top)?;
            work.take(dir, part);
        }
        let mut found = HashMap::new();
        for (entry, url) in &entries {
            let link = matches!(entry.kind, TreeKind::Symlink(_));
            if entry.kind == TreeKind::EmptyDir || link && self.keep_symlinks {
                continue;
            }
            let path = place(entry);
            let one = self.find(cx, &path, url);
            let stop = one.is_err() && !link;
            found.insert(path, one);
            if stop {
                break;
            }
        }
        self.ask_ahead(cx, &found);
        let mut keep: Vec<PathBuf> = dirs.into_iter().collect();
        for (entry, url) in &entries {
            let path = place(entry);
            match &entry.kind {
                TreeKind::EmptyDir => continue,
                TreeKind::Symlink(target) if self.keep_symlinks => {
                    let part = self.link(cx, &path, target)?;
                    work.take(&path, part);
                }
                kind => {
                    // With `clean`, a directory makes way for a file.
                    let in_the_way = self.clean && self.replace && shared::is_dir(cx, &path)?;
                    if in_the_way {
                        let mut part = Plan::default().change("diff", "Replaced directory with a new file");
                        part.would = format!("Replacing directory {} with a file", path.display());
                        part.push(Effect::Remove { path: path.clone() }, vec![]);
                        let link = matches!(kind, TreeKind::Symlink(_));
                        work.take(&path, part);
                        if link {
                            continue;
                        }
                    }
                    let one = found.remove(&path).unwrap_or_else(|| self.find(cx, &path, url));
                    match one.and_then(|one| self.file(cx, &path, one)) {
                        Ok(Some(part)) => work.take(&path, part),
                        // A link to a directory has no content of its own.
                        Err(StateError::Failed(_)) if matches!(kind, TreeKind::Symlink(_)) => continue,
                        Err(error) => return Err(error),
                        Ok(None) => {}
                    }
                }
            }
            keep.push(path);
        }
        if self.clean && shared::is_dir(cx, &top)? {
            keep.extend(directory::required(cx, &top)?);
            let (removed, _) = directory::clean(cx, &mut work.plan, &top, &keep, shared::patterns(&self.exclude_pat))?;
            if !removed.is_empty() {
                work.comments.push(("removed".into(), removed.join("\n")));
                work.plan.changes.insert("removed", removed);
            }
        }
        let comments: Vec<String> =
            work.comments.iter().map(|(path, text)| format!("\n#### {path} ####\n{text}")).collect();
        let shown = top.display();
        let mut plan = work.plan.says(comments.join("\n").trim(), format!("Recursively updated {shown}"));
        plan.unchanged = format!("The directory {shown} is in the correct state");
        Ok(plan)
    }
}
