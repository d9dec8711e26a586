//! What `user.*` share: Salt's picture of a user.

use corpus_core::host::{HostResult, Look, User};
use corpus_core::{Map, Value};
use corpus_exec::shadow::{Gecos, groups_of};

/// What a password is shown as.
pub const REDACTED: &str = "XXX-REDACTED-XXX";

/// Returns Salt's `user.info`.
pub fn info(look: &dyn Look, user: &User) -> HostResult<Map> {
    let gecos = Gecos::parse(&user.gecos);
    let mut groups = groups_of(look, user)?;
    groups.sort();
    let mut map = Map::new();
    map.insert("uid", user.uid);
    map.insert("gid", user.gid);
    map.insert("groups", groups);
    map.insert("home", user.home.as_str());
    map.insert("name", user.name.as_str());
    map.insert("passwd", "x");
    map.insert("shell", user.shell.as_str());
    map.insert("fullname", gecos.fullname);
    map.insert("roomnumber", gecos.roomnumber);
    map.insert("workphone", gecos.workphone);
    map.insert("homephone", gecos.homephone);
    map.insert("other", gecos.other);
    Ok(map)
}

/// Returns the entries of a picture that differ from an earlier one.
pub fn difference(before: &Value, after: &Map) -> Map {
    after
        .iter()
        .filter(|(key, value)| before.as_map().and_then(|map| map.get_value(key)) != Some(value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}
