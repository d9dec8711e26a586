//! What a stranger's tree holds, looked at before anybody checks it out: names, kinds, sizes, links.
//!
//! Git stores a tree once, however often it occurs, so a push of a kilobyte may unfold to billions of files. Totals
//! are therefore counted per distinct tree, and nothing is unfolded before they are known to be within the limits.

use crate::{GitError, Repo, name};
use git2::{ObjectType, Odb, Oid, Tree};
use std::collections::{HashMap, HashSet, VecDeque};

/// How much is taken.
#[derive(Clone, Debug)]
pub struct Limits {
    pub files: u64,
    pub bytes: u64,
    /// The largest single file.
    pub file: u64,
    /// How deep directories lie in each other.
    pub depth: usize,
    /// The longest path, in bytes.
    pub path: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 500_000, bytes: 16 << 30, file: 2 << 30, depth: 64, path: 2048 }
    }
}

/// What a tree unfolds to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub files: u64,
    pub bytes: u64,
    height: usize,
    longest: usize,
    links: u64,
}

/// What was found: the totals, submodules (which are never fetched), and what speaks against taking the tree.
#[derive(Debug, Default)]
pub struct Findings {
    pub totals: Totals,
    pub submodules: Vec<String>,
    pub complaints: Vec<String>,
}

/// How many complaints are told; more help nobody.
const TOLD: usize = 10;
/// How much of a path is told.
const SHOWN: usize = 150;
/// How many links one link may lead through; Linux gives up there, too.
const LINKS: usize = 40;
const BLOB: i32 = 0o100_644;
const BLOB_GROUP: i32 = 0o100_664;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const FOLDER: i32 = 0o040_000;
const MODULE: i32 = 0o160_000;

