//! `file.cached`

use super::shared::sources::{Spec, is_web, local_path};
use super::shared::{self, failed};
use corpus_core::plan::Attrs;
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, digest};
use corpus_exec::file::{self, hash};
use serde::Deserialize;
use std::path::Path;

/// Keeps a file of the master or of a web server in this machine's cache, where `cp.is_cached` finds it.
///
/// ```sls
/// salt://app/archive.tar.gz:
///   file.cached
/// ```
#[derive(Deserialize)]
pub struct Cached {
    /// The address: `salt://`, `https://`… or a path of this machine, which is only looked at.
    pub name: String,
    /// Its digest, or a file of digests.
    #[serde(default)]
    pub source_hash: Value,
    /// The name under which a file of digests lists it.
    pub source_hash_name: Option<String>,
    /// Be content without a digest.
    #[serde(default)]
    pub skip_verify: bool,
    /// Where to look for it.
    pub saltenv: Option<Value>,
    /// Be content without a digest; the server is asked each time.
    #[serde(default)]
    pub use_etag: bool,
}

impl Cached {
    fn spec<'a>(&'a self, place: &'a Path, source: &'a Value) -> Spec<'a> {
        Spec {
            file: place,
            source,
            source_hash: &self.source_hash,
            source_hash_name: self.source_hash_name.as_deref(),
            skip_verify: self.skip_verify || self.use_etag,
            template: None,
        }
    }

    fn local(&self, cx: &PlanCx<'_>, path: &Path) -> Result<Plan, StateError> {
        let path = file::real_path(cx.host, path)?;
        let shown = path.display();
        if cx.host.stat(&path)?.is_none() {
            return Err(StateError::missing(format!("File {shown} is not present on the minion")));
        }
        if self.skip_verify || !self.source_hash.truthy() {
            return Ok(Plan::unchanged(format!("File {shown} is present on the minion")));
        }
        let source = Value::str(&self.name);
        let sum = self.spec(&path, &source).sum(cx, &self.source_hash, &self.name).map_err(plain)?;
        let have = hash::of_file(cx.host, sum.kind, &path)?.unwrap_or_default();
        if have == sum.hex {
            return Ok(Plan::unchanged(format!("File {shown} is present on the minion and has hash {have}")));
        }
        Err(failed(format!(
            "File {shown} is present on the minion, but the hash ({have}) does not match the specified hash ({})",
            sum.hex
        )))
    }
}

/// Takes the words out that only fit a managed file.
fn plain(error: StateError) -> StateError {
    let text = error.to_string();
    let text = text.strip_prefix("Unable to manage file: ").unwrap_or(&text).to_owned();
    if matches!(error, StateError::Missing(_)) { StateError::missing(text) } else { failed(text) }
}

impl State for Cached {
    const NAME: &'static str = "file.cached";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if let Some(path) = local_path(name) {
            return self.local(cx, path);
        }
        if is_web(name) && !self.skip_verify && !self.use_etag && !self.source_hash.truthy() {
            return Err(failed(format!(
                "Unable to verify upstream hash of source file {name}, please set source_hash or set skip_verify or \
                 use_etag to True"
            )));
        }
        let place = file::cached(name, &cx.saltenv());
        let path = Path::new(&place);
        let source = Value::str(name);
        let found = self.spec(path, &source).find(cx).map_err(plain)?;
        let have = match cx.host.stat(path)? {
            Some(_) => Some(digest::hex(&cx.host.sha256(path)?)),
            None => None,
        };
        let want = found.as_ref().map(|found| digest::hex(&found.wanted.sha256()));
        let verified = self.source_hash.truthy() && !self.skip_verify && !self.use_etag;
        let said = match want.as_ref().or(have.as_ref()).filter(|_| verified) {
            Some(hash) => format!("File is already cached to {place} with hash {hash}"),
            None => format!("File is cached to {place}"),
        };
        let Some(found) = found.filter(|_| want != have) else { return Ok(Plan::unchanged(said)) };
        let would = match (&have, verified) {
            (None, _) => format!("File will be cached: {name}"),
            (Some(_), true) => format!("Hashes don't match.\nFile will be cached: {name}"),
            (Some(_), false) => format!("No hash found. File will be cached: {name}"),
        };
        let hash: Map = [("old", Value::from(have)), ("new", want.into())].into_iter().collect();
        let mut plan = Plan::default().says(would, said).change("hash", hash);
        shared::make_parents(cx, &mut plan, path, &Attrs::default())?;
        // It may hold what not everybody is to read.
        let attrs = Attrs { mode: Some(0o600), ..Attrs::default() };
        let content = found.wanted.content(cx)?;
        plan.push(Effect::WriteFile { path: path.into(), content, attrs, backup: None }, vec![]);
        Ok(plan)
    }
}
