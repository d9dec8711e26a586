//! POSIX ACLs of files, as the kernel keeps them: an extended attribute with a list of entries.

use rustix::fs::XattrFlags;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
const VERSION: u32 = 2;
const USER_OBJ: u16 = 1;
const USER: u16 = 2;
const GROUP_OBJ: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 16;
const OTHER: u16 = 32;
/// The id of entries that name nobody.
const NOBODY: u32 = u32::MAX;

/// Who is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    User(u32),
    Group(u32),
}

type Entries = BTreeMap<(u16, u32), u16>;

/// Gives named users and groups their rights on a file or directory of this mode; what is made in a directory later gets
/// them, too. Named rights are not masked. With `reset`, only those. Tells whether something changed; a file system without ACLs changes nothing.
pub fn grant(path: &Path, mode: u32, dir: bool, named: &[(Who, u16)], reset: bool) -> io::Result<bool> {
    let mut changed = false;
    for name in [ACCESS, DEFAULT].into_iter().take(if dir { 2 } else { 1 }) {
        let Some(old) = read(path, name)? else { return Ok(false) };
        let mut new = if reset { Entries::new() } else { old.clone() };
        let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap_or(0);
        for (tag, shift) in [(USER_OBJ, 6), (GROUP_OBJ, 3), (OTHER, 0)] {
            new.insert((tag, NOBODY), bits(shift));
        }
        for (who, rights) in named {
            let key = match who {
                Who::User(id) => (USER, *id),
                Who::Group(id) => (GROUP, *id),
            };
            new.insert(key, *rights);
        }
        new.insert((MASK, NOBODY), 7);
        if new != old {
            rustix::fs::lsetxattr(path, name, &encode(&new), XattrFlags::empty())?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Reads an ACL: empty where there is none, `None` where the file system has none.
fn read(path: &Path, name: &str) -> io::Result<Option<Entries>> {
    let mut value = Vec::with_capacity(65_536);
    match rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)) {
        Ok(_) => Ok(Some(decode(&value))),
        Err(rustix::io::Errno::NODATA) => Ok(Some(Entries::new())),
        Err(rustix::io::Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn encode(entries: &Entries) -> Vec<u8> {
    let mut out = VERSION.to_le_bytes().to_vec();
    for ((tag, id), rights) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(rights.to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    out
}

fn decode(bytes: &[u8]) -> Entries {
    let entries = bytes.get(4..).unwrap_or_default().as_chunks::<8>().0;
    entries
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| {
            ((u16::from_le_bytes([*a, *b]), u32::from_le_bytes([*e, *f, *g, *h])), u16::from_le_bytes([*c, *d]))
        })
        .collect()
}

/// Reads `r-x`, `rwx`, `5`.
pub fn rights(text: &str) -> Option<u16> {
    if let Ok(number) = text.parse::<u16>() {
        return (number <= 7).then_some(number);
    }
    text.chars().try_fold(0, |all, letter| match letter {
        'r' => Some(all | 4),
        'w' => Some(all | 2),
        'x' | 'X' => Some(all | 1),
        '-' => Some(all),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_letters_and_as_a_digit() {
        assert_eq!(
            [rights("rwx"), rights("r-x"), rights("5"), rights("rq"), rights("9")],
            [Some(7), Some(5), Some(5), None, None]
        );
    }

    #[test]
    fn an_acl_is_given_once_and_seen_by_getfacl() {
        let dir = tempfile::tempdir().expect("a directory");
        let named = [(Who::User(1), 5), (Who::Group(2), 7)];
        if !grant(dir.path(), 0o750, true, &named, false).expect("granted") {
            eprintln!("skipped: no ACLs here");
            return;
        }
        assert!(!grant(dir.path(), 0o750, true, &named, false).expect("granted"));
        let kept = read(dir.path(), DEFAULT).expect("read").expect("there are ACLs");
        assert_eq!(kept.get(&(USER, 1)), Some(&5));
        assert_eq!(kept.get(&(OTHER, NOBODY)), Some(&0));
        assert!(grant(dir.path(), 0o750, true, &[(Who::User(3), 4)], true).expect("granted"));
        let kept = read(dir.path(), ACCESS).expect("read").expect("there are ACLs");
        assert_eq!((kept.get(&(USER, 1)), kept.get(&(USER, 3))), (None, Some(&4)));
    }
}
