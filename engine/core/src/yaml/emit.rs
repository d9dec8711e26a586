//! From values to YAML as Salt's dumper writes it: libyaml's choice of quotes, its folding at 80 columns, its
//! flush lists below keys, PyYAML's sorted keys. What is written reads back as the same value.

use super::resolve::{self, Tag};
use crate::{Map, Value};

/// Which collections are written `{a: 1}` and `[1, 2]`: PyYAML's `default_flow_style`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// `False`: only empty ones.
    Block,
    /// `True`: all of them.
    Flow,
    /// `None`: those that hold no collection.
    Leaves,
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct EmitOptions {
    pub flow: Flow,
    /// Sorts the keys of mappings, as PyYAML does unless told otherwise.
    pub sort_keys: bool,
    pub indent: usize,
    /// Lines are folded after this many columns.
    pub width: usize,
    /// Begins with `---`.
    pub explicit_start: bool,
    /// Ends with `...`.
    pub explicit_end: bool,
}

impl Default for EmitOptions {
    fn default() -> Self {
        Self { flow: Flow::Block, sort_keys: true, indent: 2, width: 80, explicit_start: false, explicit_end: false }
    }
}

/// Writes a value as `salt.utils.yaml.safe_dump` does; `block` is `default_flow_style=False`, else `True`.
pub fn emit(value: &Value, block: bool) -> String {
    emit_with(value, &EmitOptions { flow: if block { Flow::Block } else { Flow::Flow }, ..Default::default() })
}

/// Writes a value with all choices open.
pub fn emit_with(value: &Value, options: &EmitOptions) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        options,
        best_indent: if (2..10).contains(&options.indent) { options.indent } else { 2 },
        indent: -1,
        column: 0,
        whitespace: true,
        indention: true,
        flow: 0,
    };
    if options.explicit_start {
        emitter.indicator("---", true, false, false);
        if matches!(value, Value::List(_) | Value::Map(_)) && !emitter.is_flow(value) {
            emitter.write_indent();
        }
    }
    emitter.node(value, Context::Root);
    emitter.indent = -1;
    emitter.write_indent();
    if options.explicit_end {
        emitter.out.push_str("...\n");
    }
    emitter.out
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    Root,
    Sequence,
    Mapping,
    SimpleKey,
}

struct Emitter<'a> {
    out: String,
    options: &'a EmitOptions,
    best_indent: usize,
    indent: i64,
    column: usize,
    /// The last character was white space, or opened a flow collection.
    whitespace: bool,
    /// Only indentation and indicators are on this line so far.
    indention: bool,
    flow: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

