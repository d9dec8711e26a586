//! The pre-pass over a template's source: what Salt's and Jinja2's tags say in words that minijinja's parser
//! does not know is said in words that it knows. Newlines never change, and every moved byte is remembered,
//! so that all positions are those of the user's own text.

use std::sync::Arc;

/// Markers that stand around the expression of an import or include.
pub const WITH_CONTEXT: &str = "__with_context__";
pub const WITHOUT_CONTEXT: &str = "__without_context__";
pub const DO: &str = "__do__";
pub const LOADS: [(&str, &str); 3] =
    [("import_yaml", "__import_yaml__"), ("import_json", "__import_json__"), ("import_text", "__import_text__")];

/// A source made ready for the parser.
pub struct Prepared {
    /// The user's text with `\n` line ends.
    pub source: Arc<str>,
    /// The text for the parser.
    pub text: String,
    /// New offset, old offset: sorted, one pair per edit.
    map: Vec<(u32, u32)>,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
}

impl Prepared {
    /// Returns the user's offset of a parser's offset.
    pub fn old(&self, new: u32) -> u32 {
        let i = self.map.partition_point(|(at, _)| *at <= new);
        match i.checked_sub(1).and_then(|i| self.map.get(i)) {
            Some((at, old)) => {
                let next = self.map.get(i).map_or(u32::MAX, |(_, old)| *old);
                (old + (new - at)).min(next)
            }
            None => new,
        }
    }
}

struct Edits {
    list: Vec<(usize, usize, String)>,
}

impl Edits {
    fn replace(&mut self, at: usize, len: usize, text: impl Into<String>) {
        self.list.push((at, len, text.into()));
    }
}

/// Tells whether a template may have anything to render: a tag, an expression or a comment.
pub fn has_marks(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

/// Prepares a source.
pub fn prepare(text: &str) -> Prepared {
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() };
    let mut edits = Edits { list: vec![] };
    let (trim_blocks, lstrip_blocks) = header(&text, &mut edits);
    scan(&text, &mut edits);
    let mut out = String::with_capacity(text.len() + 64);
    let mut map = vec![];
    let mut from = 0;
    edits.list.sort_by_key(|(at, ..)| *at);
    for (at, len, with) in edits.list {
        if at < from {
            continue;
        }
        out.push_str(&text[from..at]);
        map.push((out.len() as u32, at as u32));
        out.push_str(&with);
        from = at + len;
        map.push((out.len() as u32, from as u32));
    }
    out.push_str(&text[from..]);
    Prepared { source: text.into(), text: out, map, trim_blocks, lstrip_blocks }
}

/// Reads Salt's `#jinja2: {…}` line, first or after the `#!` line, and takes it out.
fn header(text: &str, edits: &mut Edits) -> (bool, bool) {
    let mut at = 0;
    if text.starts_with("#!") && !text.starts_with("#!/") {
        at = text.find('\n').map_or(text.len(), |i| i + 1);
    }
    let line = text[at..].split_inclusive('\n').next().unwrap_or_default();
    let Some(json) = line.strip_prefix("#jinja2:") else { return (false, false) };
    let Ok(serde_json::Value::Object(options)) = serde_json::from_str(json.trim()) else { return (false, false) };
    edits.replace(at, line.len(), "");
    let flag = |name: &str| options.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false);
    (flag("trim_blocks"), flag("lstrip_blocks"))
}

fn scan(text: &str, edits: &mut Edits) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(found) = text[i..].find('{') {
        let open = i + found;
        match bytes.get(open + 1) {
            Some(b'#') => i = text[open + 2..].find("#}").map_or(text.len(), |end| open + 2 + end + 2),
            Some(b'{') => i = tag(text, open + 2, "}}", edits).map_or(text.len(), |(_, end)| end),
            Some(b'%') => {
                let Some((tokens, end)) = tag(text, open + 2, "%}", edits) else { return };
                i = end;
                if tokens.first().is_some_and(|t| t.text == "raw") {
                    i = end_of_raw(text, end);
                } else {
                    statement(&tokens, end, text, edits);
                }
            }
            _ => i = open + 1,
        }
    }
}

fn end_of_raw(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = text[at..].find("{%") {
        let start = at + found + 2;
        let rest = text[start..].trim_start_matches(['-', '+']).trim_start();
        if let Some(tail) = rest.strip_prefix("endraw") {
            return text.len() - tail.len() + tail.find("%}").map_or(0, |i| i + 2);
        }
        at = start;
    }
    text.len()
}

struct Token<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

/// Reads a tag's tokens up to its closing mark; returns them and the offset behind the mark.
fn tag<'a>(text: &'a str, from: usize, close: &str, edits: &mut Edits) -> Option<(Vec<Token<'a>>, usize)> {
    let bytes = text.as_bytes();
    let mut tokens = vec![];
    let mut depth = 0u32;
    let mut i = from;
    if matches!(bytes.get(i), Some(b'-' | b'+')) {
        i += 1;
    }
    while i < bytes.len() {
        if depth == 0 && text[i..].starts_with(close) {
            return Some((tokens, i + 2));
        }
        let start = i;
        match bytes[i] {
            quote @ (b'"' | b'\'') => {
                i += 1;
                while i < bytes.len() && bytes[i] != quote {
                    if bytes[i] == b'\\' {
                        escape(text, i, edits);
                        i += 1;
                    }
                    i += 1;
                }
                i = (i + 1).min(bytes.len());
            }
            c if c.is_ascii_alphabetic() || c == b'_' || c >= 0x80 => {
                while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_' || bytes[i] >= 0x80) {
                    i += 1;
                }
            }
            c => {
                i += 1;
                match c {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                    c if c.is_ascii_whitespace() => continue,
                    _ => {}
                }
            }
        }
        let shown = if matches!(bytes[start], b'(' | b'[' | b'{') { depth - 1 } else { depth };
        tokens.push(Token { text: text.get(start..i).unwrap_or_default(), at: start, depth: shown });
    }
    None
}

