//! `/etc/hosts`: read, searched and rewritten with its comments kept.

use crate::ask;
use corpus_core::host::{HostResult, Look};
use corpus_core::plan::{Attrs, Content, Effect};

/// Where the table is.
pub const PATH: &str = "/etc/hosts";

/// The lines of a hosts file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Exactly as written; rewritten only when its entry changes.
    raw: String,
    ip: String,
    names: Vec<String>,
    comment: Option<String>,
}

impl Hosts {
    /// Reads a machine's table; empty if there is none.
    pub fn read(look: &dyn Look) -> HostResult<Self> {
        Ok(Self::parse(&ask::text(look, PATH)?.unwrap_or_default()))
    }

    /// Takes a text apart.
    pub fn parse(text: &str) -> Self {
        Self { lines: text.lines().map(Line::parse).collect() }
    }

    /// Writes the text.
    pub fn write(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.raw)).collect()
    }

    /// Returns the effect that writes it.
    pub fn effect(&self) -> Effect {
        let attrs = Attrs::default();
        Effect::WriteFile { path: PATH.into(), content: Content::Bytes(self.write().into()), attrs, backup: None }
    }

    /// Walks addresses with their names.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.lines.iter().filter(|line| !line.ip.is_empty()).map(|line| (line.ip.as_str(), line.names.as_slice()))
    }

    /// Tells whether an address carries a name.
    pub fn has(&self, ip: &str, name: &str) -> bool {
        self.entries().any(|(at, names)| at == ip && names.iter().any(|n| n == name))
    }

    /// Returns the addresses that carry a name.
    pub fn addresses_of(&self, name: &str) -> Vec<String> {
        self.entries().filter(|(_, names)| names.iter().any(|n| n == name)).map(|(ip, _)| ip.to_owned()).collect()
    }

    /// Returns the comment beside an address.
    pub fn comment_of(&self, ip: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.ip == ip)?.comment.as_deref()
    }

    /// Adds a name to the last line of its address, or a line at the end.
    pub fn add(&mut self, ip: &str, name: &str, comment: Option<&str>) {
        if self.has(ip, name) && comment.is_none_or(|text| self.comment_of(ip) == Some(text)) {
            return;
        }
        match self.lines.iter_mut().rev().find(|line| line.ip == ip) {
            Some(line) => {
                if !line.names.iter().any(|n| n == name) {
                    line.names.push(name.to_owned());
                }
                line.comment = comment.map(str::to_owned).or(line.comment.take());
                line.rewrite();
            }
            None => {
                let mut line = Line {
                    raw: String::new(),
                    ip: ip.into(),
                    names: vec![name.into()],
                    comment: comment.map(Into::into),
                };
                line.rewrite();
                self.lines.push(line);
            }
        }
    }

    /// Takes a name off an address; a line without names goes.
    pub fn remove(&mut self, ip: &str, name: &str) {
        self.lines.retain_mut(|line| {
            if line.ip != ip || !line.names.iter().any(|n| n == name) {
                return true;
            }
            line.names.retain(|n| n != name);
            line.rewrite();
            !line.names.is_empty()
        });
    }

    /// Sets the names of an address, all of them.
    pub fn set(&mut self, ip: &str, names: &[String]) {
        let mut done = false;
        self.lines.retain_mut(|line| {
            if line.ip != ip {
                return true;
            }
            if std::mem::replace(&mut done, true) || names.is_empty() {
                return false;
            }
            line.names = names.to_vec();
            line.rewrite();
            true
        });
        if !done && !names.is_empty() {
            let mut line = Line { raw: String::new(), ip: ip.into(), names: names.to_vec(), comment: None };
            line.rewrite();
            self.lines.push(line);
        }
    }
}

impl Line {
    fn parse(raw: &str) -> Self {
        let (data, comment) = match raw.split_once('#') {
            Some((data, comment)) => (data, Some(comment.trim().to_owned())),
            None => (raw, None),
        };
        let mut words = data.split_whitespace().map(str::to_owned);
        Self { raw: raw.into(), ip: words.next().unwrap_or_default(), names: words.collect(), comment }
    }

    fn rewrite(&mut self) {
        self.raw = format!("{}\t\t{}", self.ip, self.names.join(" "));
        if let Some(comment) = &self.comment {
            self.raw += &format!("\t\t# {comment}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_does_not_change() {
        let before = "# local\n127.0.0.1   localhost\n\n10.0.0.1 a b # two\n";
        let mut hosts = Hosts::parse(before);
        hosts.add("10.0.0.1", "a", None);
        assert_eq!(hosts.write(), before);
        hosts.add("10.0.0.1", "c", None);
        hosts.add("10.0.0.2", "d", Some("new"));
        hosts.remove("127.0.0.1", "localhost");
        assert_eq!(hosts.write(), "# local\n\n10.0.0.1\t\ta b c\t\t# two\n10.0.0.2\t\td\t\t# new\n");
        assert_eq!(hosts.addresses_of("c"), ["10.0.0.1"]);
        hosts.set("10.0.0.1", &["x".into()]);
        assert!(hosts.has("10.0.0.1", "x") && !hosts.has("10.0.0.1", "a"));
    }
}
