//! Push options: `git push -o plan -o only=install,fixperms`.

use serde::{Deserialize, Serialize};

/// What a pusher may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Show what would change, move nothing.
    pub plan: bool,
    pub verbose: bool,
    pub only: Vec<String>,
    pub only_steps: Vec<String>,
}

const KNOWN: &[&str] = &["plan", "verbose", "only", "only_steps"];
/// How many options, and how long.
const MOST: usize = 16;
const LONGEST: usize = 1000;

impl Options {
    /// Reads them, strictly: an option that is not understood deploys nothing.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self::default();
        for (at, word) in words.into_iter().enumerate() {
            if at >= MOST || word.len() > LONGEST {
                return Err(format!("at most {MOST} push options are taken, of {LONGEST} bytes each"));
            }
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            match (key.trim(), value) {
                ("plan", None) => options.plan = true,
                ("verbose", None) => options.verbose = true,
                ("only", Some(value)) => options.only.extend(names(key, value)?),
                ("only_steps", Some(value)) => options.only_steps.extend(names(key, value)?),
                (key @ ("plan" | "verbose"), Some(_)) => return Err(format!("the push option `{key}` takes no value")),
                (key @ ("only" | "only_steps"), None) => {
                    return Err(format!("the push option `{key}` takes names: `-o {key}=a,b`"));
                }
                (key, _) => {
                    let shown = super::text::short(key, 40);
                    let hint = corpus_core::suggest::did_you_mean(key, KNOWN.iter().copied())
                        .unwrap_or_else(|| format!("there are {}", KNOWN.join(", ")));
                    return Err(format!("the push option `{shown}` is not known; {hint}"));
                }
            }
        }
        Ok(options)
    }

    /// Checks options that came over the socket, where nobody parsed them.
    pub fn check(&self) -> Result<(), String> {
        for (key, list) in [("only", &self.only), ("only_steps", &self.only_steps)] {
            if list.len() > 200 {
                return Err(format!("`{key}` names more than 200"));
            }
            list.iter().try_for_each(|name| names(key, name).map(drop))?;
        }
        Ok(())
    }
}

fn names(key: &str, value: &str) -> Result<Vec<String>, String> {
    let list: Vec<String> =
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let good = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
            && !name.contains("..")
    };
    if list.is_empty() {
        return Err(format!("the push option `{key}` names nothing"));
    }
    match list.iter().find(|name| !good(name)) {
        Some(bad) => Err(format!("`{}` is no name for the push option `{key}`", super::text::short(bad, 40))),
        None => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_strict() {
        let read = |words: &[&str]| Options::parse(words.iter().copied());
        let all = read(&["plan", "verbose", "only=install, fixperms", "only_steps=000_a.sls"]).expect("they are good");
        assert!(all.plan && all.verbose);
        assert_eq!((all.only, all.only_steps), (vec!["install".into(), "fixperms".into()], vec!["000_a.sls".into()]));
        assert_eq!(read(&["plam"]).unwrap_err(), "the push option `plam` is not known; did you mean `plan`?");
        for bad in ["only", "only=", "only=a;id", "only=$(id)", "only=../x", "only=-x", "plan=1", "", "ci.skip", "x=y"]
        {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
        assert!(read(&["plan"; 17]).is_err() && read(&[&format!("only={}", "a".repeat(1000))]).is_err());
    }
}
