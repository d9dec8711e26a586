//! `file.copy`

use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::plan::Attrs;
use corpus_core::{Effect, Owner, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::{self, perms, perms::Want};
use serde::Deserialize;
use std::path::Path;

/// Copies a file or a directory of this machine, unless the copy is there already.
///
/// ```sls
/// /etc/app.conf:
///   file.copy:
///     - source: /usr/share/app/app.conf
/// ```
#[derive(Deserialize)]
pub struct Copy {
    name: String,
    /// What to copy.
    source: String,
    /// Replaces what is there, in each run.
    #[serde(default)]
    force: bool,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// Keeps the source's owner, group and mode.
    #[serde(default)]
    preserve: bool,
    /// Who owns the copy.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that the copy belongs to.
    group: Option<Value>,
    /// The permissions of the copy; the source's unless set.
    mode: Option<Mode>,
    /// The permissions of directories that are made.
    dir_mode: Option<Mode>,
    /// Copies into the directory that `name` is.
    #[serde(default)]
    subdir: bool,
}

impl State for Copy {
    const NAME: &'static str = "file.copy";
    // Salt: with `force`, a file is copied in each run.
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut path = shared::path(cx, &self.name)?;
        let source = file::expand_user(cx.host, &self.source);
        let from = Path::new(&source);
        let Some(meta) = cx.host.stat(from)? else {
            return Err(StateError::missing(format!("Source file \"{source}\" is not present")));
        };
        let mut want = Want { user: self.user.clone(), group: self.group.clone(), mode: shared::bits(self.mode) };
        if self.preserve {
            want = Want::default();
        } else {
            let user = want.user.get_or_insert_with(|| "root".into());
            if want.group.is_none() {
                let gid = match perms::uid(cx.host, user)? {
                    Some(uid) => cx.host.user_by_id(uid)?.map_or(0, |user| user.gid),
                    None => 0,
                };
                want.group = Some(perms::group_name(cx.host, gid).into());
            }
            want.mode = want.mode.or(Some(meta.mode));
            shared::check_owner(cx, &want)?;
        }
        if self.subdir && shared::is_dir(cx, &path)? {
            path = path.join(from.file_name().unwrap_or_default());
        }
        let shown = path.display().to_string();
        // What is replaced would be the source, or hold it; and a directory cannot go into itself.
        let (whole, place) = (file::place(cx.host, &file::real_path(cx.host, from)?)?, file::place(cx.host, &path)?);
        let into_itself = meta.is_dir() && place.starts_with(&whole) && place != whole;
        let over_itself = self.force && whole.starts_with(&place) && place != whole;
        if into_itself || over_itself {
            return Err(failed(format!("Failed to copy \"{source}\" to \"{shown}\"")));
        }
        let mut plan = Plan::default().says(
            format!("File \"{source}\" is set to be copied to \"{shown}\""),
            // Salt names the folder, not the file in it.
            format!("Copied \"{source}\" to \"{}\"", self.name),
        );
        if let Some(have) = cx.host.lstat(&path)? {
            if !self.force {
                return Ok(Plan::unchanged(format!("The target file \"{shown}\" exists and will not be overwritten")));
            }
            if have.is_file() && meta.is_file() && cx.host.sha256(&path)? == cx.host.sha256(from)? {
                plan.did += " - files are identical but force flag is set";
            }
            plan.push(Effect::Remove { path: path.clone() }, vec![]);
        }
        if !shared::is_dir(cx, file::parent(&path))? {
            if !self.makedirs {
                let parent = file::parent(&path).display();
                return Err(StateError::missing(format!("The target directory {parent} is not present")));
            }
            let mode = shared::bits(self.dir_mode).or_else(|| Some(perms::dir_mode_for(meta.mode)));
            let owner = match self.preserve {
                true => Attrs { user: Some(Owner::Id(meta.uid)), group: Some(Owner::Id(meta.gid)), mode },
                false => Attrs { mode, ..want.attrs() },
            };
            shared::make_parents(cx, &mut plan, &path, &owner)?;
        }
        plan.push(Effect::Copy { from: from.to_owned(), to: path.clone(), preserve: self.preserve }, vec![]);
        plan.changes.insert(shown.as_str(), source.as_str());
        if !self.preserve {
            // Salt: a copy belongs to who makes it, until it is given away.
            let fresh = corpus_core::Meta { uid: 0, gid: 0, ..meta };
            plan.changes.0.extend(want.drift(cx.host, &fresh)?.1.0);
            plan.push(Effect::Attrs { path: path.clone(), attrs: want.attrs(), follow: false }, vec![]);
            if meta.is_dir() {
                for found in file::walk::below(cx.host, from, None)? {
                    let inner = path.join(found.path.strip_prefix(from).unwrap_or(&found.path));
                    let attrs = Attrs { mode: None, ..want.attrs() };
                    plan.push(Effect::Attrs { path: inner, attrs, follow: false }, vec![]);
                }
            }
        }
        Ok(plan)
    }
}
