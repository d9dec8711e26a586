//! Where projects live and how much a push may take: one small file of root's, the same for all programs of a push.

use crate::ProjectName;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `/etc/corpus-push.json`. Every key may be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conf {
    /// The directory of the projects.
    pub projects: PathBuf,
    /// Where the privileged side listens.
    pub socket: PathBuf,
    /// Git's hooks, the same for all projects, root's.
    pub hooks: PathBuf,
    /// What the privileged side must remember over a crash.
    pub state: PathBuf,
    /// How many bytes one push may bring.
    pub max_push: u64,
    /// How many files, and bytes of them, a tree may unfold to.
    pub max_files: u64,
    pub max_bytes: u64,
    /// The largest single file.
    pub max_file: u64,
    /// How many seconds another deploying program may take.
    pub max_seconds: u64,
    /// After how many silent seconds the pusher is told that work goes on.
    pub heartbeat: u64,
    /// A file of root's alone that says which directory (LDAP) knows who may push: see `docs/guide/projects.md`.
    pub directory: Option<PathBuf>,
    /// Another program that deploys, with its arguments, instead of corpus itself.
    pub deployer: Option<Vec<String>>,
}

/// Where the configuration is. One place, so that nobody who can set a variable or an argument can name another.
pub const FILE: &str = "/etc/corpus-push.json";

impl Default for Conf {
    fn default() -> Self {
        let limits = corpus_git::tree::Limits::default();
        Self {
            projects: "/srv/projects".into(),
            socket: "/run/corpus/push.sock".into(),
            hooks: "/usr/local/lib/corpus/hooks".into(),
            state: "/var/lib/corpus/push".into(),
            max_push: 1 << 30,
            max_files: limits.files,
            max_bytes: limits.bytes,
            max_file: limits.file,
            max_seconds: 5 * 3600,
            heartbeat: 10,
            directory: None,
            deployer: None,
        }
    }
}

impl Conf {
    /// Reads the file, which may be missing.
    pub fn load() -> Result<Self, String> {
        let told = |what: &dyn std::fmt::Display| format!("{FILE}: {what}");
        let meta = match std::fs::metadata(FILE) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(told(&error)),
        };
        if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
            return Err(told(&"it must belong to root, and nobody else may write it: chown root, chmod 644"));
        }
        let text = std::fs::read(FILE).map_err(|error| told(&error))?;
        serde_json::from_slice(&text).map_err(|error| told(&error))
    }

    /// Returns what a tree may be.
    pub fn limits(&self) -> corpus_git::tree::Limits {
        let (files, bytes, file) = (self.max_files, self.max_bytes, self.max_file);
        corpus_git::tree::Limits { files, bytes, file, ..Default::default() }
    }

    /// Returns the place of a project, after looking at its name only.
    pub fn place(&self, project: &str) -> Result<Place, String> {
        name(project)?;
        Ok(Place { name: project.to_owned(), dir: self.projects.join(project) })
    }

    /// Returns which repository of which project a path is, if it is one.
    pub fn project_of(&self, bare: &Path) -> Option<(Place, Kind)> {
        let rest = bare.strip_prefix(&self.projects).ok()?;
        let parts: Vec<&str> = rest.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
        let [project, "git", repository] = parts[..] else { return None };
        let kind = [Kind::Project, Kind::Pillar].into_iter().find(|kind| kind.file() == repository)?;
        Some((self.place(project).ok()?, kind))
    }
}

/// Returns what is wrong with a project's name, if anything is.
pub fn name(text: &str) -> Result<(), String> {
    ProjectName::parse(text).map(drop).map_err(|error| error.to_string())
}

/// The two repositories of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Project,
    Pillar,
}

impl Kind {
    /// Returns the name of its directory.
    pub fn file(self) -> &'static str {
        match self {
            Self::Project => "project.git",
            Self::Pillar => "pillar.git",
        }
    }
}

/// A project's directory.
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
    pub dir: PathBuf,
}

impl Place {
    /// Returns a bare repository of it.
    pub fn bare(&self, kind: Kind) -> PathBuf {
        self.dir.join("git").join(kind.file())
    }

    /// Returns the user and group to whom the project's repositories belong. Only root can make a directory below the
    /// projects' root anybody's, so the owner is who may push.
    pub fn owner(&self) -> Result<(u32, u32), String> {
        let git = self.dir.join("git");
        let mut owner = (0, 0);
        // No link on the way: the names are the project's, not what somebody made of them.
        for dir in [&self.dir, &git] {
            owner = match std::fs::symlink_metadata(dir) {
                Ok(meta) if meta.is_dir() => (meta.uid(), meta.gid()),
                Ok(_) => return Err(format!("{} is no directory", dir.display())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(format!(
                        "there is no project `{0}`: `corpus mc_project.init_project {0}` makes one",
                        self.name
                    ));
                }
                Err(error) => return Err(format!("{}: {error}", dir.display())),
            };
        }
        Ok(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_repository_or_nothing() {
        let conf = Conf::default();
        let of = |path: &str| conf.project_of(Path::new(path)).map(|(place, kind)| (place.name, kind));
        assert_eq!(of("/srv/projects/foo/git/project.git"), Some(("foo".into(), Kind::Project)));
        assert_eq!(of("/srv/projects/foo/git/pillar.git"), Some(("foo".into(), Kind::Pillar)));
        for other in
            ["/srv/projects/foo/project/.git", "/srv/projects/git/project.git", "/srv/projects/F/git/project.git", "/x"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
