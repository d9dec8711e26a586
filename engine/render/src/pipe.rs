//! The render pipe: which renderers an SLS asks for in its `#!` line, and the result with its way back to
//! the source.

use crate::decrypt::{self, Cipher, Plain};
use crate::engine::{Engine, RenderCx, read, with_newline};
use crate::eval::{Frame, Mark, Vm};
use crate::tree::Template;
use corpus_core::yaml;
use corpus_core::{Diagnostic, Node, Pos, Span};
use std::path::Path;
use std::sync::Arc;

/// An SLS after rendering.
#[derive(Clone)]
pub struct RenderedSls {
    /// The file, relative to the file roots.
    pub file: Arc<str>,
    pub node: Node,
    /// What the templates gave, before YAML.
    pub text: Arc<str>,
    /// The text holds what was decrypted: no line of it may be shown.
    secret: bool,
    trace: Arc<Trace>,
}

/// From each piece of rendered text to the place that wrote it.
#[derive(Default)]
struct Trace {
    marks: Vec<Mark>,
    frames: Vec<Frame>,
    lines: Vec<u32>,
}

impl RenderedSls {
    /// Returns the place in the template that wrote what stands at a position of the text.
    pub fn locate(&self, pos: Pos) -> Span {
        self.chain(pos).into_iter().next().unwrap_or_else(|| Span::new(self.file.clone(), pos))
    }

    /// Returns that place and where it was called from: macro, include, SLS.
    pub fn chain(&self, pos: Pos) -> Vec<Span> {
        self.trace.chain(&self.text, pos)
    }

    /// Returns a line as it was rendered, unless it may hold a secret.
    pub fn rendered_line(&self, line: u32) -> Option<&str> {
        self.text.lines().nth(line.checked_sub(1)? as usize).filter(|_| !self.secret)
    }

    /// Returns a line of a template that took part, for excerpts.
    pub fn source_line(&self, file: &str, line: u32) -> Option<Arc<str>> {
        let frame = self.trace.frames.iter().find(|frame| *frame.template.file == *file);
        match frame {
            Some(frame) => frame.template.line(line).map(Arc::from),
            None if *self.file == *file => self.rendered_line(line).map(Arc::from),
            None => None,
        }
    }
}

impl Trace {
    /// Takes note of where the lines of the text begin.
    fn read(&mut self, text: &str) {
        self.lines = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i as u32 + 1)).collect();
    }

    /// Follows what was cut out of the text: start, end, length of what stands there now.
    fn cut(&self, file: &Arc<str>, text: &str, cuts: &[(usize, usize, usize)]) -> Self {
        let mut old = Self { marks: self.marks.clone(), frames: self.frames.clone(), lines: vec![] };
        if old.frames.is_empty() {
            // A text without a template is its own source.
            old.marks = vec![Mark { out: 0, at: 0, frame: 0, literal: true }];
            old.frames =
                vec![Frame { template: Arc::new(Template::new(file.clone(), text.into(), vec![])), parent: None }];
        }
        let at = |offset: u32| {
            let i = old.marks.partition_point(|mark| mark.out <= offset).checked_sub(1)?;
            let mark = *old.marks.get(i)?;
            let at = if mark.literal { mark.at + (offset - mark.out) } else { mark.at };
            Some(Mark { out: offset, at, ..mark })
        };
        let (mut marks, mut shift): (Vec<Mark>, i64) = (vec![], 0);
        let mut rest = old.marks.iter().peekable();
        for (start, end, len) in cuts.iter().map(|(start, end, len)| (*start as u32, *end as u32, *len as i64)) {
            let moved = |mark: Mark, shift: i64| Mark { out: (i64::from(mark.out) + shift) as u32, ..mark };
            marks.extend(std::iter::from_fn(|| rest.next_if(|mark| mark.out < start)).map(|mark| moved(*mark, shift)));
            while rest.next_if(|mark| mark.out < end).is_some() {}
            marks.extend(at(start).map(|mark| Mark { literal: false, ..moved(mark, shift) }));
            shift += len - i64::from(end - start);
            marks.extend(at(end).map(|mark| moved(mark, shift)));
        }
        marks.extend(rest.map(|mark| Mark { out: (i64::from(mark.out) + shift) as u32, ..*mark }));
        Self { marks, frames: old.frames, lines: vec![] }
    }

    fn chain(&self, text: &str, pos: Pos) -> Vec<Span> {
        let Some(start) = pos.line.checked_sub(1).and_then(|i| self.lines.get(i as usize)) else { return vec![] };
        let line = text[*start as usize..].lines().next().unwrap_or_default();
        let within: usize = line.chars().take(pos.col.saturating_sub(1) as usize).map(char::len_utf8).sum();
        let offset = start + within as u32;
        let i = self.marks.partition_point(|mark| mark.out <= offset);
        let Some(mark) = i.checked_sub(1).and_then(|i| self.marks.get(i)) else { return vec![] };
        let at = if mark.literal { mark.at + (offset - mark.out) } else { mark.at };
        let mut spans = vec![];
        let mut here = Some((mark.frame, at));
        while let Some((frame, at)) = here {
            let Some(frame) = self.frames.get(frame as usize) else { break };
            spans.push(frame.template.span(at));
            here = frame.parent;
        }
        spans
    }
}

