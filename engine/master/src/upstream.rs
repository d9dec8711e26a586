//! What a minion gets from its master during a run: files found and rendered, trees listed, events taken.

use crate::fileserver::lock;
use crate::functions::runner;
use crate::session::Session;
use crate::timings::Part;
use crate::{Corpus, TemplateCaller};
use corpus_core::hash::HashMap;
use corpus_core::source::{TreeEntry, TreeKind};
use corpus_core::{Call, Data, Event, ExecError, FileOrigin, FileRef, FileRequest, Source, SourceError, Value, secret};
use corpus_render::RenderCx;
use corpus_wire::Upstream;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the content of a resolved file is.
#[derive(Clone)]
enum Kept {
    Path(PathBuf),
    /// Rendered for this minion: kept in memory, as it may hold its secrets.
    Bytes(Arc<[u8]>),
}

/// URLs and saltenv.
type Asked = (Vec<String>, String);
/// The file, and the URL that was found.
type Place = (PathBuf, String);

/// The text of a template, and the mode of its file.
type Text = (Arc<str>, u32);

/// The master as one minion's run sees it.
pub struct RunSource<'a> {
    session: &'a Arc<Session>,
    data: Arc<Data>,
    caller: TemplateCaller,
    kept: Mutex<HashMap<[u8; 32], Kept>>,
    places: Mutex<HashMap<Asked, Place>>,
    /// Templates as they were read. A state that changes something may have changed them: then they are looked at again.
    texts: Mutex<HashMap<PathBuf, Text>>,
    events: &'a (dyn Fn(Event) + Sync),
}

impl<'a> RunSource<'a> {
    /// Makes the source for a run with this data.
    pub fn new(session: &'a Arc<Session>, data: Arc<Data>, events: &'a (dyn Fn(Event) + Sync)) -> Self {
        let caller = TemplateCaller::new(session.clone(), data.clone());
        Self {
            session,
            data,
            caller,
            kept: Mutex::default(),
            places: Mutex::default(),
            texts: Mutex::default(),
            events,
        }
    }

    /// Returns the secrets of what was rendered for the run: a key store's value may stand in a file alone.
    pub fn secrets(&self) -> Vec<Arc<str>> {
        if secret::none() {
            return vec![];
        }
        let kept = lock(&self.kept);
        let texts = kept.values().filter_map(|kept| match kept {
            Kept::Bytes(bytes) => Some(Value::from(&*String::from_utf8_lossy(bytes))),
            Kept::Path(_) => None,
        });
        secret::within(&texts.collect::<Vec<_>>())
    }

    fn corpus(&self) -> &Corpus {
        &self.session.corpus
    }

    /// Finds a file; a run that asks for it again gets the same one.
    fn found(&self, urls: &[String], saltenv: &str) -> Result<(PathBuf, String), SourceError> {
        let key = (urls.to_vec(), saltenv.to_owned());
        if let Some(found) = lock(&self.places).get(&key) {
            return Ok(found.clone());
        }
        let found = self.find(urls, saltenv)?;
        lock(&self.places).insert(key, found.clone());
        Ok(found)
    }

    fn find(&self, urls: &[String], saltenv: &str) -> Result<(PathBuf, String), SourceError> {
        for url in urls {
            if let Some(rest) = url.strip_prefix("salt://") {
                let (path, env) = split_env(rest, saltenv);
                if let Some(found) = self.corpus().engine.roots().find(path, env) {
                    return Ok((found, url.clone()));
                }
            } else if ["http://", "https://", "ftp://"].iter().any(|scheme| url.starts_with(scheme)) {
                match self.corpus().files.download(url) {
                    Ok(path) => return Ok((path, url.clone())),
                    Err(error) if urls.len() == 1 => return Err(error),
                    Err(_) => {}
                }
            } else {
                let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
                return Err(SourceError::Failed(format!(
                    "{url}: files over `{scheme}://` are not built into this corpus (salt, http, https and ftp are)"
                )));
            }
        }
        Err(SourceError::NotFound(urls.join(", "), saltenv.to_owned()))
    }

