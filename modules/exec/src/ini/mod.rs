//! Files of `[section]` and `key = value`, read and written as Salt does it: comments and unknown lines stay,
//! the space around separators becomes one style.

use crate::ask;
use corpus_core::host::{HostResult, Look};
use corpus_core::{Map, Value, python};
use indexmap::IndexMap;

/// A section, or a whole file: a section without a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section(IndexMap<String, Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// The value of a key; for names that begin with `#`, a comment or a line that is neither.
    Text(String),
    Section(Section),
}

/// How keys and values are told apart and put together.
#[derive(Clone, Debug)]
pub struct Style {
    pub separator: String,
    pub no_spaces: bool,
}

impl Style {
    fn written(&self) -> String {
        match self.separator.trim_matches(' ') {
            "" => " ".into(),
            _ if self.no_spaces => self.separator.trim().into(),
            _ => format!(" {} ", self.separator.trim()),
        }
    }

    /// Takes `key = value` apart: indentation, key, value.
    fn split<'a>(&self, line: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        // A key has at least one character, even if that is the separator.
        let first = text.chars().next()?.len_utf8();
        let at = first + text[first..].find(&self.separator)?;
        Some((indent, text[..at].trim_end(), text[at + self.separator.len()..].trim_start()))
    }
}

/// Reads a file; empty if there is none.
pub fn read(look: &dyn Look, path: &str, style: &Style) -> HostResult<Section> {
    Ok(Section::parse(&ask::text(look, path)?.unwrap_or_default(), style))
}

fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').filter(|name| !name.is_empty())
}

impl Section {
    /// Takes a text apart.
    pub fn parse(text: &str, style: &Style) -> Self {
        let mut parts: Vec<(Option<&str>, Vec<&str>)> = vec![(None, vec![])];
        for line in text.lines() {
            match header(line) {
                Some(name) => {
                    if let Some((_, lines)) = parts.last_mut() {
                        lines.truncate(lines.iter().rposition(|l| !l.trim().is_empty()).map_or(0, |at| at + 1));
                    }
                    parts.push((Some(name), vec![]));
                }
                None => {
                    if let Some((_, lines)) = parts.last_mut()
                        && !(lines.is_empty() && line.trim().is_empty())
                    {
                        lines.push(line);
                    }
                }
            }
        }
        let mut file = Self::default();
        for (name, lines) in parts {
            let body = Self::of_lines(&lines, style);
            match name {
                None => file = body,
                // Salt merges what is read into what it has, so a section may be written in several places.
                Some(name) => _ = file.put_section(name, body, style),
            }
        }
        file
    }

    fn of_lines(lines: &[&str], style: &Style) -> Self {
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
        let (mut out, mut comments, mut unknown, mut indented) = (Self::default(), 0, 0, String::new());
        for line in &lines[..end] {
            if line.trim_start().starts_with(['#', ';']) {
                comments += 1;
                out.0.insert(format!("#comment{comments}"), Item::Text((*line).into()));
                continue;
            }
            let deep = line[..line.len() - line.trim_start().len()].replace('\t', "    ");
            // Deeper than the key above: more of its value.
            if !deep.is_empty()
                && deep > indented
                && let Some((_, Item::Text(value))) = out.0.last_mut()
            {
                *value += &format!("\n{line}");
                continue;
            }
            match style.split(line) {
                Some((indent, key, value)) => {
                    indented = indent.replace('\t', "    ");
                    out.0.insert(key.into(), Item::Text(value.into()));
                }
                None => {
                    unknown += 1;
                    out.0.insert(format!("#unknown{unknown}"), Item::Text((*line).into()));
                }
            }
        }
        out
    }

    fn put_section(&mut self, name: &str, body: Self, style: &Style) -> Value {
        let known = self.0.entry(name.into()).or_insert_with(|| Item::Section(Self::default()));
        let mut changes = Map::new();
        if let Item::Section(section) = known {
            for (mut key, item) in body.0 {
                // Comments of a second piece are not those of the first.
                while key.starts_with('#') && section.0.contains_key(&key) {
                    key.push('\'');
                }
                match item {
                    Item::Text(text) => section.set(&key, &text, style, &mut changes),
                    Item::Section(_) => {}
                }
            }
        }
        changes.into()
    }

    fn set(&mut self, key: &str, value: &str, style: &Style, changes: &mut Map) {
        let before = match self.0.get_mut(key) {
            Some(Item::Section(_)) => return,
            Some(Item::Text(old)) if old == value => return,
            Some(Item::Text(old)) => Value::from(std::mem::replace(old, value.into())),
            None => {
                // Salt: a key that is commented out is set in that place.
                let commented = self.0.iter().position(|(name, item)| match item {
                    Item::Text(line) => {
                        name.starts_with("#comment")
                            && style.split(line.trim_start_matches('#')).is_some_and(|(_, found, _)| found == key)
                    }
                    Item::Section(_) => false,
                });
                let at = commented.unwrap_or(self.0.len());
                if commented.is_some() {
                    self.0.shift_remove_index(at);
                }
                self.0.shift_insert(at, key.into(), Item::Text(value.into()));
                Value::Null
            }
        };
        changes.insert(key, change(before, value));
    }