/// Renders an SLS by name.
pub fn render_sls(engine: &Engine, sls: &str, cx: &RenderCx) -> Result<RenderedSls, Diagnostic> {
    let Some((path, file)) = engine.roots().sls_path(sls, &cx.saltenv) else {
        let known = engine.roots().list_sls(&cx.saltenv);
        return Err(Diagnostic::error(format!("No matching sls found for '{sls}' in env '{}'", cx.saltenv))
            .maybe_hint(corpus_core::suggest::did_you_mean(sls, known.iter().map(String::as_str))));
    };
    let cx = RenderCx { sls: Some(sls.to_owned()), ..cx.clone() };
    render_path(engine, &path, &file, &cx)
}

/// The steps of a pipe that are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Jinja,
    Yaml,
    Json,
    Decrypt(Cipher),
}

/// Renders an SLS file.
pub fn render_path(engine: &Engine, path: &Path, file: &str, cx: &RenderCx) -> Result<RenderedSls, Diagnostic> {
    let sls = cx.sls.as_deref().unwrap_or(file);
    let head = format!("Rendering SLS '{}:{sls}' failed: ", cx.saltenv);
    let source =
        read(path).map_err(|why| Diagnostic::error(format!("{head}{why}")).at(Span::new(file, Pos::default()), ""))?;
    let asked = steps(&source).map_err(|refusal| refused(refusal, &head, file, &source))?;
    let template = match asked.contains(&Step::Jinja) {
        true => Some(engine.template(path, file).map_err(|fail| fail.diagnostic(&head))?),
        false => None,
    };
    run(engine, &asked, template, Some(path), file, &head, source, cx)
}

/// Renders a file by Jinja alone; there is no data yet.
pub fn render_jinja(
    engine: &Engine,
    path: &Path,
    file: &str,
    head: &str,
    cx: &RenderCx,
) -> Result<RenderedSls, Diagnostic> {
    let source =
        read(path).map_err(|why| Diagnostic::error(format!("{head}{why}")).at(Span::new(file, Pos::default()), ""))?;
    let template = engine.template(path, file).map_err(|fail| fail.diagnostic(head))?;
    text(engine, Some(template), Some(path), file, head, &source, cx)
}

impl RenderedSls {
    /// Reads the rendered text as YAML.
    pub fn read_yaml(&mut self, head: &str) -> Result<(), Diagnostic> {
        self.node = yaml::parse(&self.text).map_err(|error| yaml_error(self, head, &error))?;
        Ok(())
    }
}

