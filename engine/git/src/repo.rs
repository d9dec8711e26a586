//! A bare repository, read by libgit2: refs, commits, trees.

use git2::{ObjectType, Oid, Repository};
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

    /// Makes a bare repository whose HEAD is a branch.
    #[cfg(test)]
    pub fn create_bare(path: &Path, branch: &str) -> Result<Self, GitError> {
        let at = |error| GitError::At { place: path.display().to_string(), error };
        let mut options = git2::RepositoryInitOptions::new();
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
}
