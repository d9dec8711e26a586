//! Secrets: texts that must not be shown. Where one becomes known (an encrypted value, a key that the operator named)
//! it is put on the list of the process; what leaves the process for people or for the disk passes [`mask`], which
//! puts `***` for each secret, whatever templates, programs or messages it went through on its way.

use crate::report::{ChunkReport, Event, RunReport};
use crate::value::{Map, Value};
use crate::{Diagnostic, digest};
use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What is shown instead of a secret.
pub const MASK: &str = "***";
/// Shorter texts are hidden where they stand as a word of their own: within others they would hide everything with them.
const WORD: usize = 4;
/// One character is not hidden: whoever knows that there is a secret of one character has it.
const SHORTEST: usize = 2;

static LIST: RwLock<Option<List>> = RwLock::new(None);

/// The secrets of the process, in all forms in which they may show up.
struct List {
    /// Each form, and the secret that it is a form of.
    forms: BTreeMap<Arc<str>, Arc<str>>,
    /// The forms that are found anywhere, and those that are found as words.
    anywhere: Finder,
    words: Finder,
}

/// Forms, and the secrets that they are of.
struct Finder {
    finder: AhoCorasick,
    of: Vec<Arc<str>>,
}

impl Finder {
    /// Only sizes that no machine has room for make it fail.
    fn of<'a>(forms: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)> + Clone) -> Option<Self> {
        let finder =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms.clone().map(|(form, _)| &**form));
        Some(Self { finder: finder.ok()?, of: forms.map(|(_, secret)| secret.clone()).collect() })
    }
}

/// Tells whether a part of a text is a word of its own.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].chars().next_back().is_some_and(part_of_word)
        && !text[end..].chars().next().is_some_and(part_of_word)
}

impl List {
    /// Walks the secrets that are in a text.
    fn within<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        let anywhere = self.anywhere.finder.find_iter(text).map(|hit| &self.anywhere.of[hit.pattern()]);
        let words = self.words.finder.find_iter(text).filter(|hit| is_word(text, hit.start(), hit.end()));
        anywhere.chain(words.map(|hit| &self.words.of[hit.pattern()]))
    }
}

/// Puts texts on the list of secrets.
pub fn keep<T: AsRef<str>>(secrets: impl IntoIterator<Item = T>) {
    let mut list = LIST.write().unwrap_or_else(PoisonError::into_inner);
    let mut forms: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for secret in secrets {
        let text = secret.as_ref().trim_matches('\n');
        if list.as_ref().is_some_and(|list| list.forms.contains_key(text)) {
            continue;
        }
        let whole: Arc<str> = text.into();
        for form in spellings(text) {
            if form.trim().len() >= SHORTEST {
                forms.entry(form.into()).or_insert_with(|| whole.clone());
            }
        }
    }
    if forms.is_empty() {
        return;
    }
    if let Some(old) = list.take() {
        forms.extend(old.forms);
    }
    let long = |(form, _): &(&Arc<str>, &Arc<str>)| form.trim().len() >= WORD;
    let finders = (Finder::of(forms.iter().filter(long)), Finder::of(forms.iter().filter(|form| !long(form))));
    let (Some(anywhere), Some(words)) = finders else { return };
    *list = Some(List { forms, anywhere, words });
}

/// Returns a text as programs may write it: in quotes of JSON, Python, YAML and the shell, in base64, in a URL, and each
/// of its lines alone, as a diff shows them.
fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for line in text.lines().filter(|_| text.contains('\n')) {
        // The frame of a key file is no secret.
        if !line.starts_with("-----") {
            all.push(line.trim().to_owned());
        }
    }
    let mut spelled = Vec::new();
    for text in &all {
        spelled.push(escaped(text, '"'));
        spelled.push(escaped(text, '\''));
        spelled.push(text.replace('\'', "''"));
        spelled.push(text.replace('\'', "'\\''"));
        spelled.push(in_url(text));
    }
    spelled.push(digest::base64(text.as_bytes()).trim_end_matches('=').to_owned());
    spelled.push(digest::base64(format!("{text}\n").as_bytes()).trim_end_matches('=').to_owned());
    all.extend(spelled);
    all
}

/// Escapes as Python's `repr` does, within quotes of this kind.
fn escaped(text: &str, quote: char) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            '\\' => out += "\\\\",
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn in_url(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Tells whether nothing is to be hidden.
pub fn none() -> bool {
    LIST.read().unwrap_or_else(PoisonError::into_inner).is_none()
}

/// Hides the secrets of a text.
pub fn mask(text: &str) -> Cow<'_, str> {
    let list = LIST.read().unwrap_or_else(PoisonError::into_inner);
    let Some(list) = &*list else { return Cow::Borrowed(text) };
    let mut shown = Cow::Borrowed(text);
    if list.anywhere.finder.is_match(text) {
        let mut out = String::with_capacity(text.len());
        list.anywhere.finder.replace_all_with(text, &mut out, |_, _, out| {
            out.push_str(MASK);
            true
        });
        shown = Cow::Owned(out);
    }
    if list.words.finder.find_iter(&*shown).any(|hit| is_word(&shown, hit.start(), hit.end())) {
        let mut out = String::with_capacity(shown.len());
        list.words.finder.replace_all_with(&shown, &mut out, |hit, found, out| {
            out.push_str(if is_word(&shown, hit.start(), hit.end()) { MASK } else { found });
            true
        });
        shown = Cow::Owned(out);
    }
    shown
}

