//! A bare repository, read by libgit2: refs, commits, trees, blobs, differences.

use git2::{ObjectType, Oid, Repository, RepositoryInitOptions};
use std::path::Path;

/// What git did not do.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{place}: {error}")]
    At { place: String, error: git2::Error },
    #[error("{0}")]
    Said(String),
}

impl From<git2::Error> for GitError {
    fn from(error: git2::Error) -> Self {
        Self::Said(error.message().to_owned())
    }
}

/// A bare repository.
pub struct Repo {
    pub(crate) inner: Repository,
}

impl Repo {
    /// Opens one. libgit2 refuses a repository of another user, as git does.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        let at = |error| GitError::At { place: path.display().to_string(), error };
        Ok(Self { inner: Repository::open_bare(path).map_err(at)? })
    }

    /// Opens the repository of a hook: what is being pushed lies in a place of its own until it is accepted.
    pub fn open_in_hook(path: &Path, quarantine: Option<&Path>) -> Result<Self, GitError> {
        let repo = Self::open(path)?;
        if let Some(text) = quarantine.map(|place| place.to_string_lossy().into_owned()) {
            repo.inner.odb()?.add_disk_alternate(&text)?;
        }
        Ok(repo)
    }

    /// Makes a bare repository whose HEAD is a branch, or leaves the one that is there.
    pub fn create_bare(path: &Path, branch: &str) -> Result<Self, GitError> {
        if path.join("HEAD").exists() {
            return Self::open(path);
        }
        let at = |error| GitError::At { place: path.display().to_string(), error };
        let mut options = RepositoryInitOptions::new();
        // No template: nothing of this machine's goes into a project.
        options.bare(true).no_reinit(true).external_template(false).initial_head(branch);
        Ok(Self { inner: Repository::init_opts(path, &options).map_err(at)? })
    }

    /// Returns the ref that HEAD names, whether or not it has a commit yet.
    pub fn head(&self) -> Result<String, GitError> {
        let head = self.inner.find_reference("HEAD")?;
        let target = head.symbolic_target().map_err(GitError::from)?;
        target.map(str::to_owned).ok_or_else(|| GitError::Said("HEAD names no branch".into()))
    }

    /// Returns the object of a ref, if it is there.
    pub fn resolve(&self, name: &str) -> Option<Oid> {
        self.inner.refname_to_id(name).ok()
    }

    /// Returns all refs with their objects.
    pub fn refs(&self) -> Result<Vec<(String, Oid)>, GitError> {
        let mut all = vec![];
        for reference in self.inner.references()? {
            let reference = reference?;
            if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                all.push((name.to_owned(), id));
            }
        }
        Ok(all)
    }

    /// Tells whether an object is a commit.
    pub fn is_commit(&self, id: Oid) -> bool {
        self.inner.find_commit(id).is_ok()
    }

    /// Returns the tree that an object leads to: a commit's own, or that of what a tag names.
    pub fn tree_of(&self, id: Oid) -> Option<Oid> {
        let object = self.inner.find_object(id, None).ok()?;
        object.peel(ObjectType::Tree).ok().map(|tree| tree.id())
    }

    /// Tells whether all of one commit's history is in another's.
    pub fn contains(&self, newer: Oid, older: Oid) -> bool {
        newer == older || self.inner.graph_descendant_of(newer, older).unwrap_or(false)
    }

    /// Returns the first line of a commit's message.
    pub fn subject(&self, id: Oid) -> Option<String> {
        let commit = self.inner.find_commit(id).ok()?;
        commit.summary_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Returns the content of a file at a commit.
    pub fn read(&self, commit: Oid, path: &Path) -> Option<Vec<u8>> {
        let tree = self.inner.find_commit(commit).ok()?.tree().ok()?;
        let entry = tree.get_path(path).ok()?;
        self.inner.find_blob(entry.id()).ok().map(|blob| blob.content().to_vec())
    }

    /// Returns which files differ between two commits; all of them, where there is no older one.
    pub fn changed(&self, older: Option<Oid>, newer: Oid) -> Result<Vec<(char, String)>, GitError> {
        let tree = |id: Oid| self.inner.find_commit(id).and_then(|commit| commit.tree());
        let (from, to) = (older.map(tree).transpose()?, tree(newer)?);
        let diff = self.inner.diff_tree_to_tree(from.as_ref(), Some(&to), None)?;
        let line = |delta: git2::DiffDelta<'_>| {
            let file = if delta.status() == git2::Delta::Deleted { delta.old_file() } else { delta.new_file() };
            let letter = match delta.status() {
                git2::Delta::Added => 'A',
                git2::Delta::Deleted => 'D',
                _ => 'M',
            };
            (letter, String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned())
        };
        Ok(diff.deltas().map(line).collect())
    }
}
