//! The engine: file roots and the templates that were read, shared by all renderings.

use crate::decrypt::Decrypt;
use crate::eval::Vm;
use crate::fail::{Fail, Kind, R};
use crate::files::FileRoots;
use crate::tree::{Load, Sym, Template, sym};
use crate::value::{Obj, Scope, Val};
use crate::{blocks, lower, pipe, unclosed};
use corpus_core::exec::{Caller, Data};
use corpus_core::{Diagnostic, Map, Value as Core};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

/// Renders templates; cheap to clone, and clones share what they have read.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    roots: FileRoots,
    cache: RwLock<Cache>,
    /// What [`Engine::render_text`] parsed last under each name: a thousand files of one template parse it once.
    texts: RwLock<HashMap<String, Arc<Template>>>,
    /// What `import_yaml` and `import_json` read, by text: a map's tables are parsed once, not in each SLS of each host.
    tables: RwLock<HashMap<(Load, Arc<str>), Core>>,
    decrypt: Option<Arc<dyn Decrypt>>,
    /// Templates are Jinja's, not Salt's: see [`Engine::plain`].
    plain: bool,
}

/// Texts that differ from host to host must not pile up: beyond this many tables all are forgotten.
const MAX_TABLES: usize = 1024;

/// By file and the name under which it is known; with the file's time and size, to see that it changed.
type Cache = HashMap<(PathBuf, Arc<str>), (Stamp, Arc<Template>)>;
type Stamp = (Option<SystemTime>, u64);

/// What one rendering may see.
#[derive(Clone)]
pub struct RenderCx {
    pub data: Arc<Data>,
    pub caller: Arc<dyn Caller>,
    pub saltenv: String,
    /// The SLS being rendered; for a file's template, the SLS of the state that manages it.
    pub sls: Option<String>,
    /// Further variables, over all others: `context`, `defaults`, `name`, `user`, `mode`, `source`…
    pub vars: Map,
}

impl RenderCx {
    /// Makes a context without further variables, in the environment of the data.
    pub fn new(data: Arc<Data>, caller: Arc<dyn Caller>) -> Self {
        let saltenv = if data.saltenv.is_empty() { "base".to_owned() } else { data.saltenv.to_string() };
        Self { data, caller, saltenv, sls: None, vars: Map::new() }
    }
}

impl Engine {
    /// Makes an engine over file roots.
    pub fn new(roots: FileRoots) -> Self {
        Self::with(roots, None, false)
    }

    /// Makes an engine whose renderers `gpg` and `age` can decrypt.
    pub fn decrypting(roots: FileRoots, decrypt: Arc<dyn Decrypt>) -> Self {
        Self::with(roots, Some(decrypt), false)
    }

    /// Makes an engine for templates that Salt gives to a Jinja of their own (pillar stack, saltclass): what is not
    /// there is empty instead of an error, and the variables are `__salt__`, `__grains__` and `__opts__`.
    pub fn plain(roots: FileRoots) -> Self {
        Self::with(roots, None, true)
    }

