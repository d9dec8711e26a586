//! From text to tokens. The rules are those of YAML 1.1 as libyaml applies them, which is what Salt's
//! loader stands on: stricter parsers refuse lists and quoted texts that continue in the first column, and
//! templates print such all the time. Words of the messages are libyaml's.

use super::{YamlError, hints};
use crate::Pos;
use std::borrow::Cow;
use std::collections::VecDeque;

/// What a token is.
#[derive(Clone, Debug)]
pub enum Tok<'a> {
    StreamEnd,
    /// `%YAML 1.1`; the version itself decides nothing.
    Version,
    TagDirective(Box<(String, String)>),
    DocumentStart,
    DocumentEnd,
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    /// Handle and suffix.
    Tag(Box<(String, String)>),
    /// Text, and whether it was written without quotes or block marks.
    Scalar(Cow<'a, str>, bool),
}

impl Tok<'_> {
    /// Tells whether both are of one kind, whatever they hold.
    pub fn like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A token and where it starts.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub at: Pos,
    pub kind: Tok<'a>,
}

#[derive(Clone, Copy)]
struct SimpleKey {
    possible: bool,
    required: bool,
    number: usize,
    at: Pos,
}

/// The scanner: holds the text and hands out tokens.
pub struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    line: u32,
    /// A byte offset on this line and the column there; columns are counted onward from it.
    mark: (usize, u32),
    ascii: bool,
    tokens: VecDeque<Token<'a>>,
    taken: usize,
    /// The column of the innermost block collection; -1 outside of all.
    pub(super) indent: i64,
    indents: Vec<i64>,
    pub(super) flow: usize,
    pub(super) key_allowed: bool,
    keys: Vec<SimpleKey>,
    /// The first token is certain.
    sure: bool,
    done: bool,
}

/// No scalar and no collection may nest deeper; far beyond what people write, far below a stack's end.
pub const MAX_DEPTH: usize = 100;

/// A key of more characters, or of more than one line, must be announced by `?`.
const LONGEST_KEY: u32 = 1024;

const NO_KEY: SimpleKey = SimpleKey { possible: false, required: false, number: 0, at: Pos::new(0, 0) };

/// The error is boxed: it is big, and each token passes through many hands.
pub(super) type Result<T> = std::result::Result<T, Box<YamlError>>;

impl<'a> Scanner<'a> {
    /// Makes a scanner, after a look at the characters of the whole text.
    pub fn new(text: &'a str) -> Result<Self> {
        check_characters(text)?;
        let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Ok(Self {
            text,
            bytes: text.as_bytes(),
            at: start,
            line: 1,
            mark: (start, 0),
            ascii: text.is_ascii(),
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            flow: 0,
            key_allowed: true,
            keys: vec![NO_KEY],
            sure: false,
            done: false,
        })
    }