/// Renders a text that no file holds.
pub fn render_source(
    engine: &Engine,
    text: &str,
    name: &str,
    pipe: &str,
    cx: &RenderCx,
) -> Result<RenderedSls, Diagnostic> {
    let head = format!("Rendering '{name}' failed: ");
    let line = if text.starts_with("#!") { text.to_owned() } else { format!("#!{pipe}") };
    let asked = steps(&line).map_err(|refusal| refused(refusal, &head, name, text))?;
    let template = match asked.contains(&Step::Jinja) {
        true => Some(engine.compile(name, text).map_err(|fail| fail.diagnostic(&head))?),
        false => None,
    };
    run(engine, &asked, template, None, name, &head, text.to_owned(), cx)
}

fn refused((message, hint): Refusal, head: &str, file: &str, source: &str) -> Diagnostic {
    Diagnostic::error(format!("{head}{message}"))
        .at(Span::new(file, Pos::new(1, 1)), "")
        .maybe_hint(hint)
        .with_excerpts(&|_, _| source.lines().next().map(Arc::from))
}

/// Takes a source through the steps of its pipe.
#[expect(clippy::too_many_arguments, reason = "one caller per kind of source")]
fn run(
    engine: &Engine,
    steps: &[Step],
    template: Option<Arc<Template>>,
    path: Option<&Path>,
    file: &str,
    head: &str,
    source: String,
    cx: &RenderCx,
) -> Result<RenderedSls, Diagnostic> {
    let mut rendered = text(engine, template, path, file, head, &source, cx)?;
    let data = steps.iter().position(|step| matches!(step, Step::Yaml | Step::Json)).unwrap_or(steps.len());
    for cipher in ciphers(&steps[..data]) {
        decrypt_text(engine, &mut rendered, cipher, head)?;
    }
    rendered.node = match steps.contains(&Step::Json) {
        true => {
            let body = strip_shebang(&rendered.text);
            let value = serde_json::from_str::<corpus_core::Value>(&body).map_err(|error| {
                let pos = Pos::new(error.line() as u32, error.column() as u32);
                data_error(&rendered, head, pos, &error.to_string(), &[])
            })?;
            Node::from_value(&value, Pos::new(1, 1))
        }
        false => yaml::parse(&rendered.text).map_err(|error| yaml_error(&rendered, head, &error))?,
    };
    for cipher in ciphers(&steps[data..]) {
        let by = decryptor(engine, &rendered, cipher, head)?;
        let mut node = std::mem::take(&mut rendered.node);
        decrypt::decrypt(&mut node, cipher, by)
            .map_err(|(pos, why)| undecrypted(&rendered, cipher, head, pos, &why))?;
        rendered.node = node;
    }
    Ok(rendered)
}

/// Runs the template, if there is one.
fn text(
    engine: &Engine,
    template: Option<Arc<Template>>,
    path: Option<&Path>,
    file: &str,
    head: &str,
    source: &str,
    cx: &RenderCx,
) -> Result<RenderedSls, Diagnostic> {
    let mut trace = Trace::default();
    let mut text = source.to_owned();
    if let Some(template) = template {
        let base = engine.base_scope(cx, file, path);
        let mut vm = Vm::new(engine, cx, base, template);
        let done = vm.render().map_err(|fail| fail.diagnostic(head));
        crate::engine::keep_shared(cx, &vm.base);
        done?;
        text = with_newline(std::mem::take(&mut vm.out), source);
        trace.marks = std::mem::take(&mut vm.marks);
        trace.frames = std::mem::take(&mut vm.frames);
    } else if text.contains('\r') {
        text = text.replace("\r\n", "\n");
    }
    trace.read(&text);
    Ok(RenderedSls {
        file: file.into(),
        node: Node::default(),
        text: text.into(),
        secret: false,
        trace: Arc::new(trace),
    })
}

