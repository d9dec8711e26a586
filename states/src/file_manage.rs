//! Managing one file: what `file.managed`, `file.recurse` and `file.serialize` have in common.

use super::sources::Wanted;
use super::{HIDDEN, check_owner, failed, make_parents};
use corpus_core::plan::{Attrs, Content, Observed, Settled};
use corpus_core::{Command, Effect, Map, Meta, Owner, Plan, PlanCx, StateError, Value, python};
use corpus_exec::file::{self, diff, perms, perms::Want};
use std::path::{Path, PathBuf};

/// One file as it is to be.
pub struct Managed<'a> {
    pub path: &'a Path,
    /// `None`: whatever is there is good, and an empty file is made if nothing is.
    pub wanted: Option<Wanted>,
    /// The content came from a source: Salt makes such files private first, and shows the mode that follows.
    pub from_source: bool,
    pub want: Want,
    pub replace: bool,
    pub makedirs: bool,
    pub dir_mode: Option<u32>,
    pub backup: &'a Value,
    pub show_changes: bool,
    pub new_file_diff: bool,
    pub follow_symlinks: bool,
    pub check_cmd: Option<&'a str>,
    pub tmp_ext: &'a str,
    pub tmp_dir: Option<&'a str>,
}

/// Salt's note below the comment of a dry run.
const NOTE: &str = "\nNote: No changes made, actual changes may\nbe different due to other states.";

/// Looks at a path: returns what is there, links followed, and whether it is a link.
pub fn look(cx: &PlanCx<'_>, path: &Path) -> Result<(Option<Meta>, bool), StateError> {
    let there = cx.host.lstat(path)?;
    let link = there.is_some_and(|meta| meta.is_symlink());
    Ok((if link { cx.host.stat(path)? } else { there }, link))
}

