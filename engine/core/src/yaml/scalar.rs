//! Scanning of scalars, tags, anchors and directives: the parts of the scanner that read runs of characters.

use super::scan::{Result, Scanner, Tok};
use crate::Pos;
use std::borrow::Cow;

/// The bytes at which a plain scalar may end.
const MAY_END_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b" \t\n\r\0:,[]{}\xc2\xe2";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

impl<'a> Scanner<'a> {
    fn take_word(&mut self) -> &'a str {
        let start = self.at;
        while word(self.byte(0)) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn skip_blanks(&mut self) {
        while self.blank(0) {
            self.at += 1;
        }
    }

    pub(super) fn scan_directive(&mut self, start: Pos) -> Result<Tok<'a>> {
        let context = Some(("while scanning a directive", start));
        self.at += 1;
        let name = self.take_word();
        if name.is_empty() {
            return self.fail(context, "could not find expected directive name");
        }
        if !self.blankz(0) {
            return self.fail(context, "found unexpected non-alphabetical character");
        }
        let kind = match name {
            "YAML" => {
                let context = Some(("while scanning a %YAML directive", start));
                self.skip_blanks();
                for part in 0..2 {
                    if part == 1 {
                        if self.byte(0) != b'.' {
                            return self.fail(context, "did not find expected digit or '.' character");
                        }
                        self.at += 1;
                    }
                    let from = self.at;
                    while self.byte(0).is_ascii_digit() {
                        self.at += 1;
                    }
                    if from == self.at {
                        return self.fail(context, "did not find expected version number");
                    }
                    let number = &self.text[from..self.at];
                    if part == 0 && number != "1" {
                        return Err(self.error(None, start, "found incompatible YAML document"));
                    }
                }
                Tok::Version
            }
            "TAG" => {
                let context = Some(("while scanning a %TAG directive", start));
                self.skip_blanks();
                let from = self.at;
                let handle = self.scan_tag_handle(start, true)?;
                if from == self.at || !self.blank(0) {
                    return self.fail(context, "did not find expected whitespace");
                }
                self.skip_blanks();
                let prefix = self.scan_uri(true, String::new(), start)?;
                if !self.blankz(0) {
                    return self.fail(context, "did not find expected whitespace or line break");
                }
                Tok::TagDirective(Box::new((handle, prefix)))
            }
            _ => return self.fail(context, "found unknown directive name"),
        };
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if !self.breakz() {
            return self.fail(context, "did not find expected comment or line break");
        }
        self.skip_line();
        Ok(kind)
    }

    pub(super) fn scan_anchor(&mut self, start: Pos, alias: bool) -> Result<&'a str> {
        self.at += 1;
        let name = self.take_word();
        let ends = self.blankz(0) || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            let context = if alias { "while scanning an alias" } else { "while scanning an anchor" };
            return self.fail(Some((context, start)), "did not find expected alphabetic or numeric character");
        }
        Ok(name)
    }

    pub(super) fn scan_tag(&mut self, start: Pos) -> Result<Tok<'a>> {
        let context = Some(("while scanning a tag", start));
        let (handle, suffix) = if self.byte(1) == b'<' {
            self.at += 2;
            let suffix = self.scan_uri(true, String::new(), start)?;
            if self.byte(0) != b'>' {
                return self.fail(context, "did not find the expected '>'");
            }
            self.at += 1;
            (String::new(), suffix)
        } else {
            let handle = self.scan_tag_handle(start, false)?;
            if handle.len() >= 2 && handle.ends_with('!') {
                let suffix = self.scan_uri(false, String::new(), start)?;
                (handle, suffix)
            } else {
                let suffix = self.scan_uri(false, handle[1..].to_owned(), start)?;
                if suffix.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), suffix) }
            }
        };
        let ends = self.blankz(0) || (self.flow > 0 && self.byte(0) == b',');
        if !ends {
            return self.fail(context, "did not find expected whitespace or line break");
        }
        Ok(Tok::Tag(Box::new((handle, suffix))))
    }

    fn scan_tag_handle(&mut self, start: Pos, directive: bool) -> Result<String> {
        let context = if directive { "while scanning a directive" } else { "while scanning a tag" };
        if self.byte(0) != b'!' {
            return self.fail(Some((context, start)), "did not find expected '!'");
        }
        let from = self.at;
        self.at += 1;
        self.take_word();
        if self.byte(0) == b'!' {
            self.at += 1;
        } else if directive && self.at - from > 1 {
            return self.fail(Some((context, start)), "did not find expected '!'");
        }
        Ok(self.text[from..self.at].to_owned())
    }

    /// Reads the characters of a tag; `whole` allows those that would end a tag in a flow collection.
    fn scan_uri(&mut self, whole: bool, head: String, start: Pos) -> Result<String> {
        let mut out = head.into_bytes();
        loop {
            let c = self.byte(0);
            match c {
                b'%' => {
                    let code = self.bytes.get(self.at + 1..self.at + 3).and_then(|h| std::str::from_utf8(h).ok());
                    let Some(code) = code.and_then(|h| u8::from_str_radix(h, 16).ok()) else {
                        return self.fail(Some(("while parsing a tag", start)), "did not find URI escaped octet");
                    };
                    out.push(code);
                    self.at += 3;
                }
                b',' | b'[' | b']' if !whole => break,
                _ if word(c) || b";/?:@&=+$,.!~*'()[]".contains(&c) => {
                    out.push(c);
                    self.at += 1;
                }
                _ => break,
            }
        }
        match String::from_utf8(out) {
            Ok(text) => Ok(text),
            Err(_) => self.fail(Some(("while parsing a tag", start)), "found an incorrect trailing UTF-8 octet"),
        }
    }

    pub(super) fn scan_block_scalar(&mut self, start: Pos, literal: bool) -> Result<Tok<'a>> {
        let context = Some(("while scanning a block scalar", start));
        self.at += 1;
        let (mut chomp, mut step) = (None, 0);
        for _ in 0..2 {
            match self.byte(0) {
                c @ (b'+' | b'-') if chomp.is_none() => chomp = Some(c),
                b'0' if step == 0 => return self.fail(context, "found an indentation indicator equal to 0"),
                c @ b'1'..=b'9' if step == 0 => step = i64::from(c - b'0'),
                _ => break,
            }
            self.at += 1;
        }
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if !self.breakz() {
            return self.fail(context, "did not find expected comment or line break");
        }
        self.skip_line();

        let mut indent = if step > 0 { self.indent.max(0) + step } else { 0 };
        let (mut out, mut leading, mut breaks) = (String::new(), String::new(), String::new());
        let mut was_blank = false;
        self.block_breaks(&mut indent, &mut breaks, start)?;
        while i64::from(self.column()) == indent && !self.eof() {
            let blank = self.blank(0);
            if !literal && leading.starts_with('\n') && !was_blank && !blank {
                if breaks.is_empty() {
                    out.push(' ');
                }
            } else {
                out.push_str(&leading);
            }
            leading.clear();
            out.push_str(&breaks);
            breaks.clear();
            was_blank = blank;
            let from = self.at;
            while !self.breakz() {
                self.at += 1;
            }
            out.push_str(&self.text[from..self.at]);
            self.line_break(&mut leading);
            self.block_breaks(&mut indent, &mut breaks, start)?;
        }
        if chomp != Some(b'-') {
            out.push_str(&leading);
        }
        if chomp == Some(b'+') {
            out.push_str(&breaks);
        }
        Ok(Tok::Scalar(out.into(), false))
    }

    /// Skips indentation and empty lines of a block scalar, and finds its indentation if that is not known.
    fn block_breaks(&mut self, indent: &mut i64, breaks: &mut String, start: Pos) -> Result<()> {
        let mut deepest = 0;
        loop {
            let mut column = i64::from(self.column());
            while (*indent == 0 || column < *indent) && self.byte(0) == b' ' {
                self.at += 1;
                column += 1;
            }
            deepest = deepest.max(column);
            if (*indent == 0 || column < *indent) && self.byte(0) == b'\t' {
                return self.fail(
                    Some(("while scanning a block scalar", start)),
                    "found a tab character where an indentation space is expected",
                );
            }
            if self.break_len(0) == 0 {
                break;
            }
            self.line_break(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }

    pub(super) fn scan_quoted(&mut self, start: Pos, quote: u8) -> Result<Tok<'a>> {
        let context = Some(("while scanning a quoted scalar", start));
        self.at += 1;
        let mut out: Cow<'a, str> = Cow::Borrowed("");
        loop {
            if self.document_mark() {
                return self.fail(context, "found unexpected document indicator");
            }
            if self.eof() {
                return self.fail(context, "found unexpected end of stream");
            }
            let mut joined = false;
            loop {
                let from = self.at;
                while !matches!(self.byte(0), b'\'' | b'"' | b'\\') && !self.blankz(0) {
                    self.at += 1;
                }
                add(&mut out, &self.text[from..self.at]);
                let c = self.byte(0);
                if self.blankz(0) {
                    break;
                }
                if quote == b'\'' && c == b'\'' && self.byte(1) == b'\'' {
                    out.to_mut().push('\'');
                    self.at += 2;
                } else if c == quote {
                    self.at += 1;
                    return Ok(Tok::Scalar(out, false));
                } else if quote == b'"' && c == b'\\' && self.break_len(1) > 0 {
                    self.at += 1;
                    self.skip_line();
                    joined = true;
                    break;
                } else if quote == b'"' && c == b'\\' {
                    self.escape(out.to_mut(), start)?;
                } else {
                    let from = self.at;
                    self.at += 1;
                    add(&mut out, &self.text[from..self.at]);
                }
            }
            self.fold(&mut out, joined, None)?;
        }
    }

    /// Reads white space inside a scalar and appends what it means. With `plain`, the scalar's start and
    /// indentation, returns whether a line ended.
    fn fold(&mut self, out: &mut Cow<'a, str>, joined: bool, plain: Option<(Pos, i64)>) -> Result<bool> {
        let from = self.at;
        while self.blank(0) {
            self.at += 1;
        }
        if !joined && self.break_len(0) == 0 {
            if plain.is_none() {
                add(out, &self.text[from..self.at]);
            }
            return Ok(false);
        }
        let (mut first, mut more) = (String::new(), String::new());
        let mut leading = joined;
        loop {
            if self.blank(0) {
                if let Some((start, indent)) = plain
                    && leading
                    && self.byte(0) == b'\t'
                    && i64::from(self.column()) < indent
                {
                    return self.fail(
                        Some(("while scanning a plain scalar", start)),
                        "found a tab character that violates indentation",
                    );
                }
                self.at += 1;
            } else if self.break_len(0) > 0 {
                self.line_break(if leading { &mut more } else { &mut first });
                leading = true;
            } else {
                break;
            }
        }
        if first == "\n" {
            add(out, if more.is_empty() { " " } else { &more });
        } else {
            add(out, &first);
            add(out, &more);
        }
        Ok(true)
    }

    fn escape(&mut self, out: &mut String, start: Pos) -> Result<()> {
        let context = Some(("while parsing a quoted scalar", start));
        let digits = match self.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            c => {
                let found = match c {
                    b'0' => '\0',
                    b'a' => '\x07',
                    b'b' => '\x08',
                    b't' | b'\t' => '\t',
                    b'n' => '\n',
                    b'v' => '\x0b',
                    b'f' => '\x0c',
                    b'r' => '\r',
                    b'e' => '\x1b',
                    b' ' => ' ',
                    b'"' => '"',
                    b'/' => '/',
                    b'\\' => '\\',
                    b'N' => '\u{85}',
                    b'_' => '\u{a0}',
                    b'L' => '\u{2028}',
                    b'P' => '\u{2029}',
                    _ => return self.fail(context, "found unknown escape character"),
                };
                out.push(found);
                self.at += 2;
                return Ok(());
            }
        };
        self.at += 2;
        let hex = self.bytes.get(self.at..self.at + digits).filter(|h| h.iter().all(u8::is_ascii_hexdigit));
        let Some(hex) = hex.and_then(|h| std::str::from_utf8(h).ok()) else {
            return self.fail(context, "did not find expected hexdecimal number");
        };
        match u32::from_str_radix(hex, 16).ok().and_then(char::from_u32) {
            Some(c) => out.push(c),
            None => return self.fail(context, "found invalid Unicode character escape code"),
        }
        self.at += digits;
        Ok(())
    }

    pub(super) fn scan_plain(&mut self, start: Pos) -> Result<Tok<'a>> {
        let indent = self.indent + 1;
        let mut out: Cow<'a, str> = Cow::Borrowed("");
        let mut ended_line = false;
        // White space counts only if text follows, so it waits here.
        let mut gap: Cow<'a, str> = Cow::Borrowed("");
        let mut whole = self.at..self.at;
        loop {
            if (ended_line && self.document_mark()) || self.byte(0) == b'#' {
                break;
            }
            let from = self.at;
            self.plain_run(start)?;
            if self.at > from {
                if ended_line || matches!(out, Cow::Owned(_)) {
                    out.to_mut().push_str(&gap);
                    out.to_mut().push_str(&self.text[from..self.at]);
                } else {
                    whole.end = self.at;
                    out = Cow::Borrowed(&self.text[whole.clone()]);
                }
                ended_line = false;
            }
            if !self.blankz(0) || self.eof() {
                break;
            }
            let from = self.at;
            gap = Cow::Borrowed("");
            ended_line = self.fold(&mut gap, false, Some((start, indent)))?;
            if !ended_line {
                gap = Cow::Borrowed(&self.text[from..self.at]);
            }
            if self.flow == 0 && i64::from(self.column()) < indent {
                break;
            }
        }
        if ended_line {
            self.key_allowed = true;
        }
        Ok(Tok::Scalar(out, true))
    }

    /// Reads on to white space or to a mark that ends a plain scalar.
    fn plain_run(&mut self, start: Pos) -> Result<()> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += rest.iter().position(|byte| MAY_END_PLAIN[usize::from(*byte)]).unwrap_or(rest.len());
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' => return Ok(()),
                0 if self.eof() => return Ok(()),
                0xc2 | 0xe2 if self.break_len(0) > 0 => return Ok(()),
                b':' => {
                    if self.flow > 0 && matches!(self.byte(1), b',' | b'?' | b'[' | b']' | b'{' | b'}') {
                        return self.fail(Some(("while scanning a plain scalar", start)), "found unexpected ':'");
                    }
                    if self.blankz(1) {
                        return Ok(());
                    }
                }
                b',' | b'[' | b']' | b'{' | b'}' if self.flow > 0 => return Ok(()),
                _ => {}
            }
            self.at += 1;
        }
    }
}

fn add<'a>(out: &mut Cow<'a, str>, more: &str) {
    if !more.is_empty() {
        out.to_mut().push_str(more);
    }
}
