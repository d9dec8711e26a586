//! Which lines of a client configuration apply to a host: `Host` and `Match`, as ssh_config(5) has them.

use super::config::{Settings, glob};

/// What a block stands under.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Host(Vec<String>),
    Match(Vec<Criterion>),
}

/// One word of a `Match` line with its patterns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Criterion {
    negated: bool,
    word: String,
    patterns: Vec<String>,
    /// File and line, for messages.
    at: String,
}

/// The host that a configuration is read for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The name as it was asked for.
    pub host: &'a str,
    /// The user that was asked for, who comes before what the configuration says.
    pub user: Option<&'a str>,
}

impl Condition {
    /// Reads the words of a `Match` line.
    pub(crate) fn of_match(words: &[String], at: &str) -> Result<Self, String> {
        let mut criteria = vec![];
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (negated, name) = word.strip_prefix('!').map_or((false, word.as_str()), |name| (true, name));
            let name = name.to_lowercase();
            let alone = matches!(name.as_str(), "all" | "canonical" | "final");
            let patterns = match (alone, words.as_slice().first()) {
                (true, _) => vec![],
                (false, Some(list)) => {
                    words.next();
                    list.split(',').map(str::to_owned).collect()
                }
                (false, None) => return Err(format!("{at}: `Match {word}` needs a pattern")),
            };
            criteria.push(Criterion { negated, word: name, patterns, at: at.to_owned() });
        }
        match criteria.is_empty() {
            true => Err(format!("{at}: `Match` needs a condition, such as `host NAME` or `all`")),
            false => Ok(Self::Match(criteria)),
        }
    }

    /// Tells whether the block applies, after what the lines above it have set.
    pub(crate) fn holds(&self, asked: Asked<'_>, so_far: &Settings) -> Result<bool, String> {
        match self {
            Self::Host(patterns) => Ok(matches(patterns, asked.host)),
            Self::Match(criteria) => {
                for criterion in criteria {
                    if criterion.holds(asked, so_far)? == criterion.negated {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Criterion {
    fn holds(&self, asked: Asked<'_>, so_far: &Settings) -> Result<bool, String> {
        let local = crate::route::login;
        let tested = match self.word.as_str() {
            "all" => return Ok(true),
            "host" => so_far.host_name.clone().unwrap_or_else(|| asked.host.to_owned()),
            "originalhost" => asked.host.to_owned(),
            "user" => asked.user.map(str::to_owned).or_else(|| so_far.user.clone()).unwrap_or_else(local),
            "localuser" => local(),
            other => {
                return Err(format!(
                    "{}: `Match {other}` is not built; write the block with `host`, `originalhost`, `user` or `localuser`",
                    self.at
                ));
            }
        };
        Ok(matches(&self.patterns, &tested))
    }
}

/// Tells whether a pattern list applies: one pattern matches, and no negated one.
fn matches(patterns: &[String], text: &str) -> bool {
    let mut any = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if glob(negated, text) => return false,
            Some(_) => {}
            None => any |= glob(pattern, text),
        }
    }
    any
}