    /// Returns the next token without taking it.
    pub fn peek(&mut self) -> Result<&Token<'a>> {
        self.fill()?;
        // INVARIANT: `fill` returns with at least one token, the last being `StreamEnd`, which is never taken.
        Ok(&self.tokens[0])
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Result<Token<'a>> {
        self.fill()?;
        if matches!(self.tokens[0].kind, Tok::StreamEnd) {
            return Ok(self.tokens[0].clone());
        }
        self.taken += 1;
        self.sure = false;
        Ok(self.tokens.pop_front().unwrap_or(Token { at: Pos::default(), kind: Tok::StreamEnd }))
    }

    /// Scans until the first token is certain: no later `:` can put a key before it.
    fn fill(&mut self) -> Result<()> {
        while !self.sure {
            if !self.tokens.is_empty() {
                if !self.done {
                    self.forget_stale_keys()?;
                }
                self.sure = self.done || !self.keys.iter().any(|k| k.possible && k.number == self.taken);
            }
            if !self.sure {
                self.fetch()?;
            }
        }
        Ok(())
    }

    // ---- characters ------------------------------------------------------------------------------------

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn eof(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns the length of a line break in bytes, 0 if there is none.
    pub(super) fn break_len(&self, ahead: usize) -> usize {
        let i = self.at + ahead;
        match self.bytes.get(i) {
            Some(b'\n') => 1,
            Some(b'\r') => 1 + usize::from(self.bytes.get(i + 1) == Some(&b'\n')),
            Some(0xc2) if self.bytes.get(i + 1) == Some(&0x85) => 2,
            Some(0xe2) if self.bytes.get(i + 1) == Some(&0x80) => match self.bytes.get(i + 2) {
                Some(0xa8 | 0xa9) => 3,
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(super) fn blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    /// Tells whether a blank, a line break or the end is there.
    pub(super) fn blankz(&self, ahead: usize) -> bool {
        self.at + ahead >= self.bytes.len() || self.blank(ahead) || self.break_len(ahead) > 0
    }

    pub(super) fn breakz(&self) -> bool {
        self.eof() || self.break_len(0) > 0
    }

    /// Takes a line break, and appends it in its normal form.
    pub(super) fn line_break(&mut self, out: &mut String) {
        let len = self.break_len(0);
        if len == 3 {
            out.push_str(&self.text[self.at..self.at + 3]);
        } else if len > 0 {
            out.push('\n');
        }
        self.skip_line();
    }

    pub(super) fn skip_line(&mut self) {
        let len = self.break_len(0);
        if len > 0 {
            self.at += len;
            self.line += 1;
            self.mark = (self.at, 0);
        }
    }

    pub(super) fn column(&mut self) -> u32 {
        let (from, col) = self.mark;
        if self.ascii {
            return col + (self.at - from) as u32;
        }
        let more = self.text[from..self.at].chars().count();
        self.mark = (self.at, col + u32::try_from(more).unwrap_or(u32::MAX / 2));
        self.mark.1
    }

    pub(super) fn pos(&mut self) -> Pos {
        let col = self.column();
        Pos::new(self.line, col + 1)
    }

    /// Tells whether `---` or `...` stands at the start of this line.
    pub(super) fn document_mark(&mut self) -> bool {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.blankz(3) && self.column() == 0
    }

    pub(super) fn fail<T>(&mut self, context: Option<(&str, Pos)>, message: &str) -> Result<T> {
        let pos = self.pos();
        Err(self.error(context, pos, message))
    }

    #[cold]
    pub(super) fn error(&self, context: Option<(&str, Pos)>, pos: Pos, message: &str) -> Box<YamlError> {
        let context = context.map(|(text, at)| (at, text.to_owned()));
        let mut error = YamlError {
            pos,
            message: message.to_owned(),
            hints: Vec::new(),
            related: context.into_iter().collect(),
            kind: super::ErrorKind::Scanner,
        };
        error.hints = hints::for_error(self.text, &error);
        Box::new(error)
    }

    // ---- simple keys and indentation ----------------------------------------------------------------------

    fn forget_stale_keys(&mut self) -> Result<()> {
        if !self.keys.iter().any(|key| key.possible) {
            return Ok(());
        }
        let here = self.pos();
        for i in 0..self.keys.len() {
            let key = self.keys[i];
            if key.possible && (key.at.line < here.line || key.at.col + LONGEST_KEY < here.col) {
                if key.required {
                    return self.fail(Some(("while scanning a simple key", key.at)), "could not find expected ':'");
                }
                self.keys[i].possible = false;
            }
        }
        Ok(())
    }

    fn save_key(&mut self) -> Result<()> {
        let at = self.pos();
        if self.key_allowed {
            let required = self.flow == 0 && self.indent == i64::from(at.col) - 1;
            self.drop_key()?;
            let number = self.taken + self.tokens.len();
            if let Some(key) = self.keys.last_mut() {
                *key = SimpleKey { possible: true, required, number, at };
            }
        }
        Ok(())
    }

    fn drop_key(&mut self) -> Result<()> {
        let key = self.keys.last().copied().unwrap_or(NO_KEY);
        if key.possible && key.required {
            return self.fail(Some(("while scanning a simple key", key.at)), "could not find expected ':'");
        }
        if let Some(key) = self.keys.last_mut() {
            key.possible = false;
        }
        Ok(())
    }

    fn push(&mut self, at: Pos, kind: Tok<'a>) {
        self.tokens.push_back(Token { at, kind });
    }

    /// Opens a block collection, if this column is further in.
    fn roll(&mut self, column: i64, number: Option<usize>, kind: Tok<'a>, at: Pos) -> Result<()> {
        if self.flow == 0 && self.indent < column {
            if self.indents.len() >= MAX_DEPTH {
                return self.fail(None, &too_deep());
            }
            self.indents.push(self.indent);
            self.indent = column;
            match number {
                Some(number) => self.tokens.insert(number - self.taken, Token { at, kind }),
                None => self.push(at, kind),
            }
        }
        Ok(())
    }

    /// Closes the block collections that are further in than this column.
    fn unroll(&mut self, column: i64) {
        if self.flow > 0 {
            return;
        }
        while self.indent > column {
            let at = self.pos();
            self.push(at, Tok::BlockEnd);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // ---- tokens ------------------------------------------------------------------------------------------

    fn skip_to_token(&mut self) {
        loop {
            while self.byte(0) == b' ' || (self.byte(0) == b'\t' && (self.flow > 0 || !self.key_allowed)) {
                self.at += 1;
            }
            if self.byte(0) == b'#' {
                self.skip_comment();
            }
            if self.break_len(0) == 0 {
                return;
            }
            self.skip_line();
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        while !self.breakz() {
            self.at += 1;
        }
    }

    fn fetch(&mut self) -> Result<()> {
        self.skip_to_token();
        self.forget_stale_keys()?;
        let at = self.pos();
        let column = i64::from(at.col) - 1;
        self.unroll(column);
        if self.eof() {
            return self.fetch_end();
        }
        let c = self.byte(0);
        if column == 0 && c == b'%' {
            self.unroll(-1);
            self.drop_key()?;
            self.key_allowed = false;
            let kind = self.scan_directive(at)?;
            self.push(at, kind);
            return Ok(());
        }
        if column == 0 && matches!(c, b'-' | b'.') && self.document_mark() {
            self.unroll(-1);
            self.drop_key()?;
            self.key_allowed = false;
            self.at += 3;
            self.push(at, if c == b'-' { Tok::DocumentStart } else { Tok::DocumentEnd });
            return Ok(());
        }
        match c {
            b'[' => self.open_flow(at, Tok::FlowSequence),
            b'{' => self.open_flow(at, Tok::FlowMapping),
            b']' => self.close_flow(at, Tok::FlowSequenceEnd),
            b'}' => self.close_flow(at, Tok::FlowMappingEnd),
            b',' => self.indicator(at, Tok::FlowEntry, true),
            b'-' if self.blankz(1) => {
                if self.flow == 0 {
                    if !self.key_allowed {
                        return self.fail(None, "block sequence entries are not allowed in this context");
                    }
                    self.roll(column, None, Tok::BlockSequence, at)?;
                }
                self.indicator(at, Tok::BlockEntry, true)
            }
            b'?' if self.flow > 0 || self.blankz(1) => {
                if self.flow == 0 {
                    if !self.key_allowed {
                        return self.fail(None, "mapping keys are not allowed in this context");
                    }
                    self.roll(column, None, Tok::BlockMapping, at)?;
                }
                self.indicator(at, Tok::Key, self.flow == 0)
            }
            b':' if self.flow > 0 || self.blankz(1) => self.fetch_value(at, column),
            b'*' | b'&' => {
                self.save_key()?;
                self.key_allowed = false;
                let name = self.scan_anchor(at, c == b'*')?;
                self.push(at, if c == b'*' { Tok::Alias(name) } else { Tok::Anchor(name) });
                Ok(())
            }
            b'!' => {
                self.save_key()?;
                self.key_allowed = false;
                let kind = self.scan_tag(at)?;
                self.push(at, kind);
                Ok(())
            }
            b'|' | b'>' if self.flow == 0 => {
                self.drop_key()?;
                self.key_allowed = true;
                let kind = self.scan_block_scalar(at, c == b'|')?;
                self.push(at, kind);
                Ok(())
            }
            b'\'' | b'"' => {
                self.save_key()?;
                self.key_allowed = false;
                let kind = self.scan_quoted(at, c)?;
                self.push(at, kind);
                Ok(())
            }
            _ if self.starts_plain(c) => self.fetch_plain(at, column),
            b'\t' => self.fail(
                Some(("while scanning for the next token", at)),
                "found character '\\t' that cannot start any token",
            ),
            _ => self.fail(
                Some(("while scanning for the next token", at)),
                &format!("found character {} that cannot start any token", crate::python::quoted(&self.char())),
            ),
        }
    }

    fn char(&self) -> String {
        self.text[self.at..].chars().take(1).collect()
    }

    fn starts_plain(&self, c: u8) -> bool {
        match c {
            b'-' => !self.blank(1),
            b'?' | b':' => self.flow == 0 && !self.blankz(1),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@'
            | b'`' => false,
            _ => !self.blankz(0),
        }
    }

    fn fetch_end(&mut self) -> Result<()> {
        // libyaml ends the last line here; its messages at the end of a text name the line after.
        if self.column() != 0 {
            self.line += 1;
            self.mark = (self.at, 0);
        }
        self.unroll(-1);
        self.drop_key()?;
        self.key_allowed = false;
        let at = self.pos();
        self.push(at, Tok::StreamEnd);
        self.done = true;
        Ok(())
    }

    fn open_flow(&mut self, at: Pos, kind: Tok<'a>) -> Result<()> {
        self.save_key()?;
        if self.flow >= MAX_DEPTH {
            return self.fail(None, &too_deep());
        }
        self.keys.push(NO_KEY);
        self.flow += 1;
        self.key_allowed = true;
        self.at += 1;
        self.push(at, kind);
        Ok(())
    }

    fn close_flow(&mut self, at: Pos, kind: Tok<'a>) -> Result<()> {
        self.drop_key()?;
        if self.flow > 0 {
            self.flow -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.at += 1;
        self.push(at, kind);
        Ok(())
    }

    fn indicator(&mut self, at: Pos, kind: Tok<'a>, key_allowed: bool) -> Result<()> {
        self.drop_key()?;
        self.key_allowed = key_allowed;
        self.at += 1;
        self.push(at, kind);
        Ok(())
    }

    /// Scans a plain scalar. Where a `:` follows at once, it is known here to be a key, as nearly all are.
    fn fetch_plain(&mut self, at: Pos, column: i64) -> Result<()> {
        let key_allowed = self.key_allowed;
        self.save_key()?;
        self.key_allowed = false;
        let from = self.at;
        let kind = self.scan_plain(at)?;
        let here = self.line == at.line && self.at - from <= LONGEST_KEY as usize;
        if !(key_allowed && here && self.flow == 0 && self.byte(0) == b':' && self.blankz(1)) {
            self.push(at, kind);
            return Ok(());
        }
        if let Some(key) = self.keys.last_mut() {
            key.possible = false;
        }
        self.roll(column, None, Tok::BlockMapping, at)?;
        self.push(at, Tok::Key);
        self.push(at, kind);
        let colon = self.pos();
        self.at += 1;
        self.key_allowed = false;
        self.push(colon, Tok::Value);
        Ok(())
    }

    fn fetch_value(&mut self, at: Pos, column: i64) -> Result<()> {
        let key = self.keys.last().copied().unwrap_or(NO_KEY);
        if key.possible {
            self.tokens.insert(key.number - self.taken, Token { at: key.at, kind: Tok::Key });
            self.roll(i64::from(key.at.col) - 1, Some(key.number), Tok::BlockMapping, key.at)?;
            if let Some(key) = self.keys.last_mut() {
                key.possible = false;
            }
            self.key_allowed = false;
        } else {
            if self.flow == 0 {
                if !self.key_allowed {
                    return self.fail(None, "mapping values are not allowed in this context");
                }
                self.roll(column, None, Tok::BlockMapping, at)?;
            }
            self.key_allowed = self.flow == 0;
        }
        self.at += 1;
        self.push(at, Tok::Value);
        Ok(())
    }
}

/// Returns the message for a text that nests too deep.
pub fn too_deep() -> String {
    format!("collections are nested deeper than {MAX_DEPTH} levels")
}

fn check_characters(text: &str) -> Result<()> {
    let bad = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => false,
    };
    // Bytes first, all of them in one sweep: nearly every text has none of the candidates.
    let suspect = |b: u8| (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || matches!(b, 0x7f | 0xc2 | 0xef);
    if !text.bytes().fold(false, |found, byte| found | suspect(byte)) {
        return Ok(());
    }
    let Some((offset, c)) = text.char_indices().find(|(_, c)| bad(*c)) else { return Ok(()) };
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let col = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Err(Box::new(YamlError {
        pos: Pos::new(u32::try_from(line).unwrap_or(0), u32::try_from(col).unwrap_or(0)),
        message: format!("unacceptable character #x{:04x}: control characters are not allowed", c as u32),
        hints: vec!["write the character as an escape in double quotes, e.g. \"\\x1b\"".into()],
        related: Vec::new(),
        kind: super::ErrorKind::Reader,
    }))
}
