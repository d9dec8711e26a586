//! A private installation below a temporary directory: projects, state tree, pillar tree, cache.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses some of it; a test may panic")]

use corpus_core::{Map, Value};
use corpus_master::{Config, Corpus, Overrides};
use corpus_project::{Cx, DeployReport, DeployRequest, Layout, Note, Progress, ProjectName, deploy, init_project};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The installation.
pub struct Place {
    pub dir: Root,
    pub name: ProjectName,
}

/// Where an installation is.
pub enum Root {
    Own(TempDir),
    Other(PathBuf),
}

impl Root {
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Other(path) => path,
        }
    }
}

/// Keeps what a deployment says.
#[derive(Default)]
pub struct Heard(pub Vec<String>);

impl Progress for Heard {
    fn note(&mut self, note: Note<'_>) {
        match note {
            Note::Step(step) => self.0.push(format!("-- {step}")),
            Note::Line(line) => self.0.push(line.to_owned()),
            _ => {}
        }
    }
}

impl Place {
    /// Makes one with a project in an environment.
    pub fn new(env: &str) -> Self {
        let place = Self::empty();
        place.init(&[("default_env", env.into())]);
        place
    }

    /// Makes one with a project where extended attributes and all can be had.
    pub fn on_disk(env: &str) -> Self {
        let place = Self::within(tempfile::tempdir().unwrap());
        place.init(&[("default_env", env.into())]);
        place
    }

    /// Makes one without a project, in memory: what is proven is no disk's speed.
    pub fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        Self::within(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap())
    }

    /// Takes one that another process has made, and keeps.
    pub fn at(path: &Path) -> Self {
        Self { dir: Root::Other(path.to_owned()), name: ProjectName::parse("foo").unwrap() }
    }

    /// Makes one without a project in a directory.
    pub fn within(dir: TempDir) -> Self {
        for folder in ["etc", "salt", "pillar", "cache"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let root = dir.path().display();
        let minion = format!(
            "id: box.example.org\nprojects_dir: {root}/projects\nprojects_homes: {root}/homes\n\
             corpus_cachedir: {root}/cache\nfile_roots: {{base: [{root}/salt]}}\n\
             pillar_roots: {{base: [{root}/pillar]}}\nprojects_metrics: {root}\n"
        );
        std::fs::write(dir.path().join("etc/minion"), minion).unwrap();
        Self { dir: Root::Own(dir), name: ProjectName::parse("foo").unwrap() }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Starts as a new process would.
    pub fn cx(&self) -> Cx {
        let over = Overrides { config_dir: Some(self.path("etc")), local: true, ..Overrides::default() };
        let config = Config::load(&over).expect("the configuration is good");
        let extras = corpus_project::extras(&config);
        Cx::new(Corpus::extended(config, extras).expect("it starts"))
    }

    pub fn layout(&self) -> Layout {
        Layout::new(&self.path("projects"), &self.name)
    }

    pub fn init(&self, keys: &[(&str, Value)]) -> Vec<String> {
        let mut kwargs: Map = keys.iter().map(|(key, value)| (*key, value.clone())).collect();
        kwargs.insert("no_user", true);
        let mut heard = Heard::default();
        init_project(&self.cx(), &self.name, &kwargs, &mut heard).unwrap_or_else(|e| panic!("{}", e.text())).made
    }

    pub fn cfg(&self) -> Map {
        self.cfg_with(&[])
    }

    pub fn cfg_with(&self, keys: &[(&str, Value)]) -> Map {
        let kwargs: Map = keys.iter().map(|(key, value)| (*key, value.clone())).collect();
        corpus_project::configuration(&self.cx(), &self.name, &kwargs).unwrap_or_else(|e| panic!("{}", e.text()))
    }

    /// Commits files to a clone of the project's repository and pushes; an empty text removes a file.
    pub fn push(&self, files: &[(&str, &str)]) -> String {
        self.push_to("project", files)
    }

    pub fn push_to(&self, what: &str, files: &[(&str, &str)]) -> String {
        let clone = self.path(&format!("work-{what}"));
        let bare = self.layout().git.join(format!("{what}.git"));
        if !clone.exists() {
            git(self.dir.path(), &["clone", "-q", bare.to_str().unwrap(), clone.to_str().unwrap()]);
        }
        for (name, text) in files {
            let path = clone.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if text.is_empty() { std::fs::remove_file(path).unwrap() } else { std::fs::write(path, text).unwrap() }
        }
        git(&clone, &["add", "-A", "-f", "."]);
        git(&clone, &["commit", "-q", "--allow-empty", "-m", "work"]);
        git(&clone, &["push", "-q", "-f", "origin", "HEAD"]);
        git(&clone, &["rev-parse", "HEAD"])
    }

    pub fn request(&self) -> DeployRequest {
        DeployRequest { who: "tester".into(), ..DeployRequest::new(self.name.clone()) }
    }

    pub fn deploy(&self) -> DeployReport {
        self.deploy_as(&self.request())
    }

    pub fn deploy_as(&self, request: &DeployRequest) -> DeployReport {
        deploy(&self.cx(), request, &mut Heard::default())
    }

    /// Deploys what must be good.
    pub fn good(&self) -> DeployReport {
        let report = self.deploy();
        assert!(report.ok(), "{}", report.comment);
        report
    }

    /// Deploys what must fail.
    pub fn bad(&self) -> DeployReport {
        let report = self.deploy();
        assert!(!report.ok(), "{}", report.comment);
        report
    }

    pub fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.layout().dir.join(relative)).unwrap_or_default()
    }

    pub fn archives(&self) -> Vec<String> {
        corpus_project::archive::list(&self.layout()).unwrap()
    }
}

/// A recipe that writes a file into `project/`.
pub fn writes(file: &str, text: &str) -> String {
    format!(
        "{{% set cfg = opts['ms_project'] %}}\nwrite-{file}:\n  file.managed:\n    - name: {{{{ cfg.project_root }}}}/{file}\n    - contents: {text}\n"
    )
}

/// A recipe that fails.
pub const FAILS: &str = "broken:\n  test.fail_without_changes:\n    - comment: this is the failing state\n";

pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "safe.directory=*"])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Names, kinds, modes, owners and content of a tree, as one text.
pub fn tree(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let mut out = vec![];
    let mut todo = vec![path.to_owned()];
    while let Some(at) = todo.pop() {
        let Ok(meta) = std::fs::symlink_metadata(&at) else { continue };
        let name = at.strip_prefix(path).unwrap().display().to_string();
        let what = if meta.is_symlink() {
            format!("-> {}", std::fs::read_link(&at).unwrap().display())
        } else if meta.is_dir() {
            todo.extend(std::fs::read_dir(&at).unwrap().flatten().map(|entry| entry.path()));
            "dir".to_owned()
        } else {
            format!("{:?}", corpus_core::digest::hex(&corpus_core::digest::sha256(&std::fs::read(&at).unwrap())))
        };
        out.push(format!("{name} {:o} {} {} {what}", meta.mode(), meta.uid(), meta.gid()));
    }
    out.sort();
    out.join("\n")
}