impl Emitter<'_> {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if c == '\n' { 0 } else { self.column + 1 };
    }

    fn write_indent(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_space: bool, is_space: bool, is_indention: bool) {
        if need_space && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
    }

    /// Goes one level in; returns what to go back to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> i64 {
        let before = self.indent;
        if self.indent < 0 {
            self.indent = if flow { self.best_indent as i64 } else { 0 };
        } else if !indentless {
            self.indent += self.best_indent as i64;
        }
        before
    }

    fn too_wide(&self) -> bool {
        self.column > self.options.width
    }

    fn is_flow(&self, value: &Value) -> bool {
        let scalar = |v: &Value| !matches!(v, Value::List(_) | Value::Map(_));
        let leaf = || match value {
            Value::List(l) => l.iter().all(scalar),
            Value::Map(m) => m.iter().all(|(k, v)| scalar(k) && scalar(v)),
            _ => false,
        };
        let empty = match value {
            Value::List(l) => l.is_empty(),
            Value::Map(m) => m.is_empty(),
            _ => false,
        };
        self.flow > 0
            || empty
            || match self.options.flow {
                Flow::Flow => true,
                Flow::Block => false,
                Flow::Leaves => leaf(),
            }
    }

    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::List(items) if self.is_flow(value) => self.flow_sequence(items),
            Value::Map(map) if self.is_flow(value) => self.flow_mapping(map),
            Value::List(items) => self.block_sequence(items, context),
            Value::Map(map) => self.block_mapping(map),
            scalar => self.scalar(scalar, context),
        }
    }

    fn flow_sequence(&mut self, items: &[Value]) {
        self.indicator("[", true, true, false);
        let before = self.deeper(true, false);
        self.flow += 1;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.too_wide() {
                self.write_indent();
            }
            self.node(item, Context::Sequence);
        }
        self.flow -= 1;
        self.indent = before;
        self.indicator("]", false, false, false);
    }

    fn flow_mapping(&mut self, map: &Map) {
        self.indicator("{", true, true, false);
        let before = self.deeper(true, false);
        self.flow += 1;
        for (i, (key, value)) in self.entries(map).into_iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.too_wide() {
                self.write_indent();
            }
            if simple_key(key) {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.node(key, Context::Mapping);
                if self.too_wide() {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(value, Context::Mapping);
        }
        self.flow -= 1;
        self.indent = before;
        self.indicator("}", false, false, false);
    }

    fn block_sequence(&mut self, items: &[Value], context: Context) {
        let before = self.deeper(false, context == Context::Mapping && !self.indention);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::Sequence);
        }
        self.indent = before;
    }

    fn block_mapping(&mut self, map: &Map) {
        let before = self.deeper(false, false);
        for (key, value) in self.entries(map) {
            self.write_indent();
            if simple_key(key) {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, Context::Mapping);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Context::Mapping);
        }
        self.indent = before;
    }

    fn entries<'m>(&self, map: &'m Map) -> Vec<(&'m Value, &'m Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        let texts = entries.iter().all(|(k, _)| matches!(k, Value::Str(_)));
        let number = |v: &Value| match v {
            Value::Int(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            Value::Bool(b) => Some(f64::from(*b)),
            _ => None,
        };
        // Python cannot compare text with numbers; PyYAML then leaves the order alone.
        if self.options.sort_keys && texts {
            entries.sort_by(|a, b| a.0.as_str().cmp(&b.0.as_str()));
        } else if self.options.sort_keys && entries.iter().all(|(k, _)| number(k).is_some()) {
            entries.sort_by(|a, b| number(a.0).partial_cmp(&number(b.0)).unwrap_or(std::cmp::Ordering::Equal));
        }
        entries
    }

    fn scalar(&mut self, value: &Value, context: Context) {
        let (text, style) = match value {
            Value::Str(text) => (text.to_string(), self.choose(text, context)),
            other => (literal(other), Style::Plain),
        };
        // A text longer than a line may be folded; a key may not.
        let folds = context != Context::SimpleKey;
        let before = self.deeper(true, false);
        match style {
            Style::Plain => self.plain(&text, folds),
            Style::Single => self.single(&text, folds),
            Style::Double => self.double(&text, folds),
        }
        self.indent = before;
    }

    fn choose(&self, text: &str, context: Context) -> Style {
        let looks = analyze(text);
        let key = context == Context::SimpleKey;
        if key && looks.multiline {
            return Style::Double;
        }
        let allowed = if self.flow > 0 { looks.flow_plain } else { looks.block_plain };
        if allowed && !text.is_empty() && resolve::implicit(text) == Tag::Str && !timestamp(text) {
            Style::Plain
        } else if looks.single {
            Style::Single
        } else {
            Style::Double
        }
    }

    fn plain(&mut self, text: &str, folds: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        let mut spaces = false;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if c == ' ' {
                if folds && !spaces && self.too_wide() && rest.peek() != Some(&' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, folds: bool) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks) = (false, false);
        let mut rest = text.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            if c == ' ' {
                let inside = !first && rest.peek().is_some_and(|next| *next != ' ');
                if folds && !spaces && self.too_wide() && inside {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.column = 0;
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
            first = false;
        }
        if breaks {
            self.write_indent();
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str, folds: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut rest = text.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            if !printable(c) || is_break(c) || c == '"' || c == '\\' {
                escaped(c).chars().for_each(|c| self.put(c));
                spaces = false;
            } else if c == ' ' {
                if folds && !spaces && self.too_wide() && !first && rest.peek().is_some() {
                    self.write_indent();
                    if rest.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }
}

/// Writes null, booleans and numbers.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Float(x) if x.is_nan() => ".nan".into(),
        Value::Float(x) if x.is_infinite() => if *x > 0.0 { ".inf" } else { "-.inf" }.into(),
        Value::Float(x) => {
            let text = crate::python::float(*x);
            // `1e+16` would read back as text.
            if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
        }
        other => crate::python::str(other),
    }
}

fn simple_key(key: &Value) -> bool {
    match key {
        Value::Str(text) => text.len() <= 128 && !text.chars().any(is_break),
        Value::List(l) => l.is_empty(),
        Value::Map(m) => m.is_empty(),
        _ => true,
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => "\\0",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\x0b' => "\\v",
        '\x0c' => "\\f",
        '\r' => "\\r",
        '\x1b' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{a0}' => "\\_",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    match c as u32 {
        _ if !short.is_empty() => short.into(),
        n @ ..=0xff => format!("\\x{n:02X}"),
        n @ ..=0xffff => format!("\\u{n:04X}"),
        n => format!("\\U{n:08X}"),
    }
}

struct Looks {
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
}

/// Finds out how a text may be written: libyaml's analysis, with its names.
fn analyze(text: &str) -> Looks {
    if text.is_empty() {
        return Looks { multiline: false, flow_plain: false, block_plain: true, single: true };
    }
    let marks = text.starts_with("---") || text.starts_with("...");
    let (mut block_indicators, mut flow_indicators) = (marks, marks);
    let (mut line_breaks, mut special, mut edge, mut break_space, mut space_break) =
        (false, false, false, false, false);
    let (mut previous_space, mut previous_break, mut preceded) = (false, false, true);
    let blankz = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(*c));
    let mut rest = text.chars().peekable();
    let mut first = true;
    while let Some(c) = rest.next() {
        let followed = blankz(rest.peek());
        let (flow, block) = match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if first => {
                (true, true)
            }
            '?' | ':' if first => (true, followed),
            '-' if first => (followed, followed),
            ',' | '?' | '[' | ']' | '{' | '}' => (true, false),
            ':' => (true, followed),
            '#' => (preceded, preceded),
            _ => (false, false),
        };
        flow_indicators |= flow;
        block_indicators |= block;
        special |= !printable(c) && !matches!(c, '\u{2028}' | '\u{2029}');
        let last = rest.peek().is_none();
        if c == ' ' {
            edge |= first || last;
            break_space |= previous_break;
            (previous_space, previous_break) = (true, false);
        } else if is_break(c) {
            line_breaks = true;
            edge |= first || last;
            space_break |= previous_space;
            (previous_space, previous_break) = (false, true);
        } else {
            (previous_space, previous_break) = (false, false);
        }
        preceded = blankz(Some(&c));
        first = false;
    }
    let plain = !edge && !break_space && !space_break && !special && !line_breaks;
    Looks {
        multiline: line_breaks,
        flow_plain: plain && !flow_indicators,
        block_plain: plain && !block_indicators,
        single: !break_space && !space_break && !special,
    }
}

/// Tells whether PyYAML would read this as a date: such texts are quoted, though Salt reads them as text.
fn timestamp(text: &str) -> bool {
    let number =
        |s: &str, min: usize, max: usize| (min..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let Some((year, rest)) = text.split_once('-') else { return false };
    let Some((month, rest)) = rest.split_once('-') else { return false };
    if !number(year, 4, 4) || !number(month, 1, 2) {
        return false;
    }
    if month.len() == 2 && number(rest, 2, 2) {
        return true;
    }
    let day_len = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&day_len) {
        return false;
    }
    let time = &rest[day_len..];
    let trimmed = time.trim_start_matches([' ', '\t']);
    let clock = if trimmed.len() < time.len() { trimmed } else { time.strip_prefix(['T', 't']).unwrap_or("") };
    let mut parts = clock.splitn(3, ':');
    let (Some(hour), Some(minute), Some(tail)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let seconds = tail.bytes().take_while(u8::is_ascii_digit).count();
    if !number(hour, 1, 2) || !number(minute, 2, 2) || seconds != 2 {
        return false;
    }
    let mut zone = &tail[2..];
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let zone = zone.trim_start_matches([' ', '\t']);
    let Some(offset) = zone.strip_prefix(['-', '+']) else { return zone.is_empty() || zone == "Z" };
    match offset.split_once(':') {
        Some((hours, minutes)) => number(hours, 1, 2) && number(minutes, 2, 2),
        None => number(offset, 1, 2),
    }
}