    fn text(&self, path: &Path, url: &str) -> Result<Text, SourceError> {
        if let Some(text) = lock(&self.texts).get(path) {
            return Ok(text.clone());
        }
        let text = self.corpus().files.text(path, url)?;
        lock(&self.texts).insert(path.to_owned(), text.clone());
        Ok(text)
    }

    fn render(&self, text: &str, name: &str, request: &FileRequest) -> Result<FileRef, SourceError> {
        let template = request.template.clone().unwrap_or_default();
        if template.engine != "jinja" {
            return Err(SourceError::Failed(format!(
                "{name}: the template engine `{}` is not built into this corpus; `jinja` is",
                template.engine
            )));
        }
        let cx = RenderCx {
            data: self.data.clone(),
            caller: Arc::new(self.caller.clone()),
            saltenv: request.saltenv.clone(),
            sls: None,
            vars: template.context,
        };
        let timings = &self.session.timings;
        let render = || self.corpus().engine.render_text(text, name, name, &cx);
        let rendered = timings.of(Part::Template, name, render).map_err(|diagnostic| {
            SourceError::Render(diagnostic.to_text(None).trim_end().trim_start_matches("error: ").to_owned())
        })?;
        let bytes: Arc<[u8]> = rendered.into_bytes().into();
        let sha256 = corpus_core::digest::sha256(&bytes);
        let size = bytes.len() as u64;
        lock(&self.kept).insert(sha256, Kept::Bytes(bytes));
        Ok(FileRef { url: String::new(), sha256, size, mode: 0o644 })
    }

    fn kept(&self, file: &FileRef) -> Result<Kept, SourceError> {
        lock(&self.kept).get(&file.sha256).cloned().ok_or_else(|| {
            SourceError::Failed(format!("{}: asked for content that was not resolved in this run", file.url))
        })
    }
}

/// Answers before the run what the states are going to ask, and keeps the answers: each saves a round trip. What asks
/// the machine while it renders waits for its turn in the run.
pub struct Early<'a> {
    source: &'a RunSource<'a>,
    pub known: Mutex<Vec<(FileRequest, Result<FileRef, SourceError>)>>,
}

impl<'a> Early<'a> {
    /// Makes it for a run that is about to start.
    pub fn new(source: &'a RunSource<'a>) -> Self {
        Self { source, known: Mutex::default() }
    }
}

impl Source for Early<'_> {
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError> {
        let before = self.source.caller.machine_calls();
        let answer = self.source.resolve(request);
        if self.source.caller.machine_calls() == before {
            lock(&self.known).push((request.clone(), answer.clone()));
        }
        answer
    }

    fn fetch(&self, _: &FileRef) -> Result<PathBuf, SourceError> {
        // Only the questions count, and a state may have more of them after this one. Nobody reads the content.
        Ok(PathBuf::new())
    }

    fn tree(&self, url: &str, saltenv: &str) -> Result<Vec<TreeEntry>, SourceError> {
        self.source.tree(url, saltenv)
    }

    fn fire(&self, _: &str, _: &Value) -> Result<(), SourceError> {
        Ok(())
    }
}

