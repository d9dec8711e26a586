//! `file.symlink`

use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::plan::Attrs;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{self, perms, perms::Want};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Makes a symbolic link point where it should.
///
/// ```sls
/// /etc/nginx/sites-enabled/site:
///   file.symlink:
///     - target: ../sites-available/site
/// ```
#[derive(Deserialize)]
pub struct Symlink {
    name: String,
    /// What the link points to.
    target: String,
    /// Replaces a file or a directory that is in the way.
    #[serde(default)]
    force: bool,
    /// Moves what is in the way to this name.
    backupname: Option<String>,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// Who owns the link.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that the link belongs to.
    group: Option<Value>,
    /// The permissions of directories that are made; a link has none.
    mode: Option<Mode>,
    /// Replaces in one step; always done.
    #[serde(default)]
    atomic: bool,
    /// Leaves owner and group of a link that is there as they are.
    #[serde(default)]
    inherit_user_and_group: bool,
    /// Kept for Salt's sake: a back-up is renamed, not copied.
    #[serde(default, rename = "disallow_copy_and_unlink")]
    _disallow_copy_and_unlink: Value,
    /// Follows links when it looks for something in the way.
    #[serde(default = "shared::yes", rename = "follow_symlinks")]
    _follow_symlinks: bool,
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

impl Symlink {
    /// Returns the owner and the group that the link is to have, by name.
    fn owners(&self, cx: &PlanCx<'_>, path: &Path) -> Result<(String, String), StateError> {
        let have = cx.host.lstat(path)?.filter(|meta| meta.is_symlink() && self.inherit_user_and_group);
        let user = match (&self.user, have) {
            (Some(user), _) => python::str(user),
            (None, Some(meta)) => perms::user_name(cx.host, meta.uid),
            (None, None) => "root".into(),
        };
        let group = match (&self.group, have) {
            (Some(group), _) => python::str(group),
            (None, Some(meta)) => perms::group_name(cx.host, meta.gid),
            // Salt: the user's own group.
            (None, None) => {
                let gid = cx.host.user(&user)?.map_or(0, |user| user.gid);
                perms::group_name(cx.host, gid)
            }
        };
        let uid = perms::uid(cx.host, &Value::str(&user))?;
        let gid = perms::gid(cx.host, &Value::str(&group))?;
        let errors: Vec<String> = [(uid, "User", &user), (gid, "Group", &group)]
            .into_iter()
            .filter(|(id, ..)| id.is_none())
            .map(|(_, what, name)| format!("{what} {name} does not exist"))
            .collect();
        match errors.len() {
            0 => Ok((user, group)),
            1 => Err(StateError::missing(errors.join(""))),
            _ => Err(StateError::missing(format!("{}.", errors.join(". ")))),
        }
    }

    fn backup(&self, cx: &PlanCx<'_>, plan: &mut Plan, path: &Path, name: &str) -> Result<(), StateError> {
        let backup = match name {
            absolute if absolute.starts_with('/') => PathBuf::from(absolute),
            plain if !plain.contains('/') => file::parent(path).join(plain),
            other => return Err(failed(format!("Backupname must be an absolute path or a file name: {other}"))),
        };
        if cx.host.lstat(&backup)?.is_some() {
            if !self.force {
                return Err(failed(format!(
                    "Symlink & backup dest exists and Force not set. {} -> {} - backup: {}",
                    path.display(),
                    self.target,
                    backup.display()
                )));
            }
            plan.push(Effect::Remove { path: backup.clone() }, vec![]);
        }
        plan.push(Effect::Rename { from: path.to_owned(), to: backup }, vec![]);
        Ok(())
    }
}

impl State for Symlink {
    const NAME: &'static str = "file.symlink";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let (shown, target) = (path.display().to_string(), &self.target);
        let (user, group) = self.owners(cx, &path)?;
        let want = Want { user: Some(user.as_str().into()), group: Some(group.as_str().into()), mode: None };
        let mut plan = Plan::default().says(
            format!("Symlink {shown} to {target} is set for creation"),
            format!("Created new symlink {shown} -> {target}"),
        );
        let parent = file::parent(&path);
        if !shared::is_dir(cx, parent)? {
            if !self.makedirs {
                return Err(StateError::missing(format!("Directory {} for symlink is not present", parent.display())));
            }
            let attrs = Attrs { mode: shared::bits(self.mode), ..want.attrs() };
            shared::make_parents(cx, &mut plan, &path, &attrs)?;
            plan.would += &format!("\n{} will be created", parent.display());
        }
        match cx.host.lstat(&path)? {
            None => {}
            Some(meta) if meta.is_symlink() => {
                let have = cx.host.read_link(&path)?;
                if file::normpath(&have.to_string_lossy()) == file::normpath(target) {
                    let (attrs, _) = want.drift(cx.host, &meta)?;
                    if attrs.is_empty() {
                        return Ok(Plan::unchanged(match cx.test {
                            true => format!("The symlink {shown} is present"),
                            false => format!("Symlink {shown} is present and owned by {user}:{group}"),
                        }));
                    }
                    let (old_user, old_group) =
                        (perms::user_name(cx.host, meta.uid), perms::group_name(cx.host, meta.gid));
                    return Ok(Plan::default()
                        .says(
                            format!(
                                "The symlink {shown} is present, but the ownership of the symlink would be changed \
                                 from {old_user}:{old_group} to {user}:{group}"
                            ),
                            format!("Set ownership of symlink {shown} to {user}:{group}"),
                        )
                        .change("ownership", format!("{user}:{group}"))
                        .step(Effect::Attrs { path, attrs, follow: false }));
                }
                plan.would = format!("Link {shown} target is set to be changed to {target}");
            }
            Some(meta) => {
                let kind = match meta.kind {
                    corpus_core::FileKind::File => "File",
                    corpus_core::FileKind::Dir => "Directory",
                    _ => "File system entry",
                };
                plan.would = format!(
                    "The file or directory {shown} is set for removal to make way for a new symlink targeting {target}"
                );
                match &self.backupname {
                    Some(name) => self.backup(cx, &mut plan, &path, name)?,
                    None if self.force || self.atomic => plan.push(Effect::Remove { path: path.clone() }, vec![]),
                    None => return Err(failed(format!("{kind} exists where the symlink {shown} should be"))),
                }
            }
        }
        let attrs = want.attrs();
        Ok(plan.change("new", shown).step(Effect::Symlink { path, target: target.into(), attrs }))
    }
}
