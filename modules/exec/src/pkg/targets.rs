//! What a declaration asks for: names with versions, version comparisons, and whether they hold.

use super::Packages;
use corpus_core::host::Look;
use corpus_core::{Value, python};
use std::cmp::Ordering;

/// One package that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// As written: `1.2-3`, `>=1.2`, `1.2*`; several comparisons are joined by commas.
    pub version: Option<String>,
}

impl Wanted {
    /// Makes one of a name and perhaps a version.
    pub fn new(name: impl Into<String>, version: Option<String>) -> Self {
        Self { name: name.into(), version: version.filter(|text| !text.is_empty()) }
    }

    /// Returns how Salt shows it: `vim`, `vim=1.2`, `vim>=1.2`.
    pub fn show(&self) -> String {
        match &self.version {
            None => self.name.clone(),
            Some(version) if version.starts_with(['<', '>', '=', '!']) => format!("{}{version}", self.name),
            Some(version) => format!("{}={version}", self.name),
        }
    }

    /// Returns the version if it is one exactly, no comparison and no pattern.
    pub fn exact(&self) -> Option<&str> {
        let version = self.version.as_deref()?;
        let version = version.strip_prefix("==").or_else(|| version.strip_prefix('=')).unwrap_or(version);
        (!version.starts_with(['<', '>', '!']) && !version.contains([',', '*', '?'])).then_some(version)
    }
}

/// Reads Salt's `pkgs` list: names, and mappings of a name to its version.
pub fn parse_pkgs(items: &[Value]) -> Result<Vec<Wanted>, String> {
    let mut wanted = vec![];
    for item in items {
        match item {
            Value::Map(entries) => {
                for (name, version) in entries.iter() {
                    let version = (!version.is_null()).then(|| python::str(version));
                    wanted.push(Wanted::new(python::str(name), version));
                }
            }
            Value::List(_) | Value::Null => {
                return Err("Invalidly formatted 'pkgs' parameter. See minion log.".into());
            }
            name => wanted.push(Wanted::new(python::str(name), None)),
        }
    }
    Ok(wanted)
}

/// Tells whether an installed version is what a version text asks for.
pub fn satisfies(packages: &dyn Packages, look: &dyn Look, have: &str, asked: &str) -> bool {
    asked.split(',').map(str::trim).all(|asked| one_satisfied(packages, look, have, asked))
}

fn one_satisfied(packages: &dyn Packages, look: &dyn Look, have: &str, asked: &str) -> bool {
    let (operator, version) = ["<=", ">=", "==", "!=", "<", ">", "="]
        .into_iter()
        .find_map(|operator| Some((operator, asked.strip_prefix(operator)?.trim())))
        .unwrap_or(("==", asked));
    if operator.ends_with('=') && !operator.starts_with(['<', '>']) && version.contains(['*', '?', '[']) {
        return glob(version, have) != operator.starts_with('!');
    }
    let order = packages.compare(look, have, version);
    match operator {
        "<=" => order != Ordering::Greater,
        ">=" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        ">" => order == Ordering::Greater,
        "!=" => order != Ordering::Equal,
        // A version without its Debian revision or epoch is not the same one; dpkg decides.
        _ => order == Ordering::Equal,
    }
}

/// Matches shell patterns of `*` and `?`.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t])) {
            p += 1;
            t += 1;
        } else if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    #[test]
    fn decides_about_versions() {
        let fake = Fake::new();
        for (have, asked, holds) in [
            ("1.2-3", "1.2-3", true),
            ("1.2-3", "1.2", false),
            ("1.2-3", "1.2*", true),
            ("1.2-3", ">=1.2", true),
            ("1.2-3", ">= 1.0, < 2.0", true),
            ("1.2-3", "<1.2", false),
            ("1.2-3", "!=1.2-3", false),
            ("1.2-3", "=1.2-3", true),
        ] {
            assert_eq!(satisfies(&super::super::apt::Apt, &fake, have, asked), holds, "{have} {asked}");
        }
    }

    #[test]
    fn reads_salts_list() {
        let one: corpus_core::Map = [("vim", "2:9.0")].into_iter().collect();
        let list = [Value::from("git"), one.into()];
        let wanted = parse_pkgs(&list).expect("well formed");
        assert_eq!(wanted[0].show(), "git");
        assert_eq!((wanted[1].show().as_str(), wanted[1].exact()), ("vim=2:9.0", Some("2:9.0")));
        assert_eq!(Wanted::new("x", Some(">=1".into())).show(), "x>=1");
    }
}
