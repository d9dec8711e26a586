//! Owner, group and mode: what is wanted, what is there, and the effect between the two.

use corpus_core::decode::Mode;
use corpus_core::host::{HostResult, Look};
use corpus_core::plan::{Attrs, Owner};
use corpus_core::{Map, Meta, Value, python};
use std::path::Path;

/// Owner, group and mode that a declaration asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Want {
    /// A name or a number, as it was written.
    pub user: Option<Value>,
    pub group: Option<Value>,
    pub mode: Option<u32>,
}

fn owner(value: &Value) -> Option<Owner> {
    match value {
        Value::Int(id) => u32::try_from(*id).ok().map(Owner::Id),
        Value::Null => None,
        other => Some(python::str(other)).filter(|name| !name.is_empty()).map(Owner::Name),
    }
}

/// Returns the number of a user, if there is one.
pub fn uid(host: &dyn Look, user: &Value) -> HostResult<Option<u32>> {
    Ok(match owner(user) {
        Some(Owner::Id(id)) => Some(id),
        Some(Owner::Name(name)) => host.user(&name)?.map(|user| user.uid).or_else(|| name.parse().ok()),
        None => None,
    })
}

/// Returns the number of a group, if there is one.
pub fn gid(host: &dyn Look, group: &Value) -> HostResult<Option<u32>> {
    Ok(match owner(group) {
        Some(Owner::Id(id)) => Some(id),
        Some(Owner::Name(name)) => host.group(&name)?.map(|group| group.gid).or_else(|| name.parse().ok()),
        None => None,
    })
}

/// Returns the name of a user, or the number where there is no name.
pub fn user_name(host: &dyn Look, uid: u32) -> String {
    host.user_by_id(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Returns the name of a group, or the number where there is no name.
pub fn group_name(host: &dyn Look, gid: u32) -> String {
    host.group_by_id(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

impl Want {
    /// Salt's words for a user or a group that does not exist.
    pub fn unavailable(&self, host: &dyn Look) -> HostResult<Option<String>> {
        let mut out = String::new();
        if let Some(user) = self.user.as_ref().filter(|user| user.truthy())
            && uid(host, user)?.is_none()
        {
            out += &format!("User {} is not available ", python::str(user));
        }
        if let Some(group) = self.group.as_ref().filter(|group| group.truthy())
            && gid(host, group)?.is_none()
        {
            out += &format!("Group {} is not available", python::str(group));
        }
        Ok(Some(out).filter(|text| !text.is_empty()))
    }

    /// Returns all that is wanted, for something new.
    pub fn attrs(&self) -> Attrs {
        Attrs { user: self.user.as_ref().and_then(owner), group: self.group.as_ref().and_then(owner), mode: self.mode }
    }

    /// Returns the attributes that differ, with Salt's `changes` for them.
    pub fn drift(&self, host: &dyn Look, have: &Meta) -> HostResult<(Attrs, Map)> {
        let (mut attrs, mut changes) = (Attrs::default(), Map::new());
        if let Some(user) = &self.user
            && user.truthy() | matches!(user, Value::Int(_))
            && uid(host, user)? != Some(have.uid)
        {
            attrs.user = owner(user);
            changes.insert("user", user.clone());
        }
        if let Some(group) = &self.group
            && group.truthy() | matches!(group, Value::Int(_))
            && gid(host, group)? != Some(have.gid)
        {
            attrs.group = owner(group);
            changes.insert("group", group.clone());
        }
        if let Some(mode) = self.mode
            && mode != have.mode
            && !have.is_symlink()
        {
            attrs.mode = Some(mode);
            changes.insert("mode", Mode::show(mode));
        }
        Ok((attrs, changes))
    }

    /// Compares with what is at a path; a link is followed if told so.
    pub fn drift_at(&self, host: &dyn Look, path: &Path, follow: bool) -> HostResult<(Attrs, Map)> {
        let have = if follow { host.stat(path)? } else { host.lstat(path)? };
        have.map_or_else(|| Ok((Attrs::default(), Map::new())), |have| self.drift(host, &have))
    }
}

/// Returns the mode of directories made for a file of a mode: who may read may also enter, as Salt has it.
pub fn dir_mode_for(mode: u32) -> u32 {
    [0o700, 0o070, 0o007].iter().map(|class| if mode & class == 0 { 0 } else { mode & class | class & 0o111 }).sum()
}
