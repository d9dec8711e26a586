//! What `pkgrepo.*` share: one-line apt sources and sections of yum's files, edited in place.

use corpus_core::{Attrs, Content, Effect, Map, PlanCx, StateError, Value, python};
use corpus_exec::{ask, pkg};

/// A one-line apt source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub disabled: bool,
    pub kind: String,
    pub options: String,
    pub uri: String,
    pub dist: String,
    pub comps: Vec<String>,
    /// What stands behind a `#` at the line's end.
    pub comment: String,
}

impl Line {
    /// Takes a line apart.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (disabled, text) = match text.strip_prefix('#') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        let (kind, rest) = text.split_once(char::is_whitespace)?;
        if !matches!(kind, "deb" | "deb-src") {
            return None;
        }
        let rest = rest.trim();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => ("", rest),
        };
        let (rest, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let mut words = rest.split_whitespace().map(str::to_owned);
        let options = options.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Self {
            disabled,
            kind: kind.into(),
            options,
            uri: words.next()?,
            dist: words.next()?,
            comps: words.collect(),
            comment: comment.trim().to_owned(),
        })
    }

    /// Writes the line.
    pub fn write(&self) -> String {
        let mut text = String::from(if self.disabled { "# " } else { "" });
        text += &self.kind;
        if !self.options.is_empty() {
            text += &format!(" [{}]", self.options);
        }
        text += &format!(" {} {}", self.uri, self.dist);
        for comp in &self.comps {
            text += &format!(" {comp}");
        }
        if !self.comment.is_empty() {
            text += &format!("  #{}", self.comment);
        }
        text
    }

    /// Takes over what stands behind another line, unless it has its own.
    pub fn beside(&self, other: &Self) -> Self {
        let own = !self.comment.is_empty();
        Self { comment: if own { self.comment.clone() } else { other.comment.clone() }, ..self.clone() }
    }

    /// Tells whether both name the same place, whatever their options and components.
    pub fn same_place(&self, other: &Self) -> bool {
        let bare = |line: &Self| (line.kind.clone(), line.uri.trim_end_matches('/').to_owned(), line.dist.clone());
        bare(self) == bare(other)
    }
}

/// Returns the effect that writes a list.
pub fn write(cx: &PlanCx<'_>, path: &str, text: String) -> Effect {
    let attrs =
        if ask::exists(cx.host, path) { Attrs::default() } else { Attrs { mode: Some(0o644), ..Attrs::default() } };
    Effect::WriteFile { path: path.into(), content: Content::Bytes(text.into()), attrs, backup: None }
}

/// Lists the files that apt reads sources from.
pub fn apt_files(cx: &PlanCx<'_>) -> Vec<String> {
    let mut files = vec!["/etc/apt/sources.list".to_owned()];
    let folder = "/etc/apt/sources.list.d";
    let names = cx.host.list(folder.as_ref()).unwrap_or_default();
    files.extend(names.iter().filter(|name| name.ends_with(".list")).map(|name| format!("{folder}/{name}")));
    files
}

/// Where dnf, yum or zypper keeps its repositories; `None` on other machines.
pub fn yum_folder(cx: &PlanCx<'_>) -> Option<&'static str> {
    ["/etc/yum.repos.d", "/etc/zypp/repos.d"].into_iter().find(|folder| ask::is_dir(cx.host, folder))
}

/// Tells whether the machine uses apt.
pub fn is_apt(cx: &PlanCx<'_>) -> bool {
    // A folder of apt's may lie on any machine.
    match pkg::provider(cx.host) {
        Ok(packages) => packages.name() == "apt",
        Err(_) => ask::is_dir(cx.host, "/etc/apt"),
    }
}

/// Returns the settings of a section.
pub fn section(text: &str, name: &str) -> Option<Map> {
    let mut found = None::<Map>;
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title == name;
            if inside {
                found = Some(Map::new());
            }
        } else if inside
            && !line.starts_with(['#', ';'])
            && let (Some((key, value)), Some(map)) = (line.split_once('='), found.as_mut())
        {
            map.insert(key.trim(), value.trim());
        }
    }
    found
}

/// Returns the text with a section replaced, added, or removed when there are no settings.
pub fn with_section(text: &str, name: &str, settings: Option<&Map>) -> String {
    let (mut out, mut inside, mut done) = (String::new(), false, false);
    let body = |settings: &Map| -> String {
        let lines: String =
            settings.iter().map(|(key, value)| format!("{}={}\n", python::str(key), python::str(value))).collect();
        format!("[{name}]\n{lines}")
    };
    for line in text.lines() {
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title == name;
            if inside {
                if let Some(settings) = settings.filter(|_| !done) {
                    out += &body(settings);
                }
                done = true;
            }
        }
        if !inside {
            out += &format!("{line}\n");
        }
    }
    if let Some(settings) = settings.filter(|_| !done) {
        out += &body(settings);
    }
    out
}

/// Returns a setting as yum writes it: booleans as 1 and 0, lists one per line.
pub fn yum_value(value: &Value) -> String {
    match value {
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(" "),
        other => python::str(other),
    }
}

/// Returns the error for a machine whose repositories are not built.
pub fn unable() -> StateError {
    StateError::missing("Repo management not implemented on this platform")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_apt_lines() {
        for text in [
            "deb http://deb.debian.org/debian bookworm main contrib",
            "deb-src [arch=amd64 signed-by=/etc/apt/keyrings/x.asc] https://x.org/apt stable main",
            "# deb https://x.org/ ./",
            "deb https://x.org/ stable main  #why",
        ] {
            assert_eq!(Line::parse(text).expect("a source").write(), text);
        }
        assert_eq!(Line::parse("# plain words"), None);
    }

    #[test]
    fn replaces_sections() {
        let settings: Map = [("name", "X"), ("enabled", "1")].into_iter().collect();
        let text = with_section("[a]\nx=1\n[b]\ny=2\n", "a", Some(&settings));
        assert_eq!(text, "[a]\nname=X\nenabled=1\n[b]\ny=2\n");
        assert_eq!(with_section(&text, "a", None), "[b]\ny=2\n");
        assert_eq!(section(&text, "a"), Some(settings));
    }
}
