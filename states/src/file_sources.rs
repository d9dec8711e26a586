//! Finding the content that a state names: `source`, `source_hash`, templates, `contents` and its kin.

use super::{failed, mapping, texts};
use corpus_core::plan::Content;
use corpus_core::source::{FileOrigin, FileRef, FileRequest, SourceError, TemplateRequest};
use corpus_core::{Map, PlanCx, StateError, Value, digest, python};
use corpus_exec::file::{self, hash};
use std::path::{Path, PathBuf};

/// Content that is wanted, not yet in memory if it is large.
#[derive(Clone, Debug)]
pub enum Wanted {
    Bytes(Vec<u8>),
    /// A file of the master.
    Master(FileRef),
    /// A file of this machine.
    Local {
        path: PathBuf,
        sha256: [u8; 32],
        size: u64,
    },
}

/// A source found: its content, its mode, and whether it is what the file holds already.
pub struct Found {
    pub wanted: Wanted,
    pub mode: u32,
}

impl Wanted {
    /// Returns how large it is.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Master(found) => found.size,
            Self::Local { size, .. } => *size,
        }
    }

    /// Returns its digest.
    pub fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Bytes(bytes) => digest::sha256(bytes),
            Self::Master(found) => found.sha256,
            Self::Local { sha256, .. } => *sha256,
        }
    }

    /// Reads it.
    pub fn read(&self, cx: &PlanCx<'_>) -> Result<Vec<u8>, StateError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Master(found) => cx.read_source(found),
            Self::Local { path, .. } => Ok(cx.host.read(path)?),
        }
    }

    /// Returns it as an effect takes it; brings it to this machine first.
    pub fn content(&self, cx: &PlanCx<'_>) -> Result<Content, StateError> {
        let file = |path, sha256, size, spare| Content::File { path, sha256, size, spare };
        Ok(match self {
            Self::Bytes(bytes) => Content::Bytes(bytes.clone()),
            Self::Master(found) => file(cx.source.fetch(found)?, found.sha256, found.size, cx.source.spare(found)),
            Self::Local { path, sha256, size } => file(path.clone(), *sha256, *size, false),
        })
    }
}

/// Makes the request for a template's rendering; `None` without an engine.
pub fn template(
    engine: Option<&str>,
    context: &Option<Value>,
    defaults: &Option<Value>,
    more: Map,
) -> Result<Option<TemplateRequest>, StateError> {
    let dict = |value: &Option<Value>, error| match value {
        Some(value @ Value::List(_)) if value.truthy() => Err(failed(error)),
        value => mapping(value, error),
    };
    let mut all = dict(defaults, "Defaults must be formed as a dict")?;
    for (key, value) in dict(context, "Context must be formed as a dict")? {
        all.0.insert(key, value);
    }
    all.0.reserve(more.len());
    for (key, value) in more {
        all.0.entry(key).or_insert(value);
    }
    Ok(engine.filter(|engine| !engine.is_empty()).map(|engine| TemplateRequest { engine: engine.into(), context: all }))
}

/// What a state says about its source.
pub struct Spec<'a> {
    /// The file that it is for.
    pub file: &'a Path,
    pub source: &'a Value,
    pub source_hash: &'a Value,
    pub source_hash_name: Option<&'a str>,
    pub skip_verify: bool,
    pub template: Option<TemplateRequest>,
}

fn unmanaged(why: impl std::fmt::Display) -> StateError {
    failed(format!("Unable to manage file: {why}"))
}

/// Tells whether an address is one of a web server.
pub fn is_web(url: &str) -> bool {
    ["http://", "https://", "ftp://"].iter().any(|scheme| url.starts_with(scheme))
}

/// Returns the path of an address that is one of this machine.
pub fn local_path(url: &str) -> Option<&Path> {
    url.strip_prefix("file://").or(Some(url)).filter(|path| path.starts_with('/')).map(Path::new)
}

