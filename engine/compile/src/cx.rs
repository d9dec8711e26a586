//! What all steps of one compilation share: files, options, and the mistakes found so far.

use crate::CompileOptions;
use crate::high::At;
use crate::loader::SlsLoader;
use corpus_core::diagnostic::Label;
use corpus_core::hash::HashSet;
use corpus_core::{Diagnostic, Severity, Span, Value, suggest};
use std::sync::Arc;

/// One compilation.
pub(crate) struct Cx<'a> {
    pub loader: &'a dyn SlsLoader,
    pub opts: &'a CompileOptions,
    files: Vec<Arc<str>>,
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    /// Some SLS file is missing, so nothing is said about targets that may be in it.
    pub incomplete: bool,
    /// IDs with a mistake of their own: whoever requires them is not to blame.
    pub broken: HashSet<String>,
    /// SLS files that were rendered, those without a state included.
    pub processed: Vec<Arc<str>>,
    /// The order number of the next state without one.
    pub order: i64,
}

impl<'a> Cx<'a> {
    pub fn new(loader: &'a dyn SlsLoader, opts: &'a CompileOptions) -> Self {
        Self {
            loader,
            opts,
            files: vec![Arc::from("")],
            errors: vec![],
            warnings: vec![],
            incomplete: false,
            broken: HashSet::default(),
            processed: vec![],
            order: 10_000,
        }
    }

    /// Adds a file to the table.
    pub fn file(&mut self, name: Arc<str>) -> u32 {
        if self.files.last() != Some(&name) {
            self.files.push(name);
        }
        (self.files.len() - 1) as u32
    }

    /// Returns a place in rendered text.
    pub fn raw(&self, at: At) -> Span {
        Span::new(self.files.get(at.file as usize).cloned().unwrap_or_default(), at.pos)
    }

    /// Returns a place in the user's file.
    pub fn span(&self, at: At) -> Span {
        let span = self.raw(at);
        if span.line == 0 { span } else { self.loader.relocate(&span) }
    }

    /// Makes an error at a place, for more to be added.
    pub fn diagnostic(&self, message: impl Into<String>, at: At) -> Diagnostic {
        self.located(Diagnostic::error(message), &self.raw(at), 0)
    }

    /// Adds a place of rendered text to a message, and how it came there: macro, import.
    pub fn located(&self, mut diagnostic: Diagnostic, raw: &Span, len: usize) -> Diagnostic {
        // Data that no file wrote (`state.high`) has no place to show.
        if raw.line == 0 {
            return if raw.file.is_empty() { diagnostic } else { diagnostic.at(raw.clone(), "") };
        }
        // Among hundreds of messages nobody reads what each line was rendered to.
        let few = self.errors.len() + self.warnings.len() < 200;
        let shown = if few { self.loader.rendered_line(&raw.file, raw.line) } else { None };
        for (i, span) in self.loader.chain(raw).into_iter().enumerate() {
            let line = self.loader.line(&span.file, span.line);
            // Where a template computed the line, show what it computed.
            let text = match (i, &line, &shown) {
                (0, Some(line), Some(shown)) if line.trim_end() != shown.trim_end() => {
                    format!("rendered as `{}`", shown.trim())
                }
                (0, ..) => String::new(),
                _ => "called from here".to_owned(),
            };
            diagnostic = diagnostic.at(span, text);
            if i == 0 {
                diagnostic = diagnostic.len(len);
            }
        }
        diagnostic
    }

    /// Ends the collecting: each mistake once, with the lines it speaks of.
    pub fn finished(&self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut seen = HashSet::default();
        let once = |found: &Diagnostic| seen.insert((found.message.clone(), found.span().cloned()));
        let shown = |found: Diagnostic| {
            let mut found = found.with_excerpts(&|file, line| self.loader.line(file, line));
            found.labels.iter_mut().filter(|label| label.len == 0).for_each(underline);
            found
        };
        found.into_iter().filter(once).map(shown).collect()
    }

    /// Records an error.
    pub fn error(&mut self, message: impl Into<String>, at: At) {
        let diagnostic = self.diagnostic(message, at);
        self.errors.push(diagnostic);
    }

    /// Records a warning, with a hint if there is one.
    pub fn warn(&mut self, message: impl Into<String>, at: At, hint: Option<String>) {
        let mut diagnostic = self.diagnostic(message, at).maybe_hint(hint);
        diagnostic.severity = Severity::Warning;
        self.warnings.push(diagnostic);
    }

    /// Tells whether the option `disabled_requisites` names the word.
    pub fn disabled(&self, word: &str) -> bool {
        self.opts.disabled_requisites.iter().any(|disabled| disabled == word)
    }
}

/// Underlines the word that stands at a place.
fn underline(label: &mut Label) {
    let Some(excerpt) = &label.excerpt else { return };
    let rest: String = excerpt.chars().skip(label.span.col.saturating_sub(1) as usize).collect();
    let word = |rest: &str| {
        let word = rest.chars().take_while(|c| !c.is_whitespace() && !",[]{}#".contains(*c));
        word.collect::<String>().trim_end_matches(':').chars().count()
    };
    let len = match rest.chars().next() {
        Some('{') if rest.starts_with("{{") => rest.find("}}").map_or(2, |at| rest[..at + 2].chars().count()),
        Some(quote @ ('"' | '\'')) => rest[1..].find(quote).map_or(1, |at| rest[..at + 2].chars().count()),
        _ => word(&rest),
    };
    label.len = u32::try_from(len).unwrap_or(0);
}

/// Returns Python's `str(value)`.
pub(crate) fn py(value: &Value) -> String {
    corpus_core::python::str(value)
}

/// Returns the hint with the nearest known name; of one or two letters, any other name would be near.
pub(crate) fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if typed.chars().nth(2).is_none() { None } else { suggest::did_you_mean(typed, known) }
}
