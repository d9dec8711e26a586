//! Times that names of files tell: Python's `strptime` as far as names of backups go.

use crate::grains::clock::{civil, days_from_civil};

/// A moment in parts: what groups of backups are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    days: i64,
    second: i64,
    exact: i64,
}

impl Moment {
    /// Takes seconds since 1970, local time, and what orders files of one second.
    pub fn of(local: i64, exact: i64) -> Self {
        Self { days: local.div_euclid(86_400), second: local.rem_euclid(86_400), exact }
    }

    /// Returns year, month, day, hour and the moment itself.
    pub fn parts(&self) -> [i64; 5] {
        let (year, month, day) = civil(self.days);
        [year, month, day, self.second / 3600, self.exact]
    }

    /// Returns seconds since 1970, as if it were universal time.
    pub fn seconds(&self) -> i64 {
        self.days * 86_400 + self.second
    }

    /// Returns year, ISO week, day of the week from Monday and the moment itself.
    pub fn week_parts(&self) -> [i64; 4] {
        let weekday = (self.days + 3).rem_euclid(7);
        // The week of a day is that of its Thursday.
        let thursday = self.days - weekday + 3;
        let first = days_from_civil(civil(thursday).0, 1, 1);
        [civil(self.days).0, (thursday - first) / 7 + 1, weekday, self.exact]
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads a time out of a text that is wholly of a format; `None` if it is not. An error names a directive that is not
/// known.
pub fn strptime(format: &str, text: &str) -> Result<Option<Moment>, String> {
    let (mut year, mut month, mut day, mut of_year) = (1900, 1, 1, None);
    let (mut hour, mut minute, mut second, mut afternoon, mut micros) = (0, 0, 0, None, 0);
    let (mut rest, mut letters) = (text, format.chars());
    let mut good = true;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            if letter.is_whitespace() {
                rest = rest.trim_start();
            } else {
                good &= strip(&mut rest, letter);
            }
            continue;
        }
        let mut number = |most: usize, low: i64, high: i64| {
            let found = digits(&mut rest, most, high).filter(|number| (low..=high).contains(number));
            good &= found.is_some();
            found.unwrap_or(low)
        };
        match letters.next() {
            // Four digits, no fewer.
            Some('Y') => year = number(4, 1000, 9999),
            Some('y') => {
                let short = number(2, 0, 99);
                year = if short < 69 { 2000 + short } else { 1900 + short };
            }
            Some('m') => month = number(2, 1, 12),
            Some('d') => day = number(2, 1, 31),
            Some('j') => of_year = Some(number(3, 1, 366)),
            Some('H') => hour = number(2, 0, 23),
            Some('I') => hour = number(2, 1, 12),
            Some('M') => minute = number(2, 0, 59),
            Some('S') => second = number(2, 0, 61),
            Some('f') => {
                let before = rest.len();
                let fraction = digits(&mut rest, 6, 999_999);
                good &= fraction.is_some();
                micros = fraction.unwrap_or(0) * 10_i64.pow(6 - (before - rest.len()).min(6) as u32);
            }
            Some('p') => {
                afternoon = Some(word(&mut rest, &["am", "pm"], 2) == Some(1));
                good &= afternoon.is_some();
            }
            Some('b' | 'h') => {
                let found = word(&mut rest, &MONTHS, 3);
                good &= found.is_some();
                month = found.unwrap_or(0) as i64 + 1;
            }
            Some('B') => {
                let found = word(&mut rest, &MONTHS, usize::MAX);
                good &= found.is_some();
                month = found.unwrap_or(0) as i64 + 1;
            }
            Some('%') => good &= strip(&mut rest, '%'),
            Some(other) => {
                return Err(format!("`%{other}` is not built; known are %Y %y %m %d %j %b %B %H %I %p %M %S %f"));
            }
            None => return Err("it ends with a lone `%`".into()),
        }
    }
    if let Some(afternoon) = afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let days = match of_year {
        Some(of_year) => days_from_civil(year, 1, 1) + of_year - 1,
        None => days_from_civil(year, month, day),
    };
    // There is no 31st of February.
    let real = of_year.is_some() || civil(days) == (year, month, day);
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    Ok((good && real && rest.is_empty()).then(|| Moment::of(local, local * 1_000_000 + micros)))
}

fn strip(rest: &mut &str, letter: char) -> bool {
    let found = rest.strip_prefix(letter);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

/// Takes as many digits as there may be, and as fit.
fn digits(rest: &mut &str, most: usize, high: i64) -> Option<i64> {
    let there = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    for length in (1..=there).rev() {
        let (head, tail) = rest.split_at(length);
        if let Some(number) = head.parse().ok().filter(|number: &i64| *number <= high) {
            *rest = tail;
            return Some(number);
        }
    }
    None
}

/// Takes one of some words, or as many letters of it.
fn word(rest: &mut &str, words: &[&str], letters: usize) -> Option<usize> {
    let at = words.iter().position(|word| {
        let word = word.get(..letters.min(word.len())).unwrap_or(word);
        rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    })?;
    *rest = &rest[letters.min(words[at].len())..];
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_python_does() {
        let parts =
            |format: &str, text: &str| strptime(format, text).map(|found| found.map(|m| m.parts()[..4].to_vec()));
        for (format, text, expected) in [
            ("b_%Y%m%dT%H%M%S.tar", "b_20240229T235959.tar", Some(vec![2024, 2, 29, 23])),
            ("%Y-%m-%d", "2023-2-9", Some(vec![2023, 2, 9, 0])),
            ("%Y%m%d", "20230230", None),
            ("%Y%m%d", "20230101x", None),
            ("%d%b%y %I%p", "03Mar21 11PM", Some(vec![2021, 3, 3, 23])),
            ("%Y.%j", "2024.60", Some(vec![2024, 2, 29, 0])),
            ("%B%%", "may%", Some(vec![1900, 5, 1, 0])),
        ] {
            assert_eq!(parts(format, text), Ok(expected), "{format} {text}");
        }
        assert!(strptime("%Q", "1").is_err());
    }

    #[test]
    fn counts_weeks_as_iso_does() {
        let week =
            |year, month, day| Moment::of(days_from_civil(year, month, day) * 86_400, 0).week_parts()[..3].to_vec();
        assert_eq!(week(2021, 1, 3), [2021, 53, 6]);
        assert_eq!(week(2024, 12, 30), [2024, 1, 0]);
        assert_eq!(week(2026, 11, 25), [2026, 48, 2]);
    }
}
