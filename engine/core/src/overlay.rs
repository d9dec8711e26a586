//! The machine as a dry run sees it: the real one, under everything the steps before are going to change.

use crate::host::{Command, FileKind, Group, HostError, HostResult, Look, Memo, Meta, Output, User};
use crate::plan::{Attrs, Content, Effect, Observed, Owner, Prediction, Step};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// A file that exists only in prediction, or whose prediction differs from what is there.
#[derive(Clone, Debug)]
struct Entry {
    meta: Meta,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Vec<u8>),
    /// The content of another file, by its real path.
    Real(PathBuf, [u8; 32]),
    /// The content that the same path has below.
    Below,
    Link(PathBuf),
    Dir,
    /// Something will be here; what is in it cannot be known.
    Unknown,
}

#[derive(Default)]
struct Layer {
    /// `None`: removed.
    files: BTreeMap<PathBuf, Option<Entry>>,
    users: BTreeMap<String, Option<User>>,
    groups: BTreeMap<String, Option<Group>>,
    facts: BTreeMap<String, Value>,
    opaque: bool,
    /// Paths below that are known to be no links: the way to most files leads through the same few.
    plain: BTreeSet<PathBuf>,
}

/// A machine under a layer of predictions. The machine below is never written to.
pub struct Overlay<'a> {
    below: &'a dyn Look,
    layer: Mutex<Layer>,
}

impl<'a> Overlay<'a> {
    /// Lays an empty layer over a machine.
    pub fn new(below: &'a dyn Look) -> Self {
        Self { below, layer: Mutex::default() }
    }

    /// Takes in what a planned step is going to do.
    pub fn absorb(&self, step: &Step) {
        // A prediction that contradicts itself predicts nothing; the run will tell.
        let _ = self.try_absorb(step);
    }

    /// Takes in what a planned step is going to do, or says why it is going to fail.
    pub fn try_absorb(&self, step: &Step) -> HostResult<()> {
        let applied = self.apply(&step.effect);
        self.take_in(&step.predicts);
        applied.map(|_| ())
    }

    fn take_in(&self, predictions: &[Prediction]) {
        for prediction in predictions {
            match prediction.clone() {
                Prediction::User(name, user) => _ = self.lock().users.insert(name, user),
                Prediction::Group(name, group) => _ = self.lock().groups.insert(name, group),
                Prediction::Fact(key, value) => _ = self.lock().facts.insert(key, value),
                Prediction::Path(path) => {
                    // What is there keeps its kind and owner: only what is in it becomes unknown.
                    let old = self.entry(&path).ok().flatten().map(|entry| entry.meta);
                    let meta = old.unwrap_or_else(|| new_meta(FileKind::Other, 0o644));
                    // A path that leads nowhere predicts nothing.
                    let _ = self.put(&path, Entry { meta, body: Body::Unknown });
                }
                Prediction::Opaque => self.lock().opaque = true,
            }
        }
    }

    /// Tells whether an earlier step may have changed anything at all.
    pub fn opaque(&self) -> bool {
        self.lock().opaque
    }