impl Spec<'_> {
    /// Returns the sources in order, each with the digest that is written beside it.
    fn candidates(&self) -> Vec<(String, Value)> {
        let one = |item: &Value| match item.as_map().and_then(|map| map.iter().next()) {
            Some((url, hash)) if hash.truthy() => (python::str(url), hash.clone()),
            Some((url, _)) => (python::str(url), self.source_hash.clone()),
            None => (python::str(item), self.source_hash.clone()),
        };
        match self.source {
            Value::List(items) => items.iter().map(one).collect(),
            item => vec![one(item)],
        }
    }

    /// Finds the first source that exists; `None` when the file already has the digest that is asked for.
    pub fn find(&self, cx: &PlanCx<'_>) -> Result<Option<Found>, StateError> {
        let candidates = self.candidates();
        let plain = candidates.iter().all(|(url, _)| local_path(url).is_none() && !is_web(url));
        if plain {
            let urls: Vec<String> = candidates.iter().map(|(url, _)| url.clone()).collect();
            let many = urls.len() > 1 || self.source.as_list().is_some();
            return match self.resolve(cx, FileOrigin::Urls(urls), true) {
                Err(StateError::Source(SourceError::NotFound(..))) if many => Err(nowhere()),
                // Salt: a dry run leaves out the words that a run begins with.
                Err(StateError::Source(error @ SourceError::NotFound(..))) if cx.test => Err(failed(error.to_string())),
                Err(StateError::Source(error)) => Err(unmanaged(error)),
                other => other.map(Some),
            };
        }
        let last = candidates.len() - 1;
        for (at, (url, source_hash)) in candidates.into_iter().enumerate() {
            match self.one(cx, &url, &source_hash) {
                Err(StateError::Source(SourceError::NotFound(..)) | StateError::Missing(_)) if at < last => {}
                Err(StateError::Source(SourceError::NotFound(..)) | StateError::Missing(_)) if last > 0 => {
                    return Err(nowhere());
                }
                Err(StateError::Source(error)) => return Err(unmanaged(error)),
                other => return other,
            }
        }
        Err(nowhere())
    }

    fn resolve(&self, cx: &PlanCx<'_>, origin: FileOrigin, rendered: bool) -> Result<Found, StateError> {
        let template = self.template.clone().filter(|_| rendered);
        let found = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template })?;
        Ok(Found { mode: found.mode, wanted: Wanted::Master(found) })
    }

    fn one(&self, cx: &PlanCx<'_>, url: &str, source_hash: &Value) -> Result<Option<Found>, StateError> {
        if let Some(path) = local_path(url) {
            return self.local(cx, path, url, source_hash).map(Some);
        }
        let origin = FileOrigin::Urls(vec![url.to_owned()]);
        if !is_web(url) || self.skip_verify {
            return self.resolve(cx, origin, true).map(Some);
        }
        if !source_hash.truthy() {
            return Err(unmanaged(format!(
                "Unable to verify upstream hash of source file {url}, please set source_hash or set skip_verify to True"
            )));
        }
        let sum = self.sum(cx, source_hash, url)?;
        let here = cx.host.stat(self.file)?.is_some_and(|meta| meta.is_file());
        if here && self.template.is_none() && hash::of_file(cx.host, sum.kind, self.file)?.as_deref() == Some(&*sum.hex)
        {
            return Ok(None);
        }
        let raw = self.resolve(cx, origin.clone(), false)?;
        let Wanted::Master(found) = &raw.wanted else { return Ok(Some(raw)) };
        let actual = match sum.kind {
            "sha256" => Some(digest::hex(&found.sha256)),
            kind => hash::of_file(cx.host, kind, &cx.source.fetch(found)?)?,
        };
        if actual.as_deref() != Some(&*sum.hex) {
            return Err(failed(format!(
                "Specified {} checksum for {} ({}) does not match actual checksum ({}). If the 'source_hash' value refers \
                 to a remote file with multiple possible matches, then it may be necessary to set 'source_hash_name'.",
                sum.kind,
                self.file.display(),
                sum.hex,
                actual.unwrap_or_default()
            )));
        }
        if self.template.is_some() { self.resolve(cx, origin, true).map(Some) } else { Ok(Some(raw)) }
    }

    fn local(&self, cx: &PlanCx<'_>, path: &Path, url: &str, source_hash: &Value) -> Result<Found, StateError> {
        let meta = cx.host.stat(path)?.filter(|meta| !meta.is_dir()).ok_or_else(|| {
            let what = format!("Local file source {} does not exist", path.display());
            StateError::missing(if cx.test { what } else { format!("Unable to manage file: {what}") })
        })?;
        let wanted = match self.template {
            Some(_) => {
                let bytes = cx.host.read(path)?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| unmanaged(format!("{url} is no text, it cannot be a template")))?;
                self.resolve(cx, FileOrigin::Text(text), true)?.wanted
            }
            None => Wanted::Local { path: path.to_owned(), sha256: cx.host.sha256(path)?, size: meta.size },
        };
        if source_hash.truthy() && !self.skip_verify {
            let sum = self.sum(cx, source_hash, url)?;
            let actual = hash::of_file(cx.host, sum.kind, path)?.unwrap_or_default();
            if actual != sum.hex {
                return Err(failed(format!(
                    "Specified {} checksum for {} ({}) does not match actual checksum ({actual})",
                    sum.kind,
                    self.file.display(),
                    sum.hex,
                )));
            }
        }
        Ok(Found { wanted, mode: meta.mode })
    }

    /// Reads the digest that a source must have, from a file of digests if one is named.
    pub fn sum(&self, cx: &PlanCx<'_>, source_hash: &Value, url: &str) -> Result<hash::Sum, StateError> {
        let text = python::str(source_hash);
        if !hash::is_file(&text) {
            return hash::parse(&text).map_err(unmanaged);
        }
        let list = match local_path(&text) {
            Some(path) => cx.host.read(path)?,
            None => {
                let origin = FileOrigin::Urls(vec![text.clone()]);
                let request = FileRequest { origin, saltenv: cx.saltenv(), template: None };
                let found =
                    cx.source.resolve(&request).map_err(|_| unmanaged(format!("Source hash file {text} not found")))?;
                cx.read_source(&found)?
            }
        };
        let list = String::from_utf8_lossy(&list);
        hash::extract_or_invalid(&text, &list, self.source_hash_name, &self.file.to_string_lossy(), url)
            .map_err(unmanaged)
    }
}