    fn with(roots: FileRoots, decrypt: Option<Arc<dyn Decrypt>>, plain: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                roots,
                cache: RwLock::default(),
                texts: RwLock::default(),
                tables: RwLock::default(),
                decrypt,
                plain,
            }),
        }
    }

    /// Tells whether its templates are plain.
    pub(crate) fn is_plain(&self) -> bool {
        self.shared.plain
    }

    /// Returns who decrypts.
    pub(crate) fn decrypt(&self) -> Option<&dyn Decrypt> {
        self.shared.decrypt.as_deref()
    }

    /// Returns the file roots.
    pub fn roots(&self) -> &FileRoots {
        &self.shared.roots
    }

    /// Renders an SLS into nodes with positions.
    pub fn render_sls(&self, sls: &str, cx: &RenderCx) -> Result<pipe::RenderedSls, Diagnostic> {
        pipe::render_sls(self, sls, cx)
    }

    /// Renders an SLS file that is already found, under the name `file` for messages.
    pub fn render_sls_file(&self, path: &Path, file: &str, cx: &RenderCx) -> Result<pipe::RenderedSls, Diagnostic> {
        pipe::render_path(self, path, file, cx)
    }

    /// Renders a file by Jinja alone; [`pipe::RenderedSls::read_yaml`] reads the result. `head` begins its messages.
    pub fn render_jinja(
        &self,
        path: &Path,
        file: &str,
        head: &str,
        cx: &RenderCx,
    ) -> Result<pipe::RenderedSls, Diagnostic> {
        pipe::render_jinja(self, path, file, head, cx)
    }

    /// Renders a text that no file holds, through the pipe that its first line names, else the one given.
    pub fn render_source(
        &self,
        text: &str,
        name: &str,
        pipe: &str,
        cx: &RenderCx,
    ) -> Result<pipe::RenderedSls, Diagnostic> {
        pipe::render_source(self, text, name, pipe, cx)
    }

    /// Renders a text as `file.managed` does with `template: jinja`.
    ///
    /// `name` is what the text belongs to, for messages (a path on the minion); `file` is where it was written.
    pub fn render_text(&self, text: &str, name: &str, file: &str, cx: &RenderCx) -> Result<String, Diagnostic> {
        let head = format!("Unable to render {name}: ");
        let template = self.parsed(file, text).map_err(|fail| fail.diagnostic(&head))?;
        self.run(template, cx, &head)
    }

    /// Returns the template of a text, the one that was made before if the text is still the same.
    fn parsed(&self, file: &str, text: &str) -> R<Arc<Template>> {
        let kept = self.shared.texts.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(file).cloned();
        if let Some(template) = kept.filter(|template| *template.source == *text) {
            return Ok(template);
        }
        let template = self.compile(file, text)?;
        let mut texts = self.shared.texts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        texts.insert(file.to_owned(), template.clone());
        Ok(template)
    }

    /// Returns what a text of an imported file says, from before or by reading it.
    pub(crate) fn table(&self, load: Load, text: &Arc<str>, read: impl FnOnce() -> R<Val>) -> R<Val> {
        let key = (load, text.clone());
        let known = self.shared.tables.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&key).cloned();
        if let Some(known) = known {
            return Ok(Val::from_core(&known));
        }
        let value = read()?;
        if let Some(core) = value.to_core() {
            let mut tables = self.shared.tables.write().unwrap_or_else(|poisoned| poisoned.into_inner());
            if tables.len() >= MAX_TABLES {
                tables.clear();
            }
            tables.insert(key, core);
        }
        Ok(value)
    }

    fn run(&self, template: Arc<Template>, cx: &RenderCx, head: &str) -> Result<String, Diagnostic> {
        let base = self.base_scope(cx, &template.file, None);
        let mut vm = Vm::new(self, cx, base, template.clone());
        let done = vm.render().map_err(|fail| fail.diagnostic(head));
        keep_shared(cx, &vm.base);
        done?;
        Ok(with_newline(vm.out, &template.source))
    }

    /// Renders a file of the file roots.
    pub fn render_file(&self, path: &str, cx: &RenderCx) -> Result<String, Diagnostic> {
        let path = path.strip_prefix("salt://").unwrap_or(path);
        let path = path.split_once("?saltenv=").map_or(path, |(path, _)| path);
        let Some(full) = self.shared.roots.find(path, &cx.saltenv) else {
            return Err(Diagnostic::error(format!("Source file salt://{path} not found in saltenv '{}'", cx.saltenv)));
        };
        let head = format!("Unable to render salt://{path}: ");
        let template = self.template(&full, path).map_err(|fail| fail.diagnostic(&head))?;
        self.run(template, cx, &head)
    }

    /// Returns the template of a path that an import or include names.
    pub(crate) fn load(&self, path: &str, from: &str, cx: &RenderCx) -> R<Arc<Template>> {
        let relative = path.starts_with("./") || path.starts_with("../");
        let wanted = if relative {
            format!("{}/{path}", from.rsplit_once('/').map_or("", |(dir, _)| dir))
        } else {
            path.to_owned()
        };
        let wanted = normal(&wanted);
        let found = wanted.as_ref().and_then(|w| self.shared.roots.find(w, &cx.saltenv).map(|full| (w, full)));
        let Some((name, full)) = found else {
            let mut fail = Fail::new(Kind::Error, path);
            fail.not_found = true;
            fail.label = format!("no such file in saltenv '{}'", cx.saltenv);
            return Err(fail);
        };
        self.template(&full, name)
    }

    /// Reads a template that no file holds.
    pub(crate) fn compile(&self, file: &str, text: &str) -> R<Arc<Template>> {
        lower::compile(file, text).map(Arc::new).map_err(|error| syntax_fail(*error))
    }

    /// Returns the template of a file, from the cache if the file is as it was.
    pub(crate) fn template(&self, full: &Path, file: &str) -> R<Arc<Template>> {
        let stamp = std::fs::metadata(full).map_or((None, 0), |meta| (meta.modified().ok(), meta.len()));
        let key = (full.to_owned(), Arc::from(file));
        {
            let cache = self.shared.cache.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some((_, template)) = cache.get(&key).filter(|(known, _)| *known == stamp) {
                return Ok(template.clone());
            }
        }
        let text = match read(full) {
            Ok(text) => text,
            Err(why) => return Err(Fail::new(Kind::Error, format!("cannot read {file}: {why}"))),
        };
        let template = Arc::new(lower::compile(file, &text).map_err(|error| syntax_fail(*error))?);
        let mut cache = self.shared.cache.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        cache.insert(key, (stamp, template.clone()));
        Ok(template)
    }

    /// Makes the variables that Salt gives every template.
    pub(crate) fn base_scope(&self, cx: &RenderCx, file: &str, path: Option<&Path>) -> Rc<Scope> {
        let scope = Scope::within(None);
        let set = |name: Sym, value: Val| scope.set(name, value);
        if self.is_plain() {
            set(sym!("__salt__"), Val::obj(Obj::Salt));
            set(sym!("__grains__"), Val::from_core(&cx.data.grains));
            set(sym!("__opts__"), Val::from_core(&cx.data.opts));
            let traverse = (Val::str("traverse"), Val::obj(Obj::Function("traverse")));
            set(
                sym!("__stack__"),
                Val::dict([traverse, (Val::str("cfg_path"), Val::str(cx.vars.str("cfg_path").unwrap_or(file)))]),
            );
        } else {
            set(sym!("salt"), Val::obj(Obj::Salt));
            set(sym!("grains"), Val::from_core(&cx.data.grains));
            set(sym!("pillar"), Val::from_core(&cx.data.pillar));
            set(sym!("opts"), Val::from_core(&cx.data.opts));
            set(sym!("saltenv"), Val::str(&cx.saltenv));
        }
        if let Some(sls) = &cx.sls {
            set(sym!("sls"), Val::str(sls));
            let (slspath, template) = match path {
                // Salt: the directory of the file, which for a template of a state is the SLS name's own.
                Some(_) => (file.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned()), Some(file)),
                None => (sls.replace('.', "/"), None),
            };
            set(sym!("slspath"), Val::str(&slspath));
            set(sym!("slsdotpath"), Val::str(slspath.replace('/', ".")));
            set(sym!("slscolonpath"), Val::str(slspath.replace('/', ":")));
            set(sym!("sls_path"), Val::str(slspath.replace('/', "_")));
            if let (Some(template), Some(path)) = (template, path) {
                set(sym!("tplpath"), Val::str(path.to_string_lossy()));
                set(sym!("tplfile"), Val::str(template));
                set(sym!("tpldir"), Val::str(if slspath.is_empty() { "." } else { &slspath }));
                set(sym!("tpldot"), Val::str(slspath.replace('/', ".")));
                set(sym!("tplroot"), Val::str(slspath.split('/').next().unwrap_or_default()));
            }
        }
        if let Some(shared) = cx.caller.shared() {
            let value = Val::from_core(&shared.get());
            if let Some(Val::Dict(opts)) = scope.own(sym!("opts")) {
                opts.insert(Val::str(shared.opt), value.clone());
            }
            set(Sym::of(shared.variable), value);
        }
        for (name, value) in &cx.vars {
            if let Some(name) = name.as_str() {
                set(Sym::of(name), Val::from_core(value));
            }
        }
        scope
    }
}

