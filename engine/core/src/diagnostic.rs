//! Mistakes in what users wrote, as values: collected, not thrown, and shown with their source.

use crate::span::Span;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::sync::Arc;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    Error,
    Warning,
}

/// A place that a message speaks of, with a few words beside the marked text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub span: Span,
    /// How many characters to underline; 0 marks one.
    pub len: u32,
    pub text: String,
    /// The source line itself, filled in by whoever has the text at hand.
    pub excerpt: Option<Arc<str>>,
}

/// One mistake: what, where, how it came there, and how to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, in one sentence; word for word Salt's where people match on it.
    pub message: String,
    /// The place of the mistake first, then the chain that led there (macro, import, include).
    pub labels: Vec<Label>,
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), labels: vec![], hints: vec![] }
    }

    /// Makes a warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Adds a place; the first one added is where the mistake is.
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, len: 0, text: text.into(), excerpt: None });
        self
    }

    /// Sets how many characters the last place underlines.
    pub fn len(mut self, len: usize) -> Self {
        if let Some(label) = self.labels.last_mut() {
            label.len = u32::try_from(len).unwrap_or(0);
        }
        self
    }

    /// Adds a hint: the next thing to do.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Adds the hint, if there is one.
    pub fn maybe_hint(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.hint(text),
            None => self,
        }
    }

    /// Fills in the source lines; `line` returns a line of a file, or nothing if it is not at hand.
    pub fn with_excerpts(mut self, line: &dyn Fn(&str, u32) -> Option<Arc<str>>) -> Self {
        for label in &mut self.labels {
            if label.excerpt.is_none() && label.span.line > 0 {
                label.excerpt = line(&label.span.file, label.span.line);
            }
        }
        self
    }

    /// Changes each of its texts.
    pub fn each_text(&mut self, change: impl Fn(&mut String)) {
        change(&mut self.message);
        self.hints.iter_mut().for_each(&change);
        for label in &mut self.labels {
            change(&mut label.text);
            if let Some(excerpt) = &mut label.excerpt {
                let mut text = excerpt.to_string();
                change(&mut text);
                *excerpt = text.into();
            }
        }
    }

    /// Returns the first place, if there is one.
    pub fn span(&self) -> Option<&Span> {
        self.labels.first().map(|label| &label.span)
    }

    /// Writes it for people: message, places with excerpts, hints. Reads well without colour.
    pub fn to_text(&self, minion: Option<&str>) -> String {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        let mut out = format!("{word}: {}\n", self.message);
        for (i, label) in self.labels.iter().enumerate() {
            let arrow = if i == 0 { "-->" } else { ":::" };
            let whom = minion.filter(|_| i == 0).map(|id| format!("  ({id})")).unwrap_or_default();
            let _ = writeln!(out, "  {arrow} {}{whom}", label.span);
            match &label.excerpt {
                Some(excerpt) => excerpt_lines(&mut out, label, excerpt),
                None if !label.text.is_empty() => _ = writeln!(out, "      {}", label.text),
                None => {}
            }
        }
        for hint in &self.hints {
            let _ = writeln!(out, "hint: {hint}");
        }
        out
    }
}

fn excerpt_lines(out: &mut String, label: &Label, excerpt: &str) {
    let number = label.span.line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter} |\n{number} | {excerpt}");
    if label.span.col > 0 {
        let before: String =
            excerpt.chars().take(label.span.col as usize - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks = "^".repeat(label.len.max(1) as usize);
        let line = format!("{gutter} | {before}{marks} {}", label.text);
        let _ = writeln!(out, "{}", line.trim_end());
    } else if !label.text.is_empty() {
        let _ = writeln!(out, "{gutter} = {}", label.text);
    }
}