fn nowhere() -> StateError {
    unmanaged("none of the specified sources were found")
}

/// Renders a text that the state holds itself.
pub fn render(cx: &PlanCx<'_>, text: String, template: Option<TemplateRequest>) -> Result<Vec<u8>, StateError> {
    if template.is_none() {
        return Ok(text.into_bytes());
    }
    let request = FileRequest { origin: FileOrigin::Text(text), saltenv: cx.saltenv(), template };
    let found = cx.resolve(&request)?;
    cx.read_source(&found)
}

/// Reads the texts of `source` or `sources` of the editing states, rendered.
pub fn rendered(
    cx: &PlanCx<'_>,
    urls: &[String],
    engine: Option<&str>,
    context: &Option<Value>,
    defaults: &Option<Value>,
) -> Result<Vec<String>, StateError> {
    let mut out = vec![];
    for url in urls {
        let request = template(engine, context, defaults, Map::new())?;
        let source = Value::str(url);
        let none = Value::Null;
        let spec = Spec {
            file: Path::new(""),
            source: &source,
            source_hash: &none,
            source_hash_name: None,
            skip_verify: true,
            template: request,
        };
        let found = spec.find(cx).map_err(|_| failed(format!("Failed to load template file {url}")))?;
        let bytes = found.map(|found| found.wanted.read(cx)).transpose()?.unwrap_or_default();
        if bytes.is_empty() {
            return Err(failed(format!("Failed to read rendered template file ({url})")));
        }
        out.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(out)
}

/// Returns `contents` as Salt writes it: each line of each text with a line feed.
pub fn contents(value: &Value, newline: bool) -> String {
    let mut out = String::new();
    for text in texts(value) {
        for line in file::split_lines(&text) {
            out.push_str(line);
            out.push('\n');
        }
    }
    if !newline {
        out.truncate(out.trim_end_matches(['\n', '\r']).len());
    }
    out
}
