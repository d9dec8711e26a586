//! What every part needs: the engine, and where this machine keeps its projects.

use crate::fs::{Disk, Fs};
use crate::{Layout, ProjectError, ProjectName, R};
use corpus_core::{Act, Data, Map, Value};
use corpus_master::{Corpus, Machine, PillarFailure, Session, TemplateCaller};
use corpus_render::RenderCx;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The projects of this machine.
pub struct Cx {
    pub corpus: Arc<Corpus>,
    /// The directory of all projects, `/srv/projects`.
    pub projects: PathBuf,
    /// The directory of the project users' homes, `/home/users`.
    pub homes: PathBuf,
    pub machine: Machine,
    /// By what the engine moves trees.
    pub fs: Box<dyn Fs>,
    grains: Mutex<Option<Value>>,
}

/// What is known before a project's configuration: the machine's data, and who answers templates.
pub struct Facts {
    pub data: Arc<Data>,
    pub session: Arc<Session>,
}

impl Facts {
    /// Makes the context in which a project's own files are rendered.
    pub fn render_cx(&self) -> RenderCx {
        let caller = TemplateCaller::new(self.session.clone(), self.data.clone());
        RenderCx::new(self.data.clone(), Arc::new(caller))
    }
}

impl Cx {
    /// Reads where the projects are: `projects_dir` and `projects_homes` of the configuration.
    pub fn new(corpus: Arc<Corpus>) -> Self {
        let place = |key: &str, default: &str| PathBuf::from(corpus.config.text(key).unwrap_or(default));
        Self {
            projects: place("projects_dir", "/srv/projects"),
            homes: place("projects_homes", "/home/users"),
            machine: Machine::new(),
            fs: Box::new(Disk),
            grains: Mutex::default(),
            corpus,
        }
    }

    /// Makes the same with other directories on top of the state tree and the pillar tree.
    pub fn over(&self, states: PathBuf, pillar: PathBuf) -> R<Self> {
        let corpus = self.corpus.over(states, pillar).map_err(|errors| ProjectError::diagnostics(&errors))?;
        let grains = self.grains.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Self {
            corpus,
            projects: self.projects.clone(),
            homes: self.homes.clone(),
            machine: Machine::new(),
            fs: Box::new(Disk),
            grains: Mutex::new(grains),
        })
    }

    /// Returns the layout of a project.
    pub fn layout(&self, name: &ProjectName) -> Layout {
        Layout::new(&self.projects, name)
    }

    /// The state tree into which projects are linked.
    pub fn salt_root(&self) -> PathBuf {
        first(self.corpus.config.file_roots.get("base"), "/srv/salt")
    }

    /// The pillar tree into which projects are linked.
    pub fn pillar_root(&self) -> PathBuf {
        first(self.corpus.config.pillar_roots.get("base"), "/srv/pillar")
    }

    /// Works out grains and pillar as they are now.
    pub fn facts(&self) -> R<Facts> {
        let session = Arc::new(self.session(Box::new(Machine::new()))?);
        match session.data("base", None, &Map::new()) {
            Ok(data) => Ok(Facts { data: Arc::new(data), session }),
            Err(PillarFailure::Failed(failure)) => Err(ProjectError::new(failure.to_string())),
            Err(PillarFailure::Errors(_, errors)) => {
                let error = ProjectError::diagnostics(&errors);
                Err(ProjectError::new(format!("the pillar does not render: {}", error.message)))
            }
        }
    }

    /// Makes a session with this machine; the grains are collected once.
    pub fn session(&self, host: Box<dyn Act>) -> R<Session> {
        let session = self.corpus.session_here(host);
        let mut kept = self.grains.lock().unwrap_or_else(PoisonError::into_inner);
        let grains = match &*kept {
            Some(grains) => grains.clone(),
            None => session.grains().map_err(|failure| ProjectError::new(failure.to_string()))?,
        };
        *kept = Some(grains.clone());
        Ok(session.with_grains(grains))
    }

    /// Tells whether this is root, who alone can make users and give files away.
    pub fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Returns the host name of the machine, as its grains tell it.
    pub fn fqdn(&self, data: &Data) -> String {
        let names = ["fqdn", "host", "nodename"].map(|grain| data.grains.get(grain).and_then(Value::as_str));
        // Nobody elsewhere reaches this machine by what every machine calls itself.
        let own = names.into_iter().flatten().find(|name| !name.is_empty() && *name != "localhost");
        own.unwrap_or(&data.id).to_owned()
    }
}

fn first(roots: Option<&Vec<PathBuf>>, default: &str) -> PathBuf {
    roots.and_then(|roots| roots.first()).cloned().unwrap_or_else(|| Path::new(default).to_owned())
}