/// Returns the secrets that show up in a value: what a minion that is sent it has to hide as well.
pub fn within<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<Arc<str>> {
    let list = LIST.read().unwrap_or_else(PoisonError::into_inner);
    let Some(list) = &*list else { return vec![] };
    let mut found = Vec::new();
    for value in values {
        search(list, value, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn search(list: &List, value: &Value, found: &mut Vec<Arc<str>>) {
    match value {
        Value::Str(text) => found.extend(list.within(text).cloned()),
        Value::Int(_) | Value::Float(_) => {
            let text = crate::python::str(value);
            found.extend(list.within(&text).cloned());
        }
        Value::List(items) => items.iter().for_each(|item| search(list, item, found)),
        Value::Map(map) => map.iter().for_each(|(key, value)| {
            search(list, key, found);
            search(list, value, found);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What can be shown with its secrets hidden.
pub trait Masked: Sized {
    /// Hides the secrets, if there are any on the list.
    fn masked(self) -> Self {
        if none() { self } else { self.hidden() }
    }
    /// Hides the secrets.
    fn hidden(self) -> Self;
}

impl Masked for String {
    fn hidden(self) -> Self {
        match mask(&self) {
            Cow::Borrowed(_) => self,
            Cow::Owned(text) => text,
        }
    }
}

impl Masked for Value {
    fn hidden(self) -> Self {
        match self {
            Self::Str(text) => match mask(&text) {
                Cow::Borrowed(_) => Self::Str(text),
                Cow::Owned(hidden) => Self::str(hidden),
            },
            Self::Int(_) | Self::Float(_) => {
                let text = crate::python::str(&self);
                if matches!(mask(&text), Cow::Owned(_)) { Self::str(MASK) } else { self }
            }
            Self::List(items) => Self::list(items.iter().cloned().map(Self::hidden).collect::<Vec<_>>()),
            Self::Map(map) => Self::map(Arc::unwrap_or_clone(map).hidden()),
            Self::Null | Self::Bool(_) => self,
        }
    }
}

impl Masked for Map {
    fn hidden(self) -> Self {
        self.0.into_iter().map(|(key, value)| (key.hidden(), value.hidden())).collect()
    }
}

impl Masked for ChunkReport {
    fn hidden(self) -> Self {
        Self {
            tag: self.tag.hidden(),
            id: mask(&self.id).into(),
            name: self.name.hidden(),
            changes: self.changes.hidden(),
            comment: self.comment.hidden(),
            warnings: self.warnings.hidden(),
            extra: self.extra.hidden(),
            ..self
        }
    }
}

impl Masked for RunReport {
    fn hidden(self) -> Self {
        Self { chunks: self.chunks.hidden(), ..self }
    }
}

impl Masked for Event {
    fn hidden(self) -> Self {
        match self {
            Self::Started { tag, id, fun } => Self::Started { tag: tag.hidden(), id: mask(&id).into(), fun },
            Self::Finished(chunk) => Self::Finished(Box::new((*chunk).hidden())),
            Self::Fired { tag, data } => Self::Fired { tag, data: data.hidden() },
            Self::Log { level, message } => Self::Log { level, message: message.hidden() },
        }
    }
}

impl Masked for Diagnostic {
    fn hidden(mut self) -> Self {
        self.each_text(|text| *text = std::mem::take(text).hidden());
        self
    }
}

impl<T: Masked> Masked for Vec<T> {
    fn hidden(self) -> Self {
        self.into_iter().map(T::hidden).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: the list is the process's.
    #[test]
    fn secrets_are_found_however_they_are_written() {
        assert!(none());
        let text = "an 'un\"likely\\ text";
        let key = "-----BEGIN-----\nfirst-line-of-it\nsecond-line-of-it\n-----END-----\n";
        keep([text, key, "abc", "90125", "", "x"]);
        let cases = [
            (format!("<{text}>"), "<***>".to_owned()),
            (crate::python::repr(&Value::str(text)), "'***'".into()),
            (digest::base64(text.as_bytes()), "***==".into()),
            (key.to_owned(), "***\n".into()),
            ("+first-line-of-it\n+-----END-----".into(), "+***\n+-----END-----".into()),
            ("abc, 'abc' (abc) abcd xabc ab x".into(), "***, '***' (***) abcd xabc ab x".into()),
            ("port 90125, 190125".into(), "port ***, 1***".into()),
        ];
        for (shown, expected) in cases {
            assert_eq!(mask(&shown), expected, "{shown}");
        }
        let map: Map = [("n", Value::Int(90125)), ("m", Value::Int(5)), ("k", Value::str(key))].into_iter().collect();
        let value = Value::list(vec![Value::map(map)]);
        let found = within([&value]);
        assert_eq!(found.iter().map(|secret| &**secret).collect::<Vec<_>>(), [key.trim_end(), "90125"]);
        assert_eq!(crate::python::repr(&value.masked()), "[{'n': '***', 'm': 5, 'k': '***\\n'}]");
        keep(found);
    }
}