fn ciphers(steps: &[Step]) -> impl Iterator<Item = Cipher> {
    steps.iter().filter_map(|step| if let Step::Decrypt(cipher) = step { Some(*cipher) } else { None })
}

fn decryptor<'e>(
    engine: &'e Engine,
    rendered: &RenderedSls,
    cipher: Cipher,
    head: &str,
) -> Result<&'e dyn decrypt::Decrypt, Diagnostic> {
    engine.decrypt().ok_or_else(|| {
        Diagnostic::error(format!("{head}the renderer '{}' has nothing to decrypt with here", cipher.name()))
            .at(Span::new(rendered.file.clone(), Pos::new(1, 1)), "")
    })
}

/// Decrypts text that is not data yet. From here on no line of it is shown.
fn decrypt_text(engine: &Engine, rendered: &mut RenderedSls, cipher: Cipher, head: &str) -> Result<(), Diagnostic> {
    let by = decryptor(engine, rendered, cipher, head)?;
    let Plain { text, cuts } = decrypt::plain(&rendered.text, cipher, by).map_err(|(at, why)| {
        let before = &rendered.text[..at];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let pos = Pos::new(before.matches('\n').count() as u32 + 1, before[start..].chars().count() as u32 + 1);
        undecrypted(rendered, cipher, head, pos, &why)
    })?;
    if cuts.is_empty() {
        return Ok(());
    }
    let mut trace = rendered.trace.cut(&rendered.file, &rendered.text, &cuts);
    trace.read(&text);
    (rendered.trace, rendered.text, rendered.secret) = (Arc::new(trace), text.into(), true);
    Ok(())
}

/// Tells of a message that cannot be decrypted: where it stands, never a line as it was rendered.
fn undecrypted(rendered: &RenderedSls, cipher: Cipher, head: &str, pos: Pos, why: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(format!("{head}{why}"));
    let chain = rendered.chain(pos);
    if chain.is_empty() {
        diagnostic = diagnostic.at(Span::new(rendered.file.clone(), pos), "");
    }
    for (i, span) in chain.into_iter().enumerate() {
        diagnostic = diagnostic.at(span, if i == 0 { "" } else { "from here" });
    }
    diagnostic.hint(match cipher {
        Cipher::Gpg => {
            "keys are read from `gpg_keydir`; with `gpg_decrypt_must_succeed: False` what cannot be decrypted is left as \
             it is"
        }
        Cipher::Age => "identities are read from the files that `age_identities` names",
    })
}

/// Keeps line numbers: the `#!` line becomes an empty one.
fn strip_shebang(text: &str) -> String {
    match text.strip_prefix("#!") {
        Some(rest) => rest[rest.find('\n').unwrap_or(rest.len())..].to_owned(),
        None => text.to_owned(),
    }
}

/// Tells of a mistake of YAML; where the reader gave up at the end of the text, its place is where it began.
fn yaml_error(rendered: &RenderedSls, head: &str, error: &yaml::YamlError) -> Diagnostic {
    let message = match error.salt_text() {
        tab if tab == "Illegal tab character" => tab,
        _ => error.message.clone(),
    };
    let place = error.place(&rendered.text);
    let mut diagnostic = data_error(rendered, head, place, &message, &error.hints);
    let gave_up = rendered.locate(error.pos);
    if place.line != error.pos.line && rendered.source_line(&gave_up.file, gave_up.line).is_some() {
        diagnostic = diagnostic.at(gave_up, "the reader gave up here");
    }
    // `while parsing …` only names the construct around; where a key stood first is news.
    for (pos, text) in error.related.iter().filter(|(pos, text)| *pos != place && !text.starts_with("while ")) {
        diagnostic = diagnostic.at(rendered.locate(*pos), text.clone());
    }
    diagnostic.with_excerpts(&|file, line| rendered.source_line(file, line))
}