/// Looks at the tree of a commit or a tag.
pub fn inspect(repo: &Repo, id: Oid, limits: &Limits) -> Result<Findings, GitError> {
    let Some(tree) = repo.tree_of(id) else { return Ok(Findings::default()) };
    let odb = repo.inner.odb()?;
    let mut walk = Walk { repo, odb, limits, seen: HashMap::new(), found: Findings::default() };
    let totals = walk.count(tree, &mut vec![])?;
    walk.found.totals = totals;
    walk.judge(&totals);
    // Links are judged where they lie, so trees that have some are unfolded: only once that is known to be bearable.
    if walk.found.complaints.is_empty() && totals.links > 0 {
        walk.links(tree, tree, &mut vec![])?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    repo: &'a Repo,
    odb: Odb<'a>,
    limits: &'a Limits,
    seen: HashMap<Oid, Totals>,
    found: Findings,
}

impl Walk<'_> {
    fn complain(&mut self, path: &[Vec<u8>], what: &str) {
        if self.found.complaints.len() < TOLD {
            self.found.complaints.push(format!("{}: {what}", shown(path)));
        }
    }

    fn enough(&self) -> bool {
        self.found.complaints.len() >= TOLD
    }

    fn count(&mut self, id: Oid, path: &mut Vec<Vec<u8>>) -> Result<Totals, GitError> {
        if let Some(totals) = self.seen.get(&id) {
            return Ok(*totals);
        }
        let mut totals = Totals { height: 1, ..Totals::default() };
        if path.len() > self.limits.depth {
            self.complain(path, &format!("directories lie deeper than {} in each other", self.limits.depth));
            return Ok(totals);
        }
        let tree = self.repo.inner.find_tree(id)?;
        let entries = tree.len() as u64;
        if entries > self.limits.files {
            self.complain(path, &format!("{entries} entries; {} files are the most", self.limits.files));
            return Ok(totals);
        }
        let mut names = HashSet::new();
        for entry in &tree {
            if self.enough() {
                break;
            }
            let name = entry.name_bytes().to_vec();
            let twice = !names.insert(name.clone());
            path.push(name);
            if twice {
                self.complain(path, "the name is there twice");
            }
            self.entry(entry.id(), entry.filemode_raw(), path, &mut totals)?;
            path.pop();
        }
        self.seen.insert(id, totals);
        Ok(totals)
    }

    fn entry(&mut self, id: Oid, mode: i32, path: &mut Vec<Vec<u8>>, totals: &mut Totals) -> Result<(), GitError> {
        let own = path.last().map_or(&[][..], Vec::as_slice);
        let (length, special) = (own.len(), name::is_special_file(own));
        if let Some(what) = name::entry(own) {
            self.complain(path, &what);
            return Ok(());
        }
        totals.longest = totals.longest.max(length);
        match mode {
            FOLDER => {
                let below = self.count(id, path)?;
                totals.files = totals.files.saturating_add(below.files).saturating_add(1);
                totals.bytes = totals.bytes.saturating_add(below.bytes);
                totals.links = totals.links.saturating_add(below.links);
                totals.height = totals.height.max(below.height + 1);
                totals.longest = totals.longest.max(length + 1 + below.longest);
            }
            BLOB | BLOB_GROUP | PROGRAM | LINK => {
                let (size, kind) = self.odb.read_header(id)?;
                if kind != ObjectType::Blob {
                    self.complain(path, "it is said to be a file, and is none");
                    return Ok(());
                }
                if mode == LINK && special {
                    self.complain(path, "git reads this file: it may not be a symbolic link");
                }
                if size as u64 > self.limits.file {
                    self.complain(path, &format!("{size} bytes; {} is the most for a file", self.limits.file));
                }
                totals.files = totals.files.saturating_add(1);
                totals.bytes = totals.bytes.saturating_add(size as u64);
                totals.links += u64::from(mode == LINK);
            }
            MODULE => {
                totals.files = totals.files.saturating_add(1);
                if self.found.submodules.len() < TOLD {
                    self.found.submodules.push(shown(path));
                }
            }
            other => self.complain(path, &format!("a kind of entry that is not taken (mode {other:o})")),
        }
        Ok(())
    }

    fn judge(&mut self, totals: &Totals) {
        let limits = self.limits;
        for (what, is, most) in [
            ("files", totals.files, limits.files),
            ("bytes", totals.bytes, limits.bytes),
            ("directories in each other", totals.height as u64, limits.depth as u64),
            ("bytes in the longest path", totals.longest as u64, limits.path as u64),
        ] {
            if is > most {
                self.found.complaints.push(format!("the tree unfolds to {is} {what}; {most} is the most"));
            }
        }
    }

    fn links(&mut self, root: Oid, id: Oid, path: &mut Vec<Vec<u8>>) -> Result<(), GitError> {
        let repo = self.repo;
        let tree = repo.inner.find_tree(id)?;
        for entry in &tree {
            if self.enough() {
                break;
            }
            let mode = entry.filemode_raw();
            path.push(entry.name_bytes().to_vec());
            if mode == FOLDER && self.seen.get(&entry.id()).is_some_and(|totals| totals.links > 0) {
                self.links(root, entry.id(), path)?;
            } else if mode == LINK {
                let root = repo.inner.find_tree(root)?;
                if let Some(what) = leads_out(repo, &root, path)? {
                    self.complain(path, &what);
                }
            }
            path.pop();
        }
        Ok(())
    }
}

fn shown(path: &[Vec<u8>]) -> String {
    let parts: Vec<_> = path.iter().map(|part| String::from_utf8_lossy(part).escape_debug().to_string()).collect();
    let whole = parts.join("/");
    // The end of a long path says more than its beginning.
    let long = whole.char_indices().rev().nth(SHOWN).map(|(at, _)| at);
    long.map_or_else(|| whole.clone(), |at| format!("…{}", &whole[at..]))
}

