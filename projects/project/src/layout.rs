//! Where everything of a project lies.

use crate::ProjectName;
use std::path::{Path, PathBuf};

/// The directories of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `/srv/projects/NAME`, root's.
    pub dir: PathBuf,
    /// What runs.
    pub project: PathBuf,
    pub pillar: PathBuf,
    /// What the application keeps. No deployment touches it.
    pub data: PathBuf,
    pub archives: PathBuf,
    pub git: PathBuf,
    pub project_git: PathBuf,
    pub pillar_git: PathBuf,
    /// Locks, journals, reports and the saved configuration: root's alone.
    pub corpus: PathBuf,
}

impl Layout {
    /// Makes the layout of a project below the directory of all projects.
    pub fn new(projects: &Path, name: &ProjectName) -> Self {
        let dir = projects.join(name);
        let git = dir.join("git");
        Self {
            project: dir.join("project"),
            pillar: dir.join("pillar"),
            data: dir.join("data"),
            archives: dir.join("archives"),
            project_git: git.join("project.git"),
            pillar_git: git.join("pillar.git"),
            corpus: dir.join(".corpus"),
            git,
            dir,
        }
    }

    /// The directory of one deployment's archive.
    pub fn archive(&self, id: &str) -> PathBuf {
        self.archives.join(id)
    }

    /// Where reports and logs of deployments lie.
    pub fn deployments(&self) -> PathBuf {
        self.corpus.join("deployments")
    }

    /// The saved configuration.
    pub fn saved(&self) -> PathBuf {
        self.corpus.join("configuration.yaml")
    }

    /// The directory of the recipes: `.salt/<env>` where that exists, else `.salt`.
    pub fn salt(&self, env: &str) -> PathBuf {
        recipes(&self.project, env)
    }
}

/// Returns the directory of the recipes in a tree.
pub fn recipes(tree: &Path, env: &str) -> PathBuf {
    let salt = tree.join(".salt");
    let plain = !env.is_empty() && !env.contains('/') && !env.starts_with('.');
    let own = salt.join(env);
    let is_dir = std::fs::symlink_metadata(&own).is_ok_and(|meta| meta.is_dir());
    if plain && is_dir { own } else { salt }
}