    /// Applies an effect to the layer, with the errors that the real one would give.
    pub fn apply(&self, effect: &Effect) -> HostResult<Observed> {
        match effect {
            Effect::WriteFile { path, content, attrs, backup } => {
                if let Some(backup) = backup
                    && let Some(old) = self.entry(path)?
                {
                    for dir in backup.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
                        if self.stat(dir)?.is_none() {
                            self.put(dir, Entry { meta: new_meta(FileKind::Dir, 0o755), body: Body::Dir })?;
                        }
                    }
                    self.put(backup, old)?;
                }
                let at = self.resolve(path, true)?;
                self.need_parent(&at)?;
                let old = self.stat(&at)?;
                if old.is_some_and(|meta| meta.is_dir()) {
                    return Err(HostError::other(format!("write {}", path.display()), "Is a directory"));
                }
                let (body, size) = match content {
                    Content::Bytes(bytes) => (Body::Bytes(bytes.clone()), bytes.len() as u64),
                    Content::File { path, sha256, size, .. } => (Body::Real(path.clone(), *sha256), *size),
                };
                let mut meta = old.unwrap_or_else(|| new_meta(FileKind::File, 0o644));
                meta.kind = FileKind::File;
                meta.size = size;
                self.put(&at, Entry { meta: self.with_attrs(meta, attrs), body })?;
            }
            Effect::Mkdir { path, attrs } => {
                self.need_parent(path)?;
                let entry = match self.entry(path)? {
                    // What is in a directory that is there already stays in it.
                    Some(entry) if entry.meta.is_dir() => entry,
                    Some(Entry { body: Body::Unknown, .. }) | None => {
                        Entry { meta: new_meta(FileKind::Dir, 0o755), body: Body::Dir }
                    }
                    Some(_) => return Err(HostError::other(format!("mkdir {}", path.display()), "File exists")),
                };
                self.put(path, Entry { meta: self.with_attrs(entry.meta, attrs), ..entry })?;
            }
            Effect::Symlink { path, target, attrs } => {
                self.need_parent(path)?;
                let meta = self.with_attrs(new_meta(FileKind::Symlink, 0o777), attrs);
                self.put(path, Entry { meta, body: Body::Link(target.clone()) })?;
            }
            Effect::Hardlink { path, target } => self.copy(target, path)?,
            Effect::Copy { from, to, .. } => self.copy(from, to)?,
            Effect::Rename { from, to } => {
                self.copy(from, to)?;
                self.remove(from)?;
            }
            Effect::Remove { path } => self.remove(path)?,
            Effect::Attrs { path, attrs, follow } => {
                let at = self.resolve(path, *follow)?;
                let mut entry = self.entry(&at)?.ok_or_else(|| missing("change", path))?;
                entry.meta = self.with_attrs(entry.meta, attrs);
                self.put(&at, entry)?;
            }
            Effect::Times { path, mtime, .. } => {
                let at = self.resolve(path, true)?;
                let mut entry = self
                    .entry(&at)?
                    .unwrap_or_else(|| Entry { meta: new_meta(FileKind::File, 0o644), body: Body::Bytes(vec![]) });
                if let Some(seconds) = mtime {
                    entry.meta.mtime = i128::from(*seconds) * 1_000_000_000;
                }
                self.put(&at, entry)?;
            }
            Effect::Exec(_) | Effect::Call { .. } => {}
        }
        Ok(Observed::Done)
    }

    fn lock(&self) -> MutexGuard<'_, Layer> {
        self.layer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn put(&self, path: &Path, entry: Entry) -> HostResult<()> {
        let at = self.resolve(path, false)?;
        self.lock().files.insert(at, Some(entry));
        Ok(())
    }

    fn remove(&self, path: &Path) -> HostResult<()> {
        let at = self.resolve(path, false)?;
        let mut layer = self.lock();
        layer.files.retain(|p, _| !p.starts_with(&at));
        layer.files.insert(at, None);
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> HostResult<()> {
        if self.resolve(to, false)?.starts_with(self.resolve(from, true)?)
            && self.stat(from)?.is_some_and(|m| m.is_dir())
        {
            return Err(HostError::other(
                format!("copy {} to {}", from.display(), to.display()),
                "a directory cannot be copied into itself",
            ));
        }
        self.copy_any(from, to)
    }

    fn copy_any(&self, from: &Path, to: &Path) -> HostResult<()> {
        self.need_parent(to)?;
        let mut entry = self.entry(from)?.ok_or_else(|| missing("copy", from))?;
        let names = if entry.meta.is_dir() { self.list(from)? } else { vec![] };
        if matches!(entry.body, Body::Below) {
            // The copy has nothing of its own below: its content is what is copied next.
            entry.body = Body::Dir;
        }
        self.put(to, entry)?;
        names.iter().try_for_each(|name| self.copy_any(&from.join(name), &to.join(name)))
    }

    fn need_parent(&self, path: &Path) -> HostResult<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.stat(parent)?.map(|meta| meta.kind) {
            None => Err(missing("write", path)),
            Some(FileKind::Dir | FileKind::Other) => Ok(()),
            Some(_) => Err(HostError::other(format!("write {}", path.display()), "Not a directory")),
        }
    }

    /// The layer's word on a path: `Some(None)` is "removed", `None` is "ask below".
    fn layered(&self, path: &Path) -> Option<Option<Entry>> {
        let layer = self.lock();
        if let Some(found) = layer.files.get(path) {
            return Some(found.clone());
        }
        // A parent that was removed, or is not a directory below, hides what is below.
        let hidden = path.ancestors().skip(1).any(|p| match layer.files.get(p) {
            Some(None) => true,
            Some(Some(entry)) => !matches!(entry.body, Body::Below),
            None => false,
        });
        hidden.then(|| {
            let fresh = path.ancestors().skip(1).find_map(|p| layer.files.get(p));
            match fresh {
                // Whatever is inside an unknown tree is unknown, not missing.
                Some(Some(Entry { body: Body::Unknown, .. })) => {
                    Some(Entry { meta: new_meta(FileKind::Other, 0o644), body: Body::Unknown })
                }
                _ => None,
            }
        })
    }

    fn entry(&self, path: &Path) -> HostResult<Option<Entry>> {
        let path = &self.resolve(path, false)?;
        if let Some(found) = self.layered(path) {
            return Ok(found);
        }
        let Some(meta) = self.below.lstat(path)? else { return Ok(None) };
        let body = match meta.kind {
            FileKind::Symlink => Body::Link(self.below.read_link(path)?),
            // A real directory that gets new attributes keeps showing what is in it.
            FileKind::Dir => Body::Below,
            _ => Body::Real(path.to_owned(), [0; 32]),
        };
        Ok(Some(Entry { meta, body }))
    }

    /// Follows links, in the layer and below, to where the path really is: `/var/run/x` is `/run/x`.
    /// The last part itself is followed only if asked.
    fn resolve(&self, path: &Path, last: bool) -> HostResult<PathBuf> {
        use std::path::Component;
        let mut at = PathBuf::from("/");
        let mut rest: Vec<PathBuf> = vec![path.to_owned()];
        let mut hops = 0;
        while let Some(path) = rest.pop() {
            let mut parts = path.components();
            match parts.next() {
                None => continue,
                Some(Component::RootDir) => at = PathBuf::from("/"),
                Some(Component::ParentDir) => _ = at.pop(),
                Some(Component::Normal(name)) => at.push(name),
                Some(_) => {}
            }
            let left = parts.as_path().to_owned();
            let done = left.as_os_str().is_empty() && rest.iter().all(|path| path.as_os_str().is_empty());
            rest.push(left);
            if (last || !done)
                && let Some(target) = self.link_at(&at)?
            {
                hops += 1;
                if hops > 40 {
                    let what = format!("follow {}", rest.first().unwrap_or(&at).display());
                    return Err(HostError::other(what, "Too many levels of symbolic links"));
                }
                at.pop();
                rest.push(target);
            }
        }
        Ok(at)
    }

    /// Returns where a path points, if it is a link. Its parents must have been followed already.
    fn link_at(&self, path: &Path) -> HostResult<Option<PathBuf>> {
        match self.layered(path) {
            Some(Some(Entry { body: Body::Link(target), .. })) => return Ok(Some(target)),
            Some(_) => return Ok(None),
            None if self.lock().plain.contains(path) => return Ok(None),
            None => {}
        }
        match self.below.lstat(path)? {
            Some(meta) if meta.is_symlink() => self.below.read_link(path).map(Some),
            found => {
                if found.is_some_and(|meta| meta.is_dir()) {
                    self.lock().plain.insert(path.to_owned());
                }
                Ok(None)
            }
        }
    }

    fn with_attrs(&self, mut meta: Meta, attrs: &Attrs) -> Meta {
        let id = |owner: &Owner, find: &dyn Fn(&str) -> Option<u32>| match owner {
            Owner::Id(id) => Some(*id),
            Owner::Name(name) => find(name),
        };
        if let Some(uid) = attrs.user.as_ref().and_then(|o| id(o, &|n| Some(self.user(n).ok()??.uid))) {
            meta.uid = uid;
        }
        if let Some(gid) = attrs.group.as_ref().and_then(|o| id(o, &|n| Some(self.group(n).ok()??.gid))) {
            meta.gid = gid;
        }
        meta.mode = attrs.mode.unwrap_or(meta.mode);
        meta
    }
}

