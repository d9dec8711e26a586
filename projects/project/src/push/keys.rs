//! Who may push, as a directory told it: its answers are kept for a bounded time, good and bad ones alike, so that a
//! storm of connections is one question, and so that a directory that is down need not keep everybody out.

use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A person who may push, with all keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pusher {
    pub name: String,
    pub keys: Vec<String>,
}

/// Where answers are kept, and how long they hold.
#[derive(Clone, Debug)]
pub struct Kept {
    /// A directory of root's.
    pub dir: PathBuf,
    /// What was asked: an answer to another question is none.
    pub about: String,
    /// How long an answer holds: a key that was taken away opens nothing after that.
    pub fresh: Duration,
    /// How long the last answer serves while the directory is down; zero: not at all.
    pub down: Duration,
}

#[derive(Default, Serialize, Deserialize)]
struct Answer {
    about: String,
    at: Option<u64>,
    people: Vec<Pusher>,
    failed: Option<(u64, String)>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Tells whether a moment is no longer ago than that; one that lies ahead is of a clock that was wrong.
fn within(at: u64, most: Duration) -> bool {
    now().checked_sub(at).is_some_and(|age| age < most.as_secs())
}

impl Kept {
    /// Answers from what is kept, else by asking. What could not be asked is an error, unless the last answer serves;
    /// then it says why.
    pub fn people(
        &self,
        project: &str,
        ask: impl FnOnce() -> Result<Vec<Pusher>, String>,
    ) -> Result<(Vec<Pusher>, Option<String>), String> {
        let path = self.dir.join(format!("{project}.json"));
        let kept = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Answer>(&text).ok());
        let mut kept = kept.filter(|kept| kept.about == self.about).unwrap_or_default();
        if kept.at.is_some_and(|at| within(at, self.fresh)) {
            return Ok((kept.people, None));
        }
        let why = match kept.failed.take().filter(|(at, _)| within(*at, self.fresh)) {
            Some((_, why)) => why,
            None => {
                kept.about.clone_from(&self.about);
                match ask() {
                    Ok(people) => (kept.at, kept.people) = (Some(now()), people),
                    Err(why) => kept.failed = Some((now(), why)),
                }
                if !self.fresh.is_zero() || !self.down.is_zero() {
                    self.keep(&path, &kept).map_err(|error| format!("{}: {error}", path.display()))?;
                }
                match kept.failed.take() {
                    None => return Ok((kept.people, None)),
                    Some((_, why)) => why,
                }
            }
        };
        match kept.at.is_some_and(|at| within(at, self.down)) {
            true => Ok((kept.people, Some(why))),
            false => Err(why),
        }
    }

    fn keep(&self, path: &std::path::Path, answer: &Answer) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&serde_json::to_vec(answer)?)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pusher(name: &str) -> Pusher {
        Pusher { name: name.into(), keys: vec!["ssh-ed25519 AAAA".into()] }
    }

    /// Makes what is kept older.
    fn age(kept: &Kept, seconds: u64) {
        let path = kept.dir.join("shop.json");
        let mut answer: Answer = serde_json::from_slice(&std::fs::read(&path).expect("kept")).expect("whole");
        answer.at = answer.at.map(|at| at - seconds);
        answer.failed = answer.failed.map(|(at, why)| (at - seconds, why));
        kept.keep(&path, &answer).expect("written");
    }

    #[test]
    fn answers_hold_as_long_as_is_said_and_no_longer() {
        let dir = tempfile::tempdir().expect("a directory");
        let fresh = Duration::from_secs(60);
        let kept = Kept { dir: dir.path().join("keys"), about: "a".into(), fresh, down: Duration::ZERO };
        let never = || -> Result<Vec<Pusher>, String> { panic!("nobody need be asked") };
        let names = |people: Vec<Pusher>| people.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(kept.people("shop", || Ok(vec![pusher("ann")])).expect("an answer").0), ["ann"]);
        assert_eq!(names(kept.people("shop", never).expect("kept").0), ["ann"]);
        // Another question, and another project, are asked.
        let other = Kept { about: "b".into(), ..kept.clone() };
        assert!(other.people("other", || Ok(vec![])).expect("an answer").0.is_empty());
        assert!(other.people("other", never).expect("nobody is an answer, too").0.is_empty());
        age(&kept, 61);
        assert!(kept.people("shop", || Ok(vec![])).expect("asked again").0.is_empty());
        // Down: nobody, and it is not asked again at once.
        age(&kept, 61);
        assert_eq!(kept.people("shop", || Err("down".into())), Err("down".to_owned()));
        assert_eq!(kept.people("shop", never), Err("down".to_owned()));
        age(&kept, 61);
        assert_eq!(names(kept.people("shop", || Ok(vec![pusher("eve")])).expect("up again").0), ["eve"]);
        // Down, and the last answer serves: for so long.
        let lasting = Kept { down: Duration::from_secs(600), ..kept.clone() };
        age(&lasting, 61);
        let (people, why) = lasting.people("shop", || Err("down".into())).expect("the last answer");
        assert_eq!((names(people), why.as_deref()), (vec!["eve".to_owned()], Some("down")));
        assert!(lasting.people("shop", never).expect("not asked again").1.is_some());
        age(&lasting, 600);
        assert_eq!(lasting.people("shop", || Err("down".into())), Err("down".to_owned()));
        // A clock that was ahead keeps nothing alive.
        let path = kept.dir.join("shop.json");
        let ahead = Answer { about: "a".into(), at: Some(now() + 999), people: vec![pusher("x")], failed: None };
        kept.keep(&path, &ahead).expect("written");
        assert!(kept.people("shop", || Ok(vec![])).expect("asked").0.is_empty());
        let none = Kept { dir: dir.path().join("none"), fresh: Duration::ZERO, ..kept };
        assert!(none.people("shop", || Ok(vec![])).is_ok() && !none.dir.exists());
    }
}
