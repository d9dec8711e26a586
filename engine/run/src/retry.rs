//! `retry`: how often, how long apart, until what.

use corpus_core::{Map, Value, python};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Salt's retry settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    until: bool,
    attempts: i64,
    interval: i64,
    splay: i64,
}

impl Retry {
    const DEFAULT: Self = Self { until: true, attempts: 2, interval: 30, splay: 0 };

    /// Reads the argument; anything of a wrong type falls back to its default.
    pub(crate) fn of(args: &Map) -> Option<Self> {
        let default = Self::DEFAULT;
        Some(match args.get("retry")? {
            Value::Map(given) => Self {
                until: given.get("until").and_then(Value::as_bool).unwrap_or(default.until),
                attempts: number(given, "attempts", default.attempts),
                interval: number(given, "interval", default.interval),
                splay: number(given, "splay", default.splay),
            },
            Value::Bool(false) => Self { attempts: 0, ..default },
            _ => default,
        })
    }

    /// Tells whether to try again after the n-th attempt.
    pub(crate) fn again(&self, attempt: u32, result: Option<bool>) -> bool {
        result != Some(self.until) && self.attempts > i64::from(attempt)
    }

    /// Returns how long to wait, the splay drawn anew.
    pub(crate) fn pause(&self) -> Duration {
        let splay = u64::try_from(self.splay).unwrap_or(0);
        // The clock's last digits are random enough to spread machines.
        let dice = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::from(d.subsec_nanos()));
        Duration::from_secs(u64::try_from(self.interval).unwrap_or(0) + dice % (splay + 1))
    }

    /// Returns the sentence that a dry run adds.
    pub(crate) fn notice(&self) -> String {
        format!(
            "The state would be retried every {} seconds (with a splay of up to {} seconds) a maximum of {} times \
             or until a result of {} is returned",
            self.interval,
            self.splay,
            self.attempts,
            python::repr(&self.until.into())
        )
    }
}

/// Returns the line that a failed attempt leaves in the comment.
pub(crate) fn attempt(n: u32, result: Option<bool>, comment: &str) -> String {
    let result = python::repr(&result.into());
    format!("Attempt {n}: Returned a result of \"{result}\", with the following comment: \"{comment}\"")
}

fn number(given: &Map, key: &str, default: i64) -> i64 {
    match given.get(key) {
        // Python: True is an int.
        Some(Value::Bool(b)) => i64::from(*b),
        Some(Value::Int(i)) => *i,
        _ => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_salt_does() {
        let given = |value: Value| Retry::of(&[("retry", value)].into_iter().collect());
        let dict = |entries: &[(&str, Value)]| Value::map(entries.iter().map(|(k, v)| (*k, v.clone())).collect());
        let d = Retry::DEFAULT;
        for (value, expected) in [
            (true.into(), d),
            (false.into(), Retry { attempts: 0, ..d }),
            ("often".into(), d),
            (Value::Null, d),
            (dict(&[("attempts", 5.into()), ("interval", 1.into())]), Retry { attempts: 5, interval: 1, ..d }),
            (dict(&[("attempts", "5".into()), ("splay", 2.into())]), Retry { splay: 2, ..d }),
            (dict(&[("until", false.into())]), Retry { until: false, ..d }),
            (dict(&[("until", 1.into())]), d),
        ] {
            assert_eq!(given(value.clone()), Some(expected), "{value:?}");
        }
        assert_eq!(Retry::of(&Map::new()), None);
    }
}