/// Follows a link as the kernel would, inside the tree, and tells if it leads elsewhere. `../data` at the top is the
/// project's own directory beside the tree.
fn leads_out(repo: &Repo, root: &Tree<'_>, link: &[Vec<u8>]) -> Result<Option<String>, GitError> {
    let mut at: Vec<Vec<u8>> = link[..link.len() - 1].to_vec();
    let mut ahead: VecDeque<Vec<u8>> = VecDeque::from([link[link.len() - 1].clone()]);
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part.is_empty() || part == b"." {
            continue;
        }
        if part == b".." {
            if at.pop().is_none() {
                let beside =
                    ahead.front().is_some_and(|part| part == b"data") && !ahead.iter().any(|part| part == b"..");
                // The application writes there; what root runs comes with a push, or not at all.
                let recipes = link[0].eq_ignore_ascii_case(b".salt");
                return Ok(match (beside, recipes) {
                    (true, false) => None,
                    (true, true) => Some("recipes are not taken from `../data`, where the application writes".into()),
                    (false, _) => {
                        Some("the link leads out of the tree; only `../data` of the project may be linked to".into())
                    }
                });
            }
            continue;
        }
        if name::entry(&part).is_some() {
            return Ok(Some("the link leads through a name that is not taken".into()));
        }
        at.push(part);
        let Some((mode, id)) = lookup(root, repo, &at)? else { continue };
        if mode != LINK {
            continue;
        }
        links += 1;
        if links > LINKS {
            return Ok(Some("the link leads in circles".into()));
        }
        let blob = repo.inner.find_blob(id)?;
        let target = blob.content();
        if target.is_empty() || target.len() > 4095 || target.contains(&0) {
            return Ok(Some("the link's target is no path".into()));
        }
        if target.starts_with(b"/") {
            return Ok(Some("the link's target is absolute: link to a relative path inside the tree".into()));
        }
        at.pop();
        for part in target.split(|byte| *byte == b'/').rev() {
            ahead.push_front(part.to_vec());
        }
    }
    Ok(None)
}