/// Says an escape of Python's that minijinja reads otherwise in a way that both read alike.
fn escape(text: &str, at: usize, edits: &mut Edits) {
    let with = match text.as_bytes().get(at + 1) {
        Some(b'/') => "\\\\/",
        Some(b'a') => "\\x07",
        Some(b'v') => "\\x0b",
        _ => return,
    };
    edits.replace(at, 2, with);
}

fn statement(tokens: &[Token], end: usize, text: &str, edits: &mut Edits) {
    let Some(first) = tokens.first() else { return };
    // Where the tag's content ends: before the closing mark and its sign.
    let stop = end - 2;
    let stop = if matches!(text.as_bytes().get(stop - 1), Some(b'-' | b'+')) { stop - 1 } else { stop };
    let tokens = match tokens.last() {
        Some(last) if last.at == stop => &tokens[..tokens.len() - 1],
        _ => tokens,
    };
    // As in Python, a colon may stand behind what has a body.
    let bodies = ["if", "elif", "else", "for", "macro", "filter", "call", "block"];
    let (tokens, stop, colon) = match tokens.split_last() {
        Some((last, rest)) if last.text == ":" && last.depth == 0 && bodies.contains(&first.text) => {
            (rest, last.at, Some(last.at))
        }
        _ => (tokens, stop, None),
    };
    let word = |i: usize| tokens.get(i).map_or("", |t| t.text);
    match first.text {
        "do" => edits.replace(first.at, 2, format!("set {DO} =")),
        "load_yaml" | "load_json" | "load_text" if word(1) == "as" => {
            edits.replace(first.at, first.text.len(), "set");
            edits.replace(tokens[1].at, 2, "");
            edits.replace(stop, 0, format!(" | {}", first.text));
        }
        "endload" => edits.replace(first.at, first.text.len(), "endset"),
        "profile" if word(1) == "as" => {
            edits.replace(first.at, first.text.len(), "if true or");
            edits.replace(tokens[1].at, 2, "");
        }
        "endprofile" => edits.replace(first.at, first.text.len(), "endif"),
        "import" | "from" | "include" | "import_yaml" | "import_json" | "import_text" => import(tokens, edits),
        "for" => bare_tuple(tokens, "in", &["if", "recursive"], stop, edits),
        _ => {}
    }
    // Last: what is put in at the same place comes before it.
    if let Some(at) = colon {
        edits.replace(at, 1, "");
    }
}

fn import(tokens: &[Token], edits: &mut Edits) {
    let keyword = &tokens[0];
    let stops: &[&str] = match keyword.text {
        "from" => &["import"],
        "include" => &["ignore", "with", "without"],
        _ => &["as"],
    };
    let stop = (2..tokens.len()).find(|i| tokens[*i].depth == 0 && stops.contains(&tokens[*i].text));
    let (Some(start), Some(last)) = (tokens.get(1), tokens.get(stop.unwrap_or(tokens.len()) - 1)) else { return };
    let context = tokens.windows(2).rev().find(|w| w[1].text == "context" && matches!(w[0].text, "with" | "without"));
    let marker = match (keyword.text, context.map(|w| w[0].text)) {
        ("include", Some("without")) => Some(WITHOUT_CONTEXT),
        ("include", _) => None,
        (_, Some("with")) => Some(WITH_CONTEXT),
        _ => None,
    };
    let load = LOADS.iter().find(|(word, _)| *word == keyword.text);
    if let Some((word, _)) = load {
        edits.replace(keyword.at, word.len(), "import");
    }
    let calls: Vec<&str> = marker.into_iter().chain(load.map(|(_, name)| *name)).collect();
    if !calls.is_empty() && last.at >= start.at {
        edits.replace(start.at, 0, calls.iter().map(|name| format!("{name}(")).collect::<String>());
        edits.replace(last.end(), 0, ")".repeat(calls.len()));
    }
}

/// Puts a tuple without parentheses, `for x in a, b`, into parentheses.
fn bare_tuple(tokens: &[Token], start: &str, stops: &[&str], end: usize, edits: &mut Edits) {
    let Some(from) = tokens.iter().position(|t| t.depth == 0 && t.text == start) else { return };
    let rest = &tokens[from + 1..];
    let until = rest.iter().position(|t| t.depth == 0 && stops.contains(&t.text)).unwrap_or(rest.len());
    if rest[..until].iter().any(|t| t.depth == 0 && t.text == ",") {
        edits.replace(rest[0].at, 0, "(");
        edits.replace(rest[..until].last().map_or(end, Token::end), 0, ")");
    }
}
