//! YAML as Salt's loader reads it and as Salt's dumper writes it: version 1.1 with PyYAML's resolver, Salt's
//! reading of numbers and merge keys, duplicate keys refused, and the place of every value kept.
//!
//! `scan` and `scalar` make tokens, `compose` makes nodes of them, `resolve` says what plain scalars mean, `emit` is the
//! way back.

mod compose;
mod emit;
mod hints;
pub mod resolve;
mod scalar;
mod scan;
mod texts;

pub use emit::{EmitOptions, Flow, emit, emit_with};

use crate::{Node, Pos};
use std::fmt;

/// A bracket that opened on an earlier line.
const STILL_OPEN: &str = "this bracket is still open";

/// Which step refused a text, as PyYAML names its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Reader,
    Scanner,
    Parser,
    Composer,
    Constructor,
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Where the reader stood when it gave up, PyYAML's problem mark.
    pub pos: Pos,
    pub message: String,
    pub hints: Vec<String>,
    /// Further places with what they have to do with it: what was being read, where a key stood first.
    pub related: Vec<(Pos, String)>,
    pub kind: ErrorKind,
}

impl YamlError {
    /// Returns the place to show in a text: where the reader gave up, or where what it was reading began, if that is
    /// what has to be changed: a bracket or quote that is not closed, a key without a colon, an asterisk.
    pub fn place(&self, text: &str) -> Pos {
        let here = text.lines().nth(self.pos.line.saturating_sub(1) as usize).unwrap_or_default();
        if let Some(brace) = self.lone_brace(here) {
            return brace;
        }
        let ended = text.lines().nth(self.pos.line.saturating_sub(1) as usize).is_none();
        let unclosed = self.message.starts_with("did not find expected ','");
        let began = ["could not find expected ':'", "did not find expected alphabetic"];
        let began = began.iter().any(|start| self.message.starts_with(start));
        let begins = |(pos, _): &&(Pos, String)| ended || began || unclosed && pos.line < self.pos.line;
        let open = self.related.iter().find(|(_, text)| text == STILL_OPEN);
        open.or(self.related.first().filter(begins)).map_or(self.pos, |(pos, _)| *pos)
    }

    /// Finds the `{` of `{ a }}`, a Jinja expression that lost a brace.
    fn lone_brace(&self, line: &str) -> Option<Pos> {
        let chars: Vec<char> = line.chars().collect();
        let at = self.pos.col.checked_sub(1)? as usize;
        let closed = self.message == "did not find expected key"
            && chars.get(at) == Some(&'}')
            && at > 0
            && chars[at - 1] == '}';
        let open = chars.iter().take(at).rposition(|c| *c == '{').filter(|_| closed)?;
        Some(Pos::new(self.pos.line, u32::try_from(open).ok()? + 1))
    }

    /// Notes the bracket around a place where nothing that may stand there was found, if it opened on an earlier line.
    fn within(mut self: Box<Self>, bracket: Pos) -> Box<Self> {
        let told = self.related.iter().any(|(_, text)| text == STILL_OPEN);
        if !told && self.message == "did not find expected node content" && bracket.line < self.pos.line {
            self.related.push((bracket, STILL_OPEN.to_owned()));
        }
        self
    }

    /// Returns the words that Salt's YAML renderer gives to the error: the problem alone for mistakes of
    /// scanning, the whole account with its places for the others.
    pub fn salt_text(&self) -> String {
        match self.kind {
            ErrorKind::Scanner if self.message.starts_with("found character '\\t'") => "Illegal tab character".into(),
            ErrorKind::Scanner | ErrorKind::Reader => self.message.clone(),
            _ => {
                let place = |pos: Pos| format!("  in \"<unicode string>\", line {}, column {}", pos.line, pos.col);
                let context = self.related.first().map(|(pos, text)| format!("{text}\n{}\n", place(*pos)));
                format!("{}{}\n{}", context.unwrap_or_default(), self.message, place(self.pos))
            }
        }
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.message, self.pos.line, self.pos.col)
    }
}

impl std::error::Error for YamlError {}

/// Reads a text of one document; an empty text is null.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    compose::load(text).map_err(|error| *error)
}