fn lookup(root: &Tree<'_>, repo: &Repo, path: &[Vec<u8>]) -> Result<Option<(i32, Oid)>, GitError> {
    let mut id = root.id();
    for (depth, part) in path.iter().enumerate() {
        let tree = repo.inner.find_tree(id)?;
        let Some(found) = tree.iter().find(|entry| entry.name_bytes() == part.as_slice()) else { return Ok(None) };
        let mode = found.filemode_raw();
        if depth + 1 == path.len() {
            return Ok(Some((mode, found.id())));
        }
        if mode != FOLDER {
            return Ok(None);
        }
        id = found.id();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        _dir: tempfile::TempDir,
        repo: Repo,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let repo = Repo::create_bare(&dir.path().join("x.git"), "main").expect("a repository");
            Self { _dir: dir, repo }
        }

        fn blob(&self, bytes: &[u8]) -> Oid {
            self.repo.inner.blob(bytes).expect("a blob")
        }

        /// Writes a tree byte by byte: git's own tools refuse most of what is tried here.
        fn tree(&self, entries: &[(&str, &[u8], Oid)]) -> Oid {
            let mut raw = vec![];
            for (mode, name, id) in entries {
                raw.extend_from_slice(mode.as_bytes());
                raw.push(b' ');
                raw.extend_from_slice(name);
                raw.push(0);
                raw.extend_from_slice(id.as_bytes());
            }
            self.repo.inner.odb().expect("a store").write(ObjectType::Tree, &raw).expect("a tree")
        }

        fn link(&self, name: &[u8], target: &str) -> (Oid, Vec<u8>) {
            (self.blob(target.as_bytes()), name.to_vec())
        }

        fn findings(&self, tree: Oid) -> Findings {
            let who = git2::Signature::now("a", "a@b").expect("a name");
            let tree = self.repo.inner.find_tree(tree).expect("a tree");
            let commit = self.repo.inner.commit(None, &who, &who, "x", &tree, &[]).expect("a commit");
            inspect(&self.repo, commit, &Limits::default()).expect("it can be read")
        }
    }

    #[test]
    fn an_ordinary_tree_is_counted() {
        let f = Fixture::new();
        let a = f.blob(b"hello");
        let sub = f.tree(&[("100755", b"run", a), ("120000", b"up", f.link(b"", "../a").0)]);
        let found = f.findings(f.tree(&[("100644", b"a", a), ("40000", b"sub", sub)]));
        assert!(found.complaints.is_empty(), "{:?}", found.complaints);
        assert_eq!((found.totals.files, found.totals.bytes, found.totals.height), (4, 14, 2));
    }

    #[test]
    fn a_small_push_that_unfolds_to_billions_is_refused_at_once() {
        let f = Fixture::new();
        let mut id = f.blob(b"boom");
        let mut mode = "100644";
        for _ in 0..12 {
            let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
            let entries: Vec<_> = names.iter().map(|name| (mode, name.as_bytes(), id)).collect();
            id = f.tree(&entries);
            mode = "40000";
        }
        let started = std::time::Instant::now();
        let found = f.findings(id);
        assert!(found.complaints.iter().any(|line| line.contains("unfolds to") && line.contains("files")), "{found:?}");
        assert!(started.elapsed().as_secs() < 2);
        // And one that is merely deep.
        let mut id = f.tree(&[("100644", b"a", f.blob(b"x"))]);
        for _ in 0..5000 {
            id = f.tree(&[("40000", b"d", id)]);
        }
        assert!(f.findings(id).complaints.iter().any(|line| line.contains("deeper than 64")));
    }

    #[test]
    fn kinds_and_names_that_are_not_taken() {
        let f = Fixture::new();
        let a = f.blob(b"x");
        let folder = f.tree(&[("100644", b"hooks", a)]);
        for (mode, name, words) in [
            ("40000", &b".git"[..], "git's own"),
            ("100644", b"git~1", "git's own"),
            ("100644", b"..", "leads out"),
            ("10644", b"fifo", "kind of entry"),
            ("60644", b"disk", "kind of entry"),
            ("120000", b".gitmodules", "may not be a symbolic link"),
        ] {
            let id = if mode == "40000" { folder } else { a };
            let below = f.tree(&[(mode, name, id)]);
            let found = f.findings(f.tree(&[("40000", b"deep", below)]));
            assert!(found.complaints.iter().any(|line| line.contains(words)), "{name:?}: {found:?}");
        }
        let twice = f.findings(f.tree(&[("100644", b"a", a), ("40000", b"a", folder)]));
        assert!(twice.complaints.iter().any(|line| line.contains("twice")), "{twice:?}");
        let module = f.findings(f.tree(&[("160000", b"vendor", a)]));
        assert_eq!((module.submodules, module.complaints), (vec!["vendor".to_owned()], vec![]));
    }

    #[test]
    fn links_stay_inside() {
        let f = Fixture::new();
        let a = f.blob(b"x");
        let to = |target: &str| f.blob(target.as_bytes());
        let sub = |target: &str| f.tree(&[("100644", b"a", a), ("120000", b"l", to(target))]);
        for (target, taken) in [
            ("a", true),
            ("../sub/a", true),
            ("./../missing/file", true),
            ("../../data/uploads", true),
            ("../../data/../secret", false),
            ("../../other", false),
            ("../..", false),
            ("/etc/shadow", false),
            ("//etc", false),
            ("../.git/config", false),
            ("l", false),
            ("", false),
            ("a\0b", false),
        ] {
            let found = f.findings(f.tree(&[("40000", b"sub", sub(target))]));
            assert_eq!(found.complaints.is_empty(), taken, "{target:?}: {:?}", found.complaints);
        }
        for tree in [
            f.tree(&[("120000", b".salt", to("../data/salt"))]),
            f.tree(&[("40000", b".salt", f.tree(&[("120000", b"100_x.sls", to("../../data/x.sls"))]))]),
        ] {
            assert!(f.findings(tree).complaints.iter().any(|line| line.contains("recipes are not taken")));
        }
        // Lexically `d/../x` is inside; through the link `d` it is not.
        let deep = f.tree(&[("40000", b"e", f.tree(&[("100644", b"a", a)]))]);
        let tree =
            f.tree(&[("120000", b"d", to("deep/e/../..")), ("120000", b"x", to("d/../x2")), ("40000", b"deep", deep)]);
        assert!(f.findings(tree).complaints.iter().any(|line| line.starts_with("x: ")), "through a linked directory");
    }
}
