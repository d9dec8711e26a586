//! Users, groups and passwords: what the local files say, and the programs that change them. Hashes
//! never appear in an argument list; they are fed to `chpasswd` on its standard input.

mod change;

pub use change::{
    Account, NewUser, add_group, add_user, chage, change_user, delete_group, delete_password, delete_user, lock,
    set_group_gid, set_members, set_password,
};

use crate::ask;
use corpus_core::host::{Group, HostResult, Look, User};
use corpus_core::{Map, Prediction, Value, digest};
use sha_crypt::{PasswordVerifier, ShaCrypt};

/// A line of `/etc/shadow`. Days count from 1970; `None` is an empty field, which Salt shows as -1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    pub passwd: String,
    pub last_change: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub warn: Option<i64>,
    pub inactive: Option<i64>,
    pub expire: Option<i64>,
}

/// Finds a user's line in `/etc/shadow`; `None` also where the file may not be read.
pub fn shadow(look: &dyn Look, name: &str) -> HostResult<Option<Shadow>> {
    if let Some(Value::Map(line)) = look.predicted(&format!("shadow:{name}")) {
        let number = |key: &str| line.get(key).and_then(Value::as_int);
        return Ok(Some(Shadow {
            passwd: line.str("passwd").unwrap_or_default().to_owned(),
            last_change: number("date"),
            min: number("mindays"),
            max: number("maxdays"),
            warn: number("warndays"),
            inactive: number("inactdays"),
            expire: number("expire"),
        }));
    }
    let text = match ask::text(look, "/etc/shadow") {
        Ok(Some(text)) => text,
        _ => return Ok(None),
    };
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let passwd = fields.next().unwrap_or_default().to_owned();
        let mut number = || fields.next().and_then(|field| field.parse().ok());
        let (last_change, min, max, warn) = (number(), number(), number(), number());
        Some(Shadow { passwd, last_change, min, max, warn, inactive: number(), expire: number() })
    }))
}

impl Shadow {
    /// Tells whether this is the hash that the line holds.
    pub fn has_hash(&self, hash: &str) -> bool {
        self.passwd == hash || self.passwd == veil(hash)
    }

    /// Tells whether the line holds a hash of this clear text. Like Salt, it knows only what it would write itself:
    /// SHA-crypt.
    pub fn is_password(&self, clear: &str) -> bool {
        self.passwd == Self::of_password(clear)
            || ShaCrypt::default().verify_password(clear.as_bytes(), self.passwd.as_str()).is_ok()
    }

    /// What a foretold line holds in the place of a hash that only the run will make.
    pub fn of_password(clear: &str) -> String {
        veil(&format!("clear:{clear}"))
    }

    /// Foretells a user's line. A password's hash is kept as a digest of itself.
    pub fn foretell(&self, name: &str) -> Prediction {
        let mut line = Map::new();
        line.insert("passwd", if self.passwd.starts_with('$') { veil(&self.passwd) } else { self.passwd.clone() });
        for (key, value) in [
            ("date", self.last_change),
            ("mindays", self.min),
            ("maxdays", self.max),
            ("warndays", self.warn),
            ("inactdays", self.inactive),
            ("expire", self.expire),
        ] {
            line.insert(key, value);
        }
        Prediction::Fact(format!("shadow:{name}"), line.into())
    }
}

fn veil(hash: &str) -> String {
    format!("digest:{}", digest::hex(&digest::sha256(hash.as_bytes())))
}

/// Lists the users of the local file, in its order.
pub fn users(look: &dyn Look) -> HostResult<Vec<User>> {
    let text = ask::text(look, "/etc/passwd")?.unwrap_or_default();
    Ok(text.lines().filter_map(parse_user).collect())
}

fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let mut text = || fields.next().unwrap_or_default().to_owned();
    Some(User { name: name.into(), uid, gid, gecos: text(), home: text(), shell: text() })
}

/// Returns the names of all groups of a user, the primary one first, then in the order of the file.
pub fn groups_of(look: &dyn Look, user: &User) -> HostResult<Vec<String>> {
    let mut names = vec![];
    if let Some(primary) = look.group_by_id(user.gid)? {
        names.push(primary.name);
    }
    for group in look.groups()? {
        if group.members.contains(&user.name) && !names.contains(&group.name) {
            names.push(group.name);
        }
    }
    Ok(names)
}

/// Finds a group by its name or its number written out.
pub fn find_group(look: &dyn Look, name: &str) -> HostResult<Option<Group>> {
    match look.group(name)? {
        Some(group) => Ok(Some(group)),
        None => name.parse().map_or(Ok(None), |gid| look.group_by_id(gid)),
    }
}

/// The parts of the comment field: full name, room, work phone, home phone, other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gecos {
    pub fullname: String,
    pub roomnumber: String,
    pub workphone: String,
    pub homephone: String,
    pub other: String,
}

impl Gecos {
    /// Takes the field apart.
    pub fn parse(field: &str) -> Self {
        let mut parts = field.splitn(5, ',').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { fullname: next(), roomnumber: next(), workphone: next(), homephone: next(), other: next() }
    }

    /// Writes the field, without empty parts at its end.
    pub fn write(&self) -> String {
        let all = [&self.fullname, &self.roomnumber, &self.workphone, &self.homephone, &self.other];
        all.map(String::as_str).join(",").trim_end_matches(',').to_owned()
    }
}

/// Returns the number that `useradd` or `groupadd` is going to choose, as far as the local files tell.
pub fn next_id(taken: &[u32], system: bool) -> u32 {
    // The range of login.defs everywhere but on old RedHat; a machine of another mind corrects it when it runs.
    if system {
        (100..=999).rev().find(|id| !taken.contains(id)).unwrap_or(999)
    } else {
        taken.iter().filter(|id| (1000..=60_000).contains(*id)).max().map_or(1000, |max| max + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    #[test]
    fn reads_shadow_lines() {
        let fake = Fake::new();
        fake.add_file("/etc/shadow", "root:*:19000:0:99999:7:::\nweb:$6$x$y:19001:1:90:7:14:20000:\n", 0o600);
        let web = shadow(&fake, "web").expect("readable").expect("there");
        assert_eq!((web.passwd.as_str(), web.min, web.max), ("$6$x$y", Some(1), Some(90)));
        assert_eq!((web.inactive, web.expire), (Some(14), Some(20000)));
        assert_eq!(shadow(&fake, "root").expect("readable").expect("there").inactive, None);
        assert_eq!(shadow(&fake, "nobody").expect("readable"), None);
    }

    #[test]
    fn takes_gecos_apart_and_writes_it_again() {
        for (field, room) in [("Jane Doe,12,,5", "12"), ("Jane", ""), ("", "")] {
            let gecos = Gecos::parse(field);
            assert_eq!((gecos.roomnumber.as_str(), gecos.write().as_str()), (room, field));
        }
    }

    #[test]
    fn foresees_numbers() {
        assert_eq!(next_id(&[0, 1000, 1004, 65534], false), 1005);
        assert_eq!(next_id(&[0, 999, 998, 100], true), 997);
        assert_eq!(next_id(&[], false), 1000);
    }
}