/// Takes over what a template did to the mapping that it shares with others.
pub(crate) fn keep_shared(cx: &RenderCx, base: &Scope) {
    let Some(shared) = cx.caller.shared() else { return };
    let value = base.own(sym!("opts")).and_then(|opts| match opts {
        Val::Dict(opts) => opts.get_str(shared.opt),
        _ => None,
    });
    match value.map(|value| value.to_core()) {
        Some(Some(value)) => shared.set(value),
        // A template may take it out of its own `opts`; that is not the others' concern.
        None => {}
        Some(None) => tracing::warn!("`{}` holds what is no data; its changes are not kept", shared.variable),
    }
}

fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Reads a file as text; a byte order mark goes.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        format!("it is not UTF-8 (byte {byte:#04x} in line {line}): save it as UTF-8, for example with iconv")
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// Gives the result the last newline that the source has; Jinja drops it.
pub(crate) fn with_newline(mut out: String, source: &str) -> String {
    if source.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Makes the error of a template that cannot be parsed.
pub(crate) fn syntax_fail(error: lower::SyntaxError) -> Box<Fail> {
    let at = error.at;
    let line = error.template.pos(at).line;
    let block = blocks::at_fault(&error.template.source, &error.message, at);
    let template = Arc::new(error.template);
    let message = block.as_ref().map_or(error.message, |block| block.message.clone());
    let ended = message.starts_with("Unexpected end of template");
    let fail = Fail::new(Kind::Syntax, format!("{message}; line {line}"));
    match block.and_then(|block| block.open) {
        // Where a template ends, nothing can be done about it.
        Some((start, tag)) if ended => {
            let mut fail = fail.place(&template, start);
            fail.label = format!("this `{tag}` is never closed");
            fail
        }
        Some((start, tag)) => {
            let mut fail = fail.place(&template, at);
            fail.chain.push((template, start, format!("this `{tag}` is still open")));
            fail
        }
        None => match unclosed::find(&template.source, at) {
            Some((start, label)) => {
                let mut fail = fail.place(&template, start);
                fail.label = label;
                if template.pos(start).line != line && template.line(line).is_some_and(|text| !text.trim().is_empty()) {
                    fail.chain.push((template, at, "the parser gave up here".to_owned()));
                }
                fail
            }
            None => fail.place(&template, at),
        },
    }
}
