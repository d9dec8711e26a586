//! Local time without libc: the machine's zone is read from `/etc/localtime` or `TZ`. Also the locale.

use super::text;
use corpus_core::host::Look;
use corpus_core::value::{Map, Value};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the clocks of a zone show at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of Greenwich.
    pub offset: i64,
    pub name: String,
}

/// Adds `locale_info`.
pub fn add(host: &dyn Look, grains: &mut Map) {
    let (language, encoding) = locale();
    let mut info = Map::new();
    info.insert("defaultlanguage", language);
    info.insert("defaultencoding", encoding);
    info.insert("detectedencoding", "utf-8");
    info.insert("timezone", zone(host, now()).name);
    grains.insert("locale_info", info);
}

/// Splits the environment's locale into language and encoding, as Python's `locale.getlocale()` does.
fn locale() -> (Value, Value) {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_else(|| "C".into());
    let plain = locale.split('@').next().unwrap_or_default();
    match plain.split_once('.') {
        Some((language, encoding)) => {
            let encoding = if encoding.to_lowercase().replace('-', "") == "utf8" { "UTF-8" } else { encoding };
            (language.into(), encoding.into())
        }
        // Python takes a bare C locale for C.UTF-8.
        None if plain == "C" || plain == "POSIX" => ("C".into(), "UTF-8".into()),
        None => (plain.into(), "ISO8859-1".into()),
    }
}

/// Returns the seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs().cast_signed())
}

/// Returns what the machine's zone shows at a moment; UTC if it has none.
pub fn zone(host: &dyn Look, at: i64) -> Zone {
    let utc = || Zone { offset: 0, name: "UTC".into() };
    let read = |path: &str| host.read(Path::new(path)).ok().and_then(|bytes| tzif(&bytes, at));
    match std::env::var("TZ") {
        Ok(tz) if !tz.is_empty() => {
            let name = tz.trim_start_matches(':');
            let path = if name.starts_with('/') { name.to_owned() } else { format!("/usr/share/zoneinfo/{name}") };
            read(&path).or_else(|| posix(name, at)).unwrap_or_else(utc)
        }
        _ => read("/etc/localtime").unwrap_or_else(utc),
    }
}