impl Source for RunSource<'_> {
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError> {
        match &request.origin {
            FileOrigin::Text(text) => self.render(text, "<contents>", request),
            FileOrigin::Urls(urls) => {
                let (path, url) = self.found(urls, &request.saltenv)?;
                if request.template.is_some() {
                    let (text, mode) = self.text(&path, &url)?;
                    let name = url.strip_prefix("salt://").unwrap_or(&url);
                    let (name, _) = split_env(name, "");
                    return self.render(&text, name, request).map(|file| FileRef { url: url.clone(), mode, ..file });
                }
                let file = self.corpus().files.describe(&path, &url)?;
                lock(&self.kept).insert(file.sha256, Kept::Path(path));
                Ok(file)
            }
        }
    }

    fn fetch(&self, file: &FileRef) -> Result<PathBuf, SourceError> {
        match self.kept(file)? {
            Kept::Path(path) => Ok(path),
            Kept::Bytes(bytes) => self.corpus().files.keep(&file.sha256, &bytes),
        }
    }

    fn tree(&self, url: &str, saltenv: &str) -> Result<Vec<TreeEntry>, SourceError> {
        let rest = url.strip_prefix("salt://").ok_or_else(|| {
            SourceError::Failed(format!("Invalid source '{url}' (only salt:// directories can be copied)"))
        })?;
        let (folder, env) = split_env(rest.trim_end_matches('/'), saltenv);
        let roots = self.corpus().config.file_roots.get(env).cloned().unwrap_or_default();
        let mut entries = BTreeMap::new();
        let mut found = false;
        // The first root that has a path wins, as for single files.
        for root in roots.iter().filter(|root| !escapes(folder) && root.join(folder).is_dir()) {
            found = true;
            walk(&root.join(folder), "", &mut entries)
                .map_err(|error| SourceError::Failed(format!("list {url}: {error}")))?;
        }
        if !found {
            return Err(SourceError::NotFound(url.to_owned(), env.to_owned()));
        }
        Ok(entries.into_values().collect())
    }

    fn fire(&self, tag: &str, data: &Value) -> Result<(), SourceError> {
        (self.events)(Event::Fired { tag: tag.to_owned(), data: data.clone() });
        Ok(())
    }

    fn cancelled(&self) -> bool {
        self.session.interrupted()
    }
}

impl Upstream for RunSource<'_> {
    fn event(&self, event: Event) {
        if let Event::Finished(report) = &event
            && report.changes.truthy()
        {
            lock(&self.texts).clear();
        }
        // What is fired comes through `fire`, too.
        if !matches!(event, Event::Fired { .. }) {
            (self.events)(event);
        }
    }

    fn knows(&self, fun: &str) -> bool {
        self.corpus().master_function(fun).is_some() || (self.session.orchestrates && runner::of_steps(fun))
    }

    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        if self.session.orchestrates && runner::of_steps(&call.fun) {
            return runner::step(&self.session.corpus, call);
        }
        match self.corpus().master_function(&call.fun) {
            Some(def) => (def.run)(call, self.session, &self.data),
            None => Err(ExecError::NotFound(call.fun.clone())),
        }
    }

    fn open(&self, file: &FileRef) -> Result<Box<dyn Read + Send>, SourceError> {
        match self.kept(file)? {
            Kept::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes))),
            Kept::Path(path) => match std::fs::File::open(&path) {
                Ok(content) => Ok(Box::new(content)),
                Err(error) => Err(SourceError::Failed(format!("open {}: {error}", path.display()))),
            },
        }
    }
}

/// Splits `path?saltenv=env`.
fn split_env<'a>(path: &'a str, default: &'a str) -> (&'a str, &'a str) {
    path.split_once("?saltenv=").unwrap_or((path, default))
}

fn escapes(path: &str) -> bool {
    Path::new(path).components().any(|part| !matches!(part, std::path::Component::Normal(_)))
}

fn walk(folder: &Path, prefix: &str, into: &mut BTreeMap<String, TreeEntry>) -> std::io::Result<()> {
    let mut empty = true;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        empty = false;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let meta = entry.path().symlink_metadata()?;
        let mode = meta.permissions().mode() & 0o7777;
        let kind = if meta.is_symlink() {
            TreeKind::Symlink(std::fs::read_link(entry.path())?.display().to_string())
        } else if meta.is_dir() {
            walk(&entry.path(), &path, into)?;
            continue;
        } else {
            TreeKind::File
        };
        into.entry(path.clone()).or_insert(TreeEntry { path, kind, mode });
    }
    if empty && !prefix.is_empty() {
        let mode = folder.metadata()?.permissions().mode() & 0o7777;
        let entry = TreeEntry { path: prefix.to_owned(), kind: TreeKind::EmptyDir, mode };
        into.entry(prefix.to_owned()).or_insert(entry);
    }
    Ok(())
}
