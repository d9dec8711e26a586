//! What `ssh_known_hosts.*` share: where the file is and what it says.

use corpus_core::{Attrs, Content, Effect, Plan, PlanCx, StateError};
use corpus_exec::ask;
use corpus_exec::fns::ssh;

/// A known_hosts file.
pub struct Known {
    /// As the declaration or Salt's default names it, for comments.
    pub shown: String,
    pub path: String,
    pub text: String,
}

/// Finds and reads the file.
pub fn known(cx: &PlanCx<'_>, user: Option<&str>, config: Option<&str>) -> Result<Known, StateError> {
    let user = user.filter(|user| !user.is_empty());
    let shown =
        config.unwrap_or(if user.is_some() { ".ssh/known_hosts" } else { "/etc/ssh/ssh_known_hosts" }).to_owned();
    if user.is_none() && !shown.starts_with('/') {
        return Err(StateError::failed("If not specifying a \"user\", specify an absolute \"config\"."));
    }
    let path = ssh::config(cx.host, user, Some(&shown)).map_err(|error| StateError::missing(error.to_string()))?;
    let text = ask::text(cx.host, &path)?.unwrap_or_default();
    Ok(Known { shown, path, text })
}

/// Adds the effects that write the file, its folder included.
pub fn write(
    cx: &PlanCx<'_>,
    known: &Known,
    user: Option<&str>,
    text: String,
    plan: &mut Plan,
) -> Result<(), StateError> {
    let account = user.map(|user| cx.host.user(user)).transpose()?.flatten();
    let owned = |mode| Attrs {
        user: account.as_ref().map(|user| corpus_core::Owner::Id(user.uid)),
        group: account.as_ref().map(|user| corpus_core::Owner::Id(user.gid)),
        mode: Some(mode),
    };
    if let Some(folder) = std::path::Path::new(&known.path).parent()
        && !ask::is_dir(cx.host, folder)
    {
        let mode = if account.is_some() { 0o700 } else { 0o755 };
        plan.push(Effect::Mkdir { path: folder.into(), attrs: owned(mode) }, vec![]);
    }
    let mode = if account.is_some() { 0o600 } else { 0o644 };
    let attrs = if ask::exists(cx.host, &known.path) { Attrs::default() } else { owned(mode) };
    let content = Content::Bytes(text.into_bytes());
    plan.push(Effect::WriteFile { path: known.path.clone().into(), content, attrs, backup: None }, vec![]);
    Ok(())
}
