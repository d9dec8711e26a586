//! The file roots: where `salt://` names lead, per environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Environments and their directories; earlier directories win.
#[derive(Clone, Debug, Default)]
pub struct FileRoots {
    envs: BTreeMap<String, Vec<PathBuf>>,
    /// The SLS names of each environment, and when they were read: asked for by each minion of a fleet.
    lists: Arc<Mutex<BTreeMap<String, Listed>>>,
}

/// Names, and when they were read.
type Listed = (Instant, Arc<[String]>);

/// How long a list of names is taken for true; Salt's `fileserver_list_cache_time` is twenty seconds.
const FRESH: Duration = Duration::from_secs(1);

impl FileRoots {
    /// Makes roots of environments and directories.
    pub fn new(envs: impl IntoIterator<Item = (String, Vec<PathBuf>)>) -> Self {
        Self { envs: envs.into_iter().collect(), lists: Arc::default() }
    }

    /// Makes roots with one directory in `base`.
    pub fn base(dir: impl Into<PathBuf>) -> Self {
        Self::new([("base".to_owned(), vec![dir.into()])])
    }

    /// Names the environments.
    pub fn envs(&self) -> impl Iterator<Item = &str> {
        self.envs.keys().map(String::as_str)
    }

    /// Returns the directories of an environment; an unknown one falls back to Salt's dynamic `__env__`.
    pub fn roots(&self, saltenv: &str) -> &[PathBuf] {
        self.envs.get(saltenv).or_else(|| self.envs.get("__env__")).map_or(&[], Vec::as_slice)
    }

    /// Finds a file by its path below the roots; a path that would leave them is not found.
    pub fn find(&self, path: &str, saltenv: &str) -> Option<PathBuf> {
        let relative = confined(path)?;
        self.roots(saltenv).iter().map(|root| root.join(&relative)).find(|full| full.is_file())
    }

    /// Finds a directory by its path below the roots.
    pub fn find_dir(&self, path: &str, saltenv: &str) -> Option<PathBuf> {
        let relative = confined(path)?;
        self.roots(saltenv).iter().map(|root| root.join(&relative)).find(|full| full.is_dir())
    }

    /// Finds the file of an SLS name: `a.b` is `a/b.sls` or `a/b/init.sls`.
    pub fn sls_path(&self, sls: &str, saltenv: &str) -> Option<(PathBuf, String)> {
        let base = sls.trim_start_matches('/').replace('.', "/");
        [format!("{base}.sls"), format!("{base}/init.sls")]
            .into_iter()
            .find_map(|relative| Some((self.find(&relative, saltenv)?, relative)))
    }

    /// Names every SLS of an environment.
    pub fn list_sls(&self, saltenv: &str) -> Vec<String> {
        let mut lists = self.lists.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, names)) = lists.get(saltenv).filter(|(read, _)| read.elapsed() < FRESH) {
            return names.to_vec();
        }
        let names = self.read_sls(saltenv);
        lists.insert(saltenv.to_owned(), (Instant::now(), names.clone().into()));
        names
    }

    fn read_sls(&self, saltenv: &str) -> Vec<String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for file in self.list_files(saltenv, "") {
            if let Some(stem) = file.strip_suffix(".sls") {
                let stem = stem.strip_suffix("/init").unwrap_or(stem);
                names.insert(stem.replace('/', "."));
            }
        }
        names.into_iter().collect()
    }

    /// Lists the files of an environment below a directory, as paths relative to the roots.
    pub fn list_files(&self, saltenv: &str, prefix: &str) -> Vec<String> {
        let Some(prefix) = confined(prefix) else { return vec![] };
        let mut files = BTreeSet::new();
        for root in self.roots(saltenv) {
            walk(root, &root.join(&prefix), &mut files, 0);
        }
        files.into_iter().collect()
    }
}

fn walk(root: &Path, dir: &Path, files: &mut BTreeSet<String>, depth: usize) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Links are followed, as Salt's file server does; the depth ends a loop of them.
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() && depth < 40 => walk(root, &path, files, depth + 1),
            Ok(meta) if meta.is_file() => {
                files.extend(path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Resolves `.` and `..` in words; `None` if that leads out of the root.
fn confined(path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix("salt://").unwrap_or(path);
    let mut clean = PathBuf::new();
    for part in Path::new(path.trim_start_matches('/')).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    if path.contains('\0') { None } else { Some(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_roots() {
        for (path, expected) in [
            ("a/b.sls", Some("a/b.sls")),
            ("/a/./b", Some("a/b")),
            ("a/../b", Some("b")),
            ("../etc/passwd", None),
            ("a/../../b", None),
        ] {
            assert_eq!(confined(path), expected.map(PathBuf::from), "{path}");
        }
    }
}
