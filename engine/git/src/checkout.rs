//! Writing the tree of a commit into a new directory, never through anything that is there already.
//!
//! Contents are written as they are: no filter, no line endings, no `export-subst`. Submodules become empty
//! directories. The tree should have been [`crate::tree::inspect`]ed; what names a place of git's is refused anyway.

use crate::{GitError, Repo, name};
use git2::Oid;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, mkdirat, openat, symlinkat};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Writes a commit's tree into `place`, which must not be there yet, as files of `owner`.
pub fn checkout(repo: &Repo, commit: Oid, place: &Path, owner: Option<(u32, u32)>) -> Result<u64, GitError> {
    let tree = repo.tree_of(commit).ok_or_else(|| GitError::Said(format!("{commit} is no commit that is here")))?;
    let at = |error: rustix::io::Errno| GitError::Said(format!("{}: {error}", place.display()));
    mkdirat(CWD, place, Mode::from_raw_mode(0o755)).map_err(at)?;
    let folder = openat(CWD, place, FOLDER, Mode::empty()).map_err(at)?;
    let mut writer = Writer { repo, owner: owner.map(|(uid, gid)| (Uid::from_raw(uid), Gid::from_raw(gid))), files: 0 };
    writer.tree(tree, &folder, 0).map_err(|error| match error {
        GitError::Said(what) => GitError::Said(format!("{}: {what}", place.display())),
        other => other,
    })?;
    writer.own(CWD, place.as_os_str().as_encoded_bytes())?;
    rustix::fs::syncfs(&folder).map_err(at)?;
    Ok(writer.files)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Writer<'a> {
    repo: &'a Repo,
    owner: Option<(Uid, Gid)>,
    files: u64,
}

impl Writer<'_> {
    fn tree(&mut self, id: Oid, folder: &OwnedFd, depth: usize) -> Result<(), GitError> {
        if depth > 200 {
            return Err(GitError::Said("directories lie too deep in each other".into()));
        }
        let tree = self.repo.inner.find_tree(id)?;
        for entry in &tree {
            let own = entry.name_bytes();
            let at = |what: String| GitError::Said(format!("{}: {what}", String::from_utf8_lossy(own).escape_debug()));
            if let Some(what) = name::entry(own) {
                return Err(at(what));
            }
            self.files += 1;
            let failed = |error: rustix::io::Errno| at(error.to_string());
            match entry.filemode_raw() {
                mode @ (0o040_000 | 0o160_000) => {
                    mkdirat(folder, own, Mode::from_raw_mode(0o755)).map_err(failed)?;
                    if mode == 0o040_000 {
                        let below = openat(folder, own, FOLDER, Mode::empty()).map_err(failed)?;
                        self.tree(entry.id(), &below, depth + 1)?;
                    }
                }
                0o120_000 => {
                    let blob = self.repo.inner.find_blob(entry.id())?;
                    symlinkat(blob.content(), folder, own).map_err(failed)?;
                }
                mode @ (0o100_644 | 0o100_664 | 0o100_755) => {
                    let mode = Mode::from_raw_mode(if mode == 0o100_755 { 0o755 } else { 0o644 });
                    let mut file = File::from(openat(folder, own, NEW, mode).map_err(failed)?);
                    let blob = self.repo.inner.find_blob(entry.id())?;
                    file.write_all(blob.content()).map_err(|error| at(error.to_string()))?;
                }
                mode => return Err(at(format!("a kind of entry that is not taken (mode {mode:o})"))),
            }
            self.own(rustix::fd::AsFd::as_fd(folder), own)?;
        }
        Ok(())
    }

    fn own(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), GitError> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| GitError::Said(format!("{}: {error}", String::from_utf8_lossy(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn writes_what_the_commit_holds_and_nothing_over_what_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let repo = Repo::create_bare(&dir.path().join("x.git"), "main").expect("a repository");
        let blob = |bytes: &[u8]| repo.inner.blob(bytes).expect("a blob");
        let mut below = repo.inner.treebuilder(None).expect("a tree");
        below.insert("run", blob(b"#!/bin/sh\n"), 0o100_755).expect("an entry");
        let below = below.write().expect("a tree");
        let mut top = repo.inner.treebuilder(None).expect("a tree");
        top.insert("a", blob(b"hello\r\n$Id$"), 0o100_644).expect("an entry");
        top.insert(".gitattributes", blob(b"a text ident\n"), 0o100_644).expect("an entry");
        top.insert("l", blob(b"bin/run"), 0o120_000).expect("an entry");
        top.insert("bin", below, 0o040_000).expect("an entry");
        let tree = repo.inner.find_tree(top.write().expect("a tree")).expect("a tree");
        let who = git2::Signature::now("a", "a@b").expect("a name");
        let commit = repo.inner.commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[]).expect("a commit");
        let place = dir.path().join("out");
        assert_eq!(checkout(&repo, commit, &place, None).expect("it is written"), 5);
        assert_eq!(std::fs::read(place.join("a")).expect("a file"), b"hello\r\n$Id$");
        assert_eq!(std::fs::read_link(place.join("l")).expect("a link"), Path::new("bin/run"));
        assert_ne!(std::fs::metadata(place.join("bin/run")).expect("a file").permissions().mode() & 0o100, 0);
        assert!(checkout(&repo, commit, &place, None).is_err(), "a directory that is there is left alone");
        assert_eq!(repo.read(commit, Path::new("bin/run")).as_deref(), Some(&b"#!/bin/sh\n"[..]));
        assert_eq!(repo.changed(None, commit).expect("they differ").len(), 4);
        assert_eq!((repo.head().expect("a branch").as_str(), repo.is_commit(commit)), ("refs/heads/main", true));
    }
}