fn new_meta(kind: FileKind, mode: u32) -> Meta {
    Meta { kind, mode, uid: 0, gid: 0, size: 0, mtime: 0, ino: 0, dev: 0 }
}

fn missing(what: &str, path: &Path) -> HostError {
    HostError::io(format!("{what} {}", path.display()), &std::io::ErrorKind::NotFound.into())
}

fn unknown(path: &Path) -> HostError {
    HostError::other(format!("read {}", path.display()), UNKNOWN)
}

const UNKNOWN: &str = "its content is not known before the run";

/// Tells whether the text of an error says that a dry run cannot know, not that something is wrong.
pub fn is_unknown(why: &str) -> bool {
    why.contains(UNKNOWN)
}

impl Look for Overlay<'_> {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        let at = self.resolve(path, false)?;
        match self.layered(&at) {
            Some(found) => Ok(found.map(|entry| entry.meta)),
            None => self.below.lstat(&at),
        }
    }

    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        let at = self.resolve(path, true)?;
        match self.layered(&at) {
            Some(found) => Ok(found.map(|entry| entry.meta)),
            None => self.below.stat(&at),
        }
    }

    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        let at = self.resolve(path, true)?;
        match self.layered(&at) {
            None => self.below.read(&at),
            Some(None) => Err(missing("read", path)),
            Some(Some(entry)) => match entry.body {
                Body::Bytes(bytes) => Ok(bytes),
                Body::Real(real, _) => self.below.read(&real),
                Body::Below => self.below.read(&at),
                Body::Unknown => Err(unknown(path)),
                Body::Dir | Body::Link(_) => {
                    Err(HostError::other(format!("read {}", path.display()), "is a directory"))
                }
            },
        }
    }

    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        let at = self.resolve(path, true)?;
        match self.layered(&at) {
            None => self.below.sha256(&at),
            Some(Some(Entry { body: Body::Real(_, digest), .. })) if digest != [0; 32] => Ok(digest),
            Some(Some(Entry { body: Body::Real(real, _), .. })) => self.below.sha256(&real),
            Some(Some(Entry { body: Body::Bytes(bytes), .. })) => Ok(crate::digest::sha256(&bytes)),
            Some(Some(Entry { body: Body::Unknown, .. })) => Err(unknown(path)),
            _ => Err(missing("read", path)),
        }
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        let at = self.resolve(path, false)?;
        match self.layered(&at) {
            None => self.below.read_link(&at),
            Some(Some(Entry { body: Body::Link(target), .. })) => Ok(target),
            _ => Err(HostError::other(format!("read link {}", path.display()), "not a symbolic link")),
        }
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        let at = self.resolve(path, true)?;
        let mut names: BTreeSet<String> = match self.layered(&at) {
            Some(None) => return Err(missing("list", path)),
            Some(Some(Entry { body: Body::Below, .. })) | None => match self.below.list(&at) {
                Ok(names) => names.into_iter().collect(),
                Err(error) => return Err(error),
            },
            Some(Some(Entry { body: Body::Unknown, .. })) => return Err(unknown(path)),
            Some(Some(_)) => BTreeSet::new(),
        };
        for (p, entry) in &self.lock().files {
            if p.parent() == Some(at.as_path())
                && let Some(name) = p.file_name()
            {
                let name = name.to_string_lossy().into_owned();
                _ = if entry.is_some() { names.insert(name) } else { names.remove(&name) };
            }
        }
        Ok(names.into_iter().collect())
    }

    fn query(&self, command: &Command) -> HostResult<Output> {
        self.below.query(command)
    }

    fn user(&self, name: &str) -> HostResult<Option<User>> {
        match self.lock().users.get(name) {
            Some(found) => Ok(found.clone()),
            None => self.below.user(name),
        }
    }

    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        if let Some(user) = self.lock().users.values().flatten().find(|u| u.uid == uid) {
            return Ok(Some(user.clone()));
        }
        let found = self.below.user_by_id(uid)?;
        Ok(found.filter(|user| !self.lock().users.contains_key(&user.name)))
    }

    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        match self.lock().groups.get(name) {
            Some(found) => Ok(found.clone()),
            None => self.below.group(name),
        }
    }

    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        if let Some(group) = self.lock().groups.values().flatten().find(|g| g.gid == gid) {
            return Ok(Some(group.clone()));
        }
        let found = self.below.group_by_id(gid)?;
        Ok(found.filter(|group| !self.lock().groups.contains_key(&group.name)))
    }

    fn groups(&self) -> HostResult<Vec<Group>> {
        let mut groups = self.below.groups()?;
        let layer = self.lock();
        groups.retain(|group| !layer.groups.contains_key(&group.name));
        groups.extend(layer.groups.values().flatten().cloned());
        Ok(groups)
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        self.below.which(program)
    }

    fn predicted(&self, fact: &str) -> Option<Value> {
        self.lock().facts.get(fact).cloned().or_else(|| self.below.predicted(fact))
    }

    fn memo(&self, key: &str, stamp: &str, make: &mut dyn FnMut() -> HostResult<Memo>) -> HostResult<Memo> {
        self.below.memo(key, stamp, make)
    }
}