impl Managed<'_> {
    /// Compares the file with what it is to be.
    pub fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.plan_with(cx, look(cx, self.path)?)
    }

    /// Compares with what was seen at the path.
    pub fn plan_with(&self, cx: &PlanCx<'_>, (have, link): (Option<Meta>, bool)) -> Result<Plan, StateError> {
        let shown = self.path.display();
        check_owner(cx, &self.want)?;
        if have.is_some_and(|meta| meta.is_dir()) {
            return Err(failed(format!("Specified target {shown} is a directory")));
        }
        let Some(have) = have else { return self.create(cx, link) };
        if !self.replace {
            let (attrs, changes) = self.want.drift_at(cx.host, self.path, self.follow_symlinks)?;
            // Salt: a dry run says it in other words than a run.
            let mut plan = Plan::unchanged(if cx.test {
                format!("File {shown} not updated")
            } else {
                format!("File {shown} exists with proper permissions. No changes made.")
            });
            if !attrs.is_empty() {
                let would = match attrs.mode {
                    Some(mode) => format!(
                        "File {shown} will be updated with permissions {mode:04o} from its current state of {:04o}",
                        have.mode
                    ),
                    None => format!("File {shown} not updated"),
                };
                plan = plan.says(would, "").step(self.attrs_effect(attrs));
                plan.changes = changes;
            }
            return Ok(plan);
        }
        self.update(cx, &have, link && !self.follow_symlinks)
    }

    fn attrs_effect(&self, attrs: Attrs) -> Effect {
        Effect::Attrs { path: self.path.to_owned(), attrs, follow: self.follow_symlinks }
    }

    fn says(&self, plan: Plan) -> Plan {
        let shown = self.path.display();
        plan.says(format!("The file {shown} is set to be changed{NOTE}"), format!("File {shown} updated"))
    }

    fn create(&self, cx: &PlanCx<'_>, dangling: bool) -> Result<Plan, StateError> {
        let shown = self.path.display();
        let mut plan = self.says(Plan::default());
        if !super::is_dir(cx, file::parent(self.path))? {
            if !self.makedirs {
                return Err(StateError::missing("Parent directory not present"));
            }
            let mode = self.dir_mode.or_else(|| self.want.mode.map(perms::dir_mode_for));
            make_parents(cx, &mut plan, self.path, &Attrs { mode, ..self.want.attrs() })?;
        }
        let content = match &self.wanted {
            Some(wanted) => {
                let diff = if self.new_file_diff && self.show_changes && wanted.size() <= diff::LIMIT {
                    diff::of_bytes(b"", &wanted.read(cx)?)
                } else {
                    "New file".into()
                };
                plan.changes.insert("diff", diff);
                wanted.content(cx)?
            }
            None => {
                plan.changes.insert("new", format!("file {shown} created"));
                plan.did = "Empty file".into();
                Content::Bytes(vec![])
            }
        };
        let mut attrs = self.want.attrs();
        // Salt: what a new file is before its attributes are set decides which of them count as changes.
        let fresh =
            |mode| Meta { kind: corpus_core::FileKind::File, mode, uid: 0, gid: 0, size: 0, mtime: 0, ino: 0, dev: 0 };
        let begins = if self.from_source || self.want.mode.is_some() { 0o600 } else { cx.low.new_file_mode() };
        let mut want = self.want.clone();
        if self.from_source && want.mode.is_none() {
            want.mode = Some(cx.low.new_file_mode());
        }
        attrs.mode = attrs.mode.or(Some(cx.low.new_file_mode()));
        plan.changes.0.extend(want.drift(cx.host, &fresh(begins))?.1.0);
        if dangling && !self.follow_symlinks {
            plan.push(Effect::Remove { path: self.path.to_owned() }, vec![]);
        }
        self.write(cx, &mut plan, content, attrs, None)?;
        Ok(plan)
    }

    fn update(&self, cx: &PlanCx<'_>, have: &Meta, unlink: bool) -> Result<Plan, StateError> {
        // Salt: a dry run says it in other words than a run.
        let word = if cx.test { "The file" } else { "File" };
        let mut plan = Plan::unchanged(format!("{word} {} is in the correct state", self.path.display()));
        let (attrs, changes) = self.want.drift(cx.host, have)?;
        let differs = self.wanted.as_ref().map_or(Ok(false), |wanted| self.differs(cx, have, wanted))?;
        if let (true, Some(wanted)) = (differs || unlink, &self.wanted) {
            let shown = match () {
                () if !differs => "Replace symbolic link with regular file".into(),
                () if !self.show_changes => HIDDEN.to_owned(),
                () if have.size.max(wanted.size()) > diff::LIMIT => {
                    format!("File is too large for a diff ({} to {} bytes)", have.size, wanted.size())
                }
                () => diff::of_bytes(&cx.host.read(self.path)?, &wanted.read(cx)?),
            };
            plan.changes.insert("diff", shown);
            let backup = self.backup_path(cx, have);
            let (mut attrs, content) = (attrs, wanted.content(cx)?);
            if unlink {
                plan.push(Effect::Remove { path: self.path.to_owned() }, vec![]);
                attrs = Attrs { mode: self.want.mode.or(Some(cx.low.new_file_mode())), ..self.want.attrs() };
            } else if self.check_cmd.is_some() {
                // The candidate takes the place of the file, so it takes over what the file had.
                attrs.user = attrs.user.or(Some(Owner::Id(have.uid)));
                attrs.group = attrs.group.or(Some(Owner::Id(have.gid)));
                attrs.mode = attrs.mode.or(Some(have.mode));
            }
            self.write(cx, &mut plan, content, attrs, backup)?;
        } else if !attrs.is_empty() {
            plan.push(self.attrs_effect(attrs), vec![]);
        }
        plan.changes.0.extend(changes.0);
        Ok(if plan.steps.is_empty() { plan } else { self.says(plan) })
    }

    fn differs(&self, cx: &PlanCx<'_>, have: &Meta, wanted: &Wanted) -> Result<bool, StateError> {
        if have.is_file() && have.size != wanted.size() {
            return Ok(true);
        }
        Ok(match wanted {
            Wanted::Bytes(bytes) if have.size <= diff::LIMIT => cx.host.read(self.path)? != *bytes,
            _ => cx.host.sha256(self.path)? != wanted.sha256(),
        })
    }

    fn backup_path(&self, cx: &PlanCx<'_>, have: &Meta) -> Option<PathBuf> {
        let asked = if self.backup.truthy() { self.backup.clone() } else { config(cx, "backup_mode") };
        let asked = python::str(&asked);
        ["minion", "both"]
            .contains(&&*asked)
            .then(|| file::backup_path(&file::backups(&cx.data.opts), self.path, have.mtime))
    }

    /// Writes the content; with a `check_cmd`, to a candidate that takes the file's place once it has passed.
    fn write(
        &self,
        cx: &PlanCx<'_>,
        plan: &mut Plan,
        content: Content,
        attrs: Attrs,
        backup: Option<PathBuf>,
    ) -> Result<(), StateError> {
        let path = self.path.to_owned();
        let Some(check) = self.check_cmd else {
            plan.push(Effect::WriteFile { path, content, attrs, backup }, vec![]);
            return Ok(());
        };
        let path = if self.follow_symlinks { file::real_path(cx.host, &path)? } else { path };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let dir = self.tmp_dir.map_or_else(|| file::parent(&path).to_owned(), PathBuf::from);
        let candidate = dir.join(format!(".{name}.candidate{}", self.tmp_ext));
        let quoted = format!("'{}'", candidate.to_string_lossy().replace('\'', "'\\''"));
        // A candidate that fails is not left behind.
        let line = format!("{check} {quoted}\nstatus=$?; [ $status = 0 ] || rm -f {quoted}; exit $status");
        let shell = cx.data.grains.get("shell").and_then(Value::as_str).unwrap_or("/bin/sh");
        let moved = file::parent(&path) == dir;
        plan.push(Effect::WriteFile { path: candidate.clone(), content, attrs: attrs.clone(), backup: None }, vec![]);
        plan.push(Effect::Exec(Command::shell(shell, &line)), vec![]);
        if let (Some(backup), Some(_)) = (backup, cx.host.stat(&path)?) {
            make_parents(cx, plan, &backup, &Attrs::default())?;
            plan.push(Effect::Copy { from: path.clone(), to: backup, preserve: true }, vec![]);
        }
        if moved {
            plan.push(Effect::Rename { from: candidate, to: path }, vec![]);
        } else {
            plan.push(Effect::Copy { from: candidate.clone(), to: path, preserve: true }, vec![]);
            plan.push(Effect::Remove { path: candidate }, vec![]);
        }
        Ok(())
    }
}

/// Returns a setting of the minion.
fn config(cx: &PlanCx<'_>, key: &str) -> Value {
    cx.data.opts.get(key).cloned().unwrap_or_default()
}

/// Judges a plan with a `check_cmd`: Salt's words for a candidate that did not pass.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let mut comment = String::from("check_cmd execution failed");
            for text in [output.stdout_text(), output.stderr_text()] {
                if !text.trim_end().is_empty() {
                    comment += &format!("\n{}", text.trim_end());
                }
            }
            Settled { result: false, changes: Map::new(), comment }
        }
    }
}
