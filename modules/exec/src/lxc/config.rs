//! A container's configuration file: `key = value` lines, kept as they stand but for those that are set. What corpus
//! knows and LXC does not stands in comments, `# corpus.owner = shop`.

/// A configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Raw(String),
    Pair(String, String),
}

const NOTE: &str = "# corpus.";

impl Config {
    /// Reads a file.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| match line.split_once('=') {
            Some((key, value)) if !line.trim_start().starts_with('#') => {
                Line::Pair(key.trim().to_owned(), value.trim().to_owned())
            }
            _ => Line::Raw(line.to_owned()),
        };
        Self { lines: text.lines().map(line).collect() }
    }

    /// Writes the file.
    pub fn text(&self) -> String {
        let line = |line: &Line| match line {
            Line::Raw(text) => format!("{text}\n"),
            Line::Pair(key, value) => format!("{key} = {value}\n"),
        };
        self.lines.iter().map(line).collect()
    }

    /// Walks the settings.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Pair(key, value) => Some((key.as_str(), value.as_str())),
            Line::Raw(_) => None,
        })
    }

    /// Returns the last value of a key, which is the one that counts.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs().filter(|(have, _)| *have == key).map(|(_, value)| value).last()
    }

    /// Returns all values of a key.
    pub fn all(&self, key: &str) -> Vec<&str> {
        self.pairs().filter(|(have, _)| *have == key).map(|(_, value)| value).collect()
    }

    /// Sets a key to one value.
    pub fn set(&mut self, key: &str, value: &str) {
        self.set_all(key, &[value.to_owned()]);
    }

    /// Sets a key to these values, where the first of the old ones stood; none removes it.
    pub fn set_all(&mut self, key: &str, values: &[String]) {
        let is = |line: &Line| matches!(line, Line::Pair(have, _) if have == key);
        let at = self.lines.iter().position(is);
        self.lines.retain(|line| !is(line));
        let at = at.unwrap_or(self.lines.len());
        self.lines.splice(at..at, values.iter().map(|value| Line::Pair(key.to_owned(), value.clone())));
    }

    /// Removes all keys that start so.
    pub fn remove_prefix(&mut self, prefix: &str) {
        self.lines.retain(|line| !matches!(line, Line::Pair(key, _) if key.starts_with(prefix)));
    }

    /// Returns what a comment of corpus says.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match line {
            Line::Raw(text) => {
                let (have, value) = text.strip_prefix(NOTE)?.split_once('=')?;
                (have.trim() == key).then_some(value.trim())
            }
            Line::Pair(..) => None,
        })
    }

    /// Writes a comment of corpus; an empty one is removed.
    pub fn set_note(&mut self, key: &str, value: &str) {
        let start = format!("{NOTE}{key} =");
        self.lines.retain(|line| !matches!(line, Line::Raw(text) if text.starts_with(&start)));
        if !value.is_empty() {
            let value = value.replace(['\n', '\r'], " ");
            self.lines.insert(0, Line::Raw(format!("{start} {value}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn keeps_what_is_not_set() {
        let text = "# a remark\nlxc.uts.name=a\n\nlxc.mount.entry = x\nlxc.mount.entry = y = z\nlxc.arch = linux64\n";
        let mut config = Config::parse(text);
        assert_eq!(config.all("lxc.mount.entry"), ["x", "y = z"]);
        config.set_all("lxc.mount.entry", &["q".into()]);
        config.set("lxc.start.auto", "1");
        config.set_note("owner", "shop");
        let after = "# corpus.owner = shop\n# a remark\nlxc.uts.name = a\n\nlxc.mount.entry = q\nlxc.arch = linux64\n\
                     lxc.start.auto = 1\n";
        assert_eq!(config.text(), after);
        assert_eq!(config.note("owner"), Some("shop"));
        config.set_note("owner", "");
        config.remove_prefix("lxc.start.");
        assert_eq!(config.note("owner"), None);
        assert_eq!(Config::parse(&config.text()), config);
    }
}