    /// Sets keys, and keys of sections; returns what changed.
    pub fn update(&mut self, wanted: &Map, style: &Style) -> Map {
        let mut changes = Map::new();
        for (key, value) in wanted {
            let key = python::str(key);
            let Some(body) = value.as_map() else {
                self.set(&key, &python::str(value), style, &mut changes);
                continue;
            };
            let new = !matches!(self.0.get(&key), Some(Item::Section(_)));
            let mut section = match self.0.get(&key) {
                Some(Item::Section(section)) => section.clone(),
                _ => Self::default(),
            };
            let inner = section.update(body, style);
            let after = section.values();
            self.0.insert(key.clone(), Item::Section(section));
            if new {
                changes.insert(key, change(Value::Null, after));
            } else if !inner.is_empty() {
                changes.insert(key, inner);
            }
        }
        changes
    }

    /// Takes a key out, of a section or of the top, and returns its value.
    pub fn remove(&mut self, section: Option<&str>, key: &str) -> Option<String> {
        let inner = match section.filter(|name| !name.is_empty()) {
            Some(name) => match self.0.get_mut(name)? {
                Item::Section(section) => section,
                Item::Text(_) => return None,
            },
            None => self,
        };
        match inner.0.get(key)? {
            Item::Section(_) => None,
            Item::Text(_) => match inner.0.shift_remove(key)? {
                Item::Text(text) => Some(text),
                Item::Section(_) => None,
            },
        }
    }

    /// Takes a section out and returns what it held.
    pub fn remove_section(&mut self, name: &str) -> Option<Map> {
        let held = self.section(name)?;
        self.0.shift_remove(name);
        Some(held)
    }

    /// Returns the keys of a section.
    pub fn section(&self, name: &str) -> Option<Map> {
        match self.0.get(name)? {
            Item::Section(section) => Some(section.values()),
            Item::Text(_) => None,
        }
    }

    /// Returns the value of a key, of a section or of the top.
    pub fn get(&self, section: Option<&str>, key: &str) -> Option<Value> {
        match section.filter(|name| !name.is_empty()) {
            Some(name) => self.section(name)?.get(key).cloned(),
            None => self.values().get(key).cloned(),
        }
    }

    /// Returns all of it as data, without comments.
    pub fn values(&self) -> Map {
        let value = |item: &Item| match item {
            Item::Text(text) => Value::from(text.as_str()),
            Item::Section(section) => section.values().into(),
        };
        self.0.iter().filter(|(key, _)| !key.starts_with('#')).map(|(key, item)| (key.as_str(), value(item))).collect()
    }

    /// Writes the text.
    pub fn write(&self, style: &Style) -> String {
        let mut out = String::new();
        self.lines(&style.written(), &mut out);
        out.trim_start_matches('\n').to_owned()
    }

    fn lines(&self, separator: &str, out: &mut String) {
        for (key, item) in &self.0 {
            match item {
                Item::Text(line) if key.starts_with('#') => *out += &format!("{line}\n"),
                Item::Text(value) => *out += &format!("{key}{separator}{value}\n"),
                Item::Section(_) => {}
            }
        }
        for (name, item) in &self.0 {
            if let Item::Section(section) = item {
                *out += &format!("\n[{name}]\n");
                section.lines(separator, out);
            }
        }
    }
}

/// Shows a value before and after, as Salt's `changes` do.
pub fn change(before: impl Into<Value>, after: impl Into<Value>) -> Value {
    [("before", before.into()), ("after", after.into())].into_iter().collect::<Map>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(separator: &str, no_spaces: bool) -> Style {
        Style { separator: separator.into(), no_spaces }
    }

    #[test]
    fn keeps_comments_and_continued_lines() {
        let text = "; first\ntop=1\n\n[a]\n# one\nkey = x\n  more\nflag\n\n[b]\nport: 7\n";
        let mut file = Section::parse(text, &style("=", false));
        assert_eq!(file.get(Some("a"), "key"), Some("x\n  more".into()));
        let wanted: Map = [("a", Value::from([("new", 5)].into_iter().collect::<Map>()))].into_iter().collect();
        let changes = file.update(&wanted, &style("=", false));
        assert_eq!(python::repr(&changes.into()), "{'a': {'new': {'before': None, 'after': '5'}}}");
        let written = "; first\ntop = 1\n\n[a]\n# one\nkey = x\n  more\nflag\nnew = 5\n\n[b]\nport: 7\n";
        assert_eq!(file.write(&style("=", false)), written);
        assert_eq!(file.remove(Some("a"), "new").as_deref(), Some("5"));
        assert_eq!(file.remove_section("b").map(|held| held.len()), Some(0));
    }

    #[test]
    fn sets_a_key_where_it_was_commented_out() {
        let mut file = Section::parse("[a]\n#port = 1\nhost = x\n", &style("=", true));
        let body: Map = [("port", 2)].into_iter().collect();
        file.update(&[("a", Value::from(body))].into_iter().collect(), &style("=", true));
        assert_eq!(file.write(&style("=", true)), "[a]\nport=2\nhost=x\n");
    }

    #[test]
    fn writes_separators_as_salt_does() {
        let mut file = Section::parse("a b\nc:d\n", &style(" ", false));
        file.update(&[("e", 1)].into_iter().collect(), &style(" ", false));
        assert_eq!(file.write(&style(" ", false)), "a b\nc:d\ne 1\n");
    }
}