/// Returns the zone's name, `Europe/Paris`.
pub fn zone_name(host: &dyn Look) -> Option<String> {
    if let Ok(target) = host.read_link(Path::new("/etc/localtime"))
        && let Some((_, name)) = target.to_string_lossy().split_once("zoneinfo/")
    {
        return Some(name.to_owned());
    }
    Some(text(host, "/etc/timezone")?.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Reads a compiled zone file.
fn tzif(bytes: &[u8], at: i64) -> Option<Zone> {
    let counts = |head: &[u8]| -> Option<[usize; 6]> {
        let at = |i: usize| Some(u32::from_be_bytes(head.get(20 + 4 * i..24 + 4 * i)?.try_into().ok()?) as usize);
        Some([at(0)?, at(1)?, at(2)?, at(3)?, at(4)?, at(5)?])
    };
    if !bytes.starts_with(b"TZif") {
        return None;
    }
    let [isut, isstd, leap, times, types, chars] = counts(bytes)?;
    let wide = *bytes.get(4)? >= b'2';
    let first = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut;
    let (body, size) = if wide { (bytes.get(first..)?, 8) } else { (bytes, 4) };
    let [isut, isstd, leap, times, types, chars] = counts(body)?;
    let data = body.get(44..)?;
    let moment = |i: usize| -> Option<i64> {
        let raw = data.get(i * size..(i + 1) * size)?;
        Some(if size == 8 {
            i64::from_be_bytes(raw.try_into().ok()?)
        } else {
            i32::from_be_bytes(raw.try_into().ok()?).into()
        })
    };
    let kinds = data.get(times * size..times * size + times)?;
    let table = data.get(times * (size + 1)..)?;
    let names = table.get(types * 6..types * 6 + chars)?;
    let of = |kind: usize| -> Option<Zone> {
        let entry = table.get(kind * 6..kind * 6 + 6)?;
        let offset = i32::from_be_bytes(entry[..4].try_into().ok()?).into();
        let name = names.get(usize::from(entry[5])..)?.split(|b| *b == 0).next()?;
        Some(Zone { offset, name: String::from_utf8_lossy(name).into_owned() })
    };
    let passed = (0..times).take_while(|i| moment(*i).is_some_and(|m| m <= at)).count();
    if passed == times && wide {
        // Past the table's end the rule in the footer holds.
        let footer = table.get(types * 6 + chars + leap * 12 + isstd + isut..)?;
        let rule = std::str::from_utf8(footer).ok()?.trim_matches('\n');
        if let Some(zone) = posix(rule, at) {
            return Some(zone);
        }
    }
    of(if passed == 0 { 0 } else { usize::from(*kinds.get(passed - 1)?) })
}

/// Evaluates a POSIX rule, `CET-1CEST,M3.5.0,M10.5.0/3`.
fn posix(rule: &str, at: i64) -> Option<Zone> {
    let (std_name, rest) = abbreviation(rule)?;
    let (std_west, rest) = offset(rest)?;
    let standard = Zone { offset: -std_west, name: std_name };
    if rest.is_empty() {
        return Some(standard);
    }
    let (dst_name, rest) = abbreviation(rest)?;
    let (dst_west, rest) =
        if rest.starts_with(',') || rest.is_empty() { (std_west - 3600, rest) } else { offset(rest)? };
    let summer = Zone { offset: -dst_west, name: dst_name };
    let mut dates = rest.trim_start_matches(',').split(',');
    let (start, end) = (dates.next()?, dates.next()?);
    let (year, _, _) = civil((at + standard.offset).div_euclid(86400));
    let begins = switch(start, year)? - standard.offset;
    let ends = switch(end, year)? - summer.offset;
    let is_summer = if begins < ends { (begins..ends).contains(&at) } else { !(ends..begins).contains(&at) };
    Some(if is_summer { summer } else { standard })
}

fn abbreviation(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('<') {
        let (name, rest) = rest.split_once('>')?;
        return Some((name.to_owned(), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Reads `[+-]h[:m[:s]]` as seconds.
fn offset(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-:".contains(c))).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (sign, digits) = number.strip_prefix('-').map_or((1, number.trim_start_matches('+')), |d| (-1, d));
    let mut parts = digits.split(':').map(|p| p.parse::<i64>().ok());
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    Some((sign * (hours * 3600 + minutes * 60 + seconds), rest))
}

/// Returns the local second of a year at which a rule's date switches.
fn switch(date: &str, year: i64) -> Option<i64> {
    let (day, time) = date.split_once('/').map_or((date, Some(7200)), |(d, t)| (d, offset(t).map(|(s, _)| s)));
    let days = if let Some(month_rule) = day.strip_prefix('M') {
        let mut parts = month_rule.split('.').map(|p| p.parse::<i64>().ok());
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        let first = days_from_civil(year, month, 1);
        let mut found = first + (weekday - (first + 4)).rem_euclid(7) + (week - 1) * 7;
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        while found >= days_from_civil(next_year, next_month, 1) {
            found -= 7;
        }
        found
    } else if let Some(julian) = day.strip_prefix('J') {
        let n: i64 = julian.parse().ok()?;
        let leap = days_from_civil(year, 3, 1) - days_from_civil(year, 2, 1) == 29;
        days_from_civil(year, 1, 1) + n - 1 + i64::from(leap && n >= 60)
    } else {
        days_from_civil(year, 1, 1) + day.parse::<i64>().ok()?
    };
    Some(days * 86400 + time?)
}

/// Returns the days from 1970-01-01 to a date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Returns year, month and day of a number of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

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

/// Formats a moment as `strftime` does in the C locale.
pub fn strftime(format: &str, at: i64, zone: &Zone) -> String {
    use std::fmt::Write;
    let local = at + zone.offset;
    let (days, second) = (local.div_euclid(86400), local.rem_euclid(86400));
    let (year, month, day) = civil(days);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = (days + 4).rem_euclid(7);
    let year_day = days - days_from_civil(year, 1, 1);
    let day_name = usize::try_from(weekday).ok().and_then(|i| DAYS.get(i)).copied().unwrap_or_default();
    let month_name = usize::try_from(month - 1).ok().and_then(|i| MONTHS.get(i)).copied().unwrap_or_default();
    let twelve = if h % 12 == 0 { 12 } else { h % 12 };
    let half = if h < 12 { "AM" } else { "PM" };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let code = chars.next().unwrap_or('%');
        let nested = match code {
            'D' => "%m/%d/%y",
            'F' => "%Y-%m-%d",
            'T' | 'X' => "%H:%M:%S",
            'R' => "%H:%M",
            'r' => "%I:%M:%S %p",
            'c' => "%a %b %e %H:%M:%S %Y",
            'x' => "%m/%d/%y",
            'h' => "%b",
            _ => "",
        };
        if !nested.is_empty() {
            out.push_str(&strftime(nested, at, zone));
            continue;
        }
        let _ = match code {
            'Y' => write!(out, "{year}"),
            'C' => write!(out, "{:02}", year / 100),
            'y' => write!(out, "{:02}", year % 100),
            'm' => write!(out, "{month:02}"),
            'd' => write!(out, "{day:02}"),
            'e' => write!(out, "{day:2}"),
            'H' => write!(out, "{h:02}"),
            'I' => write!(out, "{twelve:02}"),
            'k' => write!(out, "{h:2}"),
            'l' => write!(out, "{twelve:2}"),
            'M' => write!(out, "{m:02}"),
            'S' => write!(out, "{s:02}"),
            'p' => write!(out, "{half}"),
            'P' => write!(out, "{}", half.to_lowercase()),
            'j' => write!(out, "{:03}", year_day + 1),
            'a' => write!(out, "{}", &day_name[..3]),
            'A' => write!(out, "{day_name}"),
            'b' => write!(out, "{}", &month_name[..3]),
            'B' => write!(out, "{month_name}"),
            'w' => write!(out, "{weekday}"),
            'u' => write!(out, "{}", if weekday == 0 { 7 } else { weekday }),
            'U' => write!(out, "{:02}", (year_day + 7 - weekday) / 7),
            'W' => write!(out, "{:02}", (year_day + 7 - (weekday + 6) % 7) / 7),
            's' => write!(out, "{at}"),
            'Z' => write!(out, "{}", zone.name),
            'z' => {
                let sign = if zone.offset < 0 { '-' } else { '+' };
                write!(out, "{sign}{:02}{:02}", zone.offset.abs() / 3600, zone.offset.abs() / 60 % 60)
            }
            'n' => writeln!(out),
            't' => write!(out, "\t"),
            '%' => write!(out, "%"),
            other => write!(out, "%{other}"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_rules_of_zones() {
        // Checked with `TZ=… date -d @…`.
        for (rule, at, expected) in [
            ("UTC0", 0, (0, "UTC")),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_700_000_000, (3600, "CET")),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_720_000_000, (7200, "CEST")),
            ("EST5EDT,M3.2.0,M11.1.0", 1_720_000_000, (-14400, "EDT")),
            ("NZST-12NZDT,M9.5.0,M4.1.0/3", 1_704_067_200, (46800, "NZDT")),
            ("<+0530>-5:30", 0, (19800, "+0530")),
        ] {
            let zone = posix(rule, at).unwrap();
            assert_eq!((zone.offset, &*zone.name), expected, "{rule}");
        }
    }

    #[test]
    fn formats_moments() {
        let utc = Zone { offset: 0, name: "UTC".into() };
        for (format, at, expected) in [
            ("%Y-%m-%d %H:%M:%S", 1_709_210_096, "2024-02-29 12:34:56"),
            ("%a %b %e %j %U %W %u %Z%z", 1_709_210_096, "Thu Feb 29 060 08 09 4 UTC+0000"),
            ("%I%p %y %% %F", 0, "12AM 70 % 1970-01-01"),
        ] {
            assert_eq!(strftime(format, at, &utc), expected);
        }
    }
}
