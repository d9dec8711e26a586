//! `strftime` and `date_format`: dates of texts and of seconds since 1970, in UTC.

use crate::args::Args;
use crate::compare::number;
use crate::eval::Vm;
use crate::fail::{R, err};
use crate::show;
use crate::value::Val;
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub fn call(_vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    if !matches!(name, "strftime" | "date_format") {
        return Ok(None);
    }
    let format = args.text(0, "format")?.unwrap_or_else(|| "%Y-%m-%d".into());
    let seconds = match value {
        Val::Str(s) => match s.trim().parse::<f64>().ok().map(|x| x as i64).or_else(|| read(s)) {
            Some(seconds) => seconds,
            None => return err(format!("cannot read a date of '{s}'; write it as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS")),
        },
        Val::None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64),
        other => number(other).map_or(0, |x| x as i64),
    };
    show::text(&Val::str(write(&format, seconds))).map(|text| Some(Val::Str(text)))
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * m + 2) / 5 + 1)
}

fn read(text: &str) -> Option<i64> {
    let numbers: Vec<i64> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|p| !p.is_empty()).filter_map(|p| p.parse().ok()).collect();
    let [year, month, day, rest @ ..] = numbers.as_slice() else { return None };
    if !(1..=12).contains(month) || !(1..=31).contains(day) || text.split(['-', '/', '.']).next()?.len() != 4 {
        return None;
    }
    let part = |i: usize| rest.get(i).copied().unwrap_or(0);
    Some(days(*year, *month, *day) * 86_400 + part(0) * 3600 + part(1) * 60 + part(2))
}

fn write(format: &str, seconds: i64) -> String {
    let day = seconds.div_euclid(86_400);
    let (year, month, mday) = civil(day);
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let weekday = (day + 4).rem_euclid(7);
    let yday = day - days(year, 1, 1) + 1;
    let name = |list: &[&str], i: i64| list.get(i as usize).copied().unwrap_or_default().to_owned();
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out += &match chars.next() {
            Some('Y') => year.to_string(),
            Some('y') => format!("{:02}", year.rem_euclid(100)),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{mday:02}"),
            Some('e') => format!("{mday:2}"),
            Some('H') => format!("{hour:02}"),
            Some('I') => format!("{:02}", (hour + 11) % 12 + 1),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{second:02}"),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.into(),
            Some('j') => format!("{yday:03}"),
            Some('a') => name(&DAYS, weekday)[..3].to_owned(),
            Some('A') => name(&DAYS, weekday),
            Some('b' | 'h') => name(&MONTHS, month - 1)[..3].to_owned(),
            Some('B') => name(&MONTHS, month - 1),
            Some('u') => if weekday == 0 { 7 } else { weekday }.to_string(),
            Some('w') => weekday.to_string(),
            Some('F') => format!("{year}-{month:02}-{mday:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('D') => format!("{month:02}/{mday:02}/{:02}", year.rem_euclid(100)),
            Some('R') => format!("{hour:02}:{minute:02}"),
            Some('s') => seconds.to_string(),
            Some('Z') => "UTC".into(),
            Some('z') => "+0000".into(),
            Some('f') => "000000".into(),
            Some('%') => "%".into(),
            Some(other) => format!("%{other}"),
            None => "%".into(),
        };
    }
    out
}
