//! Names of projects: what may become a directory, a unix user, a part of an SLS name and of a push URL.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// `<name>-user` must fit into the 32 characters that Linux gives a user's name.
const LONGEST: usize = 27;

/// A name that is safe wherever it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(String);

/// Why a text is no project name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no project name: {why}")]
pub struct NameError {
    shown: String,
    why: String,
}

impl ProjectName {
    /// Reads a name: lower-case letters and digits, with single `-` or `_` between them, a letter first.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |why: String| {
            let shown: String = text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
            Err(NameError { shown, why })
        };
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().last()) else {
            return refuse("it is empty".into());
        };
        if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
            let bad: String = bad.escape_debug().collect();
            return refuse(format!("`{bad}` may not stand in it; lower-case letters, digits, `-` and `_` may"));
        }
        if text.len() > LONGEST {
            return refuse(format!("it has {} characters; {LONGEST} is the most", text.len()));
        }
        if !first.is_ascii_lowercase() {
            return refuse("it must begin with a letter".into());
        }
        if !last.is_ascii_alphanumeric() || ["--", "__", "-_", "_-"].iter().any(|twice| text.contains(twice)) {
            return refuse("`-` and `_` may only stand singly between letters and digits".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for ProjectName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProjectName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<ProjectName> for String {
    fn from(name: ProjectName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_names_and_refuses_all_else() {
        for good in ["a", "foo", "corpus-flask", "my_app2", "a-b_c"] {
            assert!(ProjectName::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            ".",
            "..",
            "-a",
            "a-",
            "a--b",
            "A",
            "a.b",
            "a/b",
            "a b",
            "a\nb",
            "0a",
            "é",
            "a;b",
            "$(x)",
            "a_-b",
            "abcdefghijklmnopqrstuvwxyzab",
        ];
        for bad in bad {
            assert!(ProjectName::parse(bad).is_err(), "{bad}");
        }
    }
}