fn data_error(rendered: &RenderedSls, head: &str, pos: Pos, message: &str, hints: &[String]) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(format!("{head}{message}"));
    let chain = rendered.chain(pos);
    let shown = rendered.text.lines().nth(pos.line.saturating_sub(1) as usize).unwrap_or_default();
    if chain.is_empty() {
        diagnostic = diagnostic.at(Span::new(rendered.file.clone(), pos), "");
    }
    for (i, span) in chain.into_iter().enumerate() {
        let line = rendered.source_line(&span.file, span.line);
        // Where a template computed the line, show what it computed.
        let text = match (i, line) {
            (0, Some(line)) if !rendered.secret && line.trim_end() != shown.trim_end() => {
                format!("rendered as `{}`", shown.trim())
            }
            (0, _) => String::new(),
            _ => "from here".to_owned(),
        };
        diagnostic = diagnostic.at(span, text);
    }
    for hint in hints {
        diagnostic = diagnostic.hint(hint.clone());
    }
    diagnostic.with_excerpts(&|file, line| rendered.source_line(file, line))
}

type Refusal = (String, Option<String>);

fn steps(source: &str) -> Result<Vec<Step>, Refusal> {
    let first = source.lines().next().unwrap_or_default();
    let Some(line) = first.strip_prefix("#!").filter(|line| !line.starts_with('/')) else {
        return Ok(vec![Step::Jinja, Step::Yaml]);
    };
    let mut steps = vec![];
    for part in line.split('|') {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let step = match name {
            "jinja" => Step::Jinja,
            "yaml" | "yamlex" if name == "yaml" => Step::Yaml,
            "json" => Step::Json,
            "gpg" => Step::Decrypt(Cipher::Gpg),
            "age" => Step::Decrypt(Cipher::Age),
            "" => continue,
            other => return Err(not_built(other)),
        };
        let decrypts = |step: &Step| matches!(step, Step::Decrypt(_));
        if step == Step::Jinja && steps.iter().any(decrypts) {
            return Err((
                format!("the render pipe `{line}` renders a template that was encrypted, which is not built"),
                Some(format!("put jinja first: `#!jinja|{}|yaml`", steps.iter().find_map(name_of).unwrap_or("gpg"))),
            ));
        }
        let data = |step: &Step| matches!(step, Step::Yaml | Step::Json);
        if !decrypts(&step) && steps.iter().any(data) {
            return Err((
                format!("the render pipe `{line}` goes on after `{}`", line.split('|').next().unwrap_or_default()),
                Some("a renderer that gives data (yaml, json) must come last, but for gpg and age".into()),
            ));
        }
        steps.push(step);
    }
    if steps.iter().filter(|s| **s == Step::Jinja).count() > 1 {
        return Err((format!("the render pipe `{line}` runs jinja twice, which is not built"), None));
    }
    if !steps.iter().any(|step| matches!(step, Step::Yaml | Step::Json)) {
        // Salt: `#!jinja` alone gives text, which is no SLS; reading it as YAML is what people mean.
        steps.push(Step::Yaml);
    }
    Ok(steps)
}

fn name_of(step: &Step) -> Option<&'static str> {
    if let Step::Decrypt(cipher) = step { Some(cipher.name()) } else { None }
}

fn not_built(name: &str) -> Refusal {
    let message = format!("The renderer '{name}' is not available; there are: age, gpg, jinja, json, yaml");
    let hint = match name {
        "py" | "pyobjects" | "pydsl" | "stateconf" | "mako" | "cheetah" | "genshi" | "wempy" => {
            "it needs Python, and no Python runs here; write the SLS with `#!jinja|yaml`, or produce the file with \
             your own program before the run"
        }
        "nacl" | "aws_kms" => "encrypt the values with gpg or age: `#!yaml|gpg`, `#!yaml|age`",
        _ => "use `#!jinja|yaml`, the default",
    };
    (message, Some(hint.to_owned()))
}
