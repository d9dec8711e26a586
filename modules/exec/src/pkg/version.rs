//! How package managers order versions: Debian's rule and RPM's.

use std::cmp::Ordering;

/// Compares two Debian versions, `[epoch:]upstream[-revision]`, as `dpkg --compare-versions` does.
pub fn debian(a: &str, b: &str) -> Ordering {
    let (a, b) = (split_debian(a), split_debian(b));
    a.0.cmp(&b.0).then_with(|| debian_part(a.1, b.1)).then_with(|| debian_part(a.2, b.2))
}

fn split_debian(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Letters before other signs, `~` before everything, even before the end.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(digit) if digit.is_ascii_digit() => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(letter),
        Some(other) => i32::from(other) + 256,
    }
}

fn debian_part(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    let digit = |text: &[u8], at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    while i < a.len() || j < b.len() {
        while (i < a.len() && !digit(a, i)) || (j < b.len() && !digit(b, j)) {
            let order = weight(a.get(i).copied()).cmp(&weight(b.get(j).copied()));
            if order.is_ne() {
                return order;
            }
            i += 1;
            j += 1;
        }
        let (x, y) = (number(a, &mut i), number(b, &mut j));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the digits at a place, without leading zeros.
fn number<'a>(text: &'a [u8], at: &mut usize) -> &'a [u8] {
    while text.get(*at) == Some(&b'0') {
        *at += 1;
    }
    let start = (*at).min(text.len());
    while text.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    &text[start..(*at).clamp(start, text.len())]
}

/// Compares two RPM versions, `[epoch:]version[-release]`; a missing release matches any.
pub fn rpm(a: &str, b: &str) -> Ordering {
    let split = |text: &str| -> (u64, String, String) {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), version.into(), release.into())
    };
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0)
        .then_with(|| rpm_part(&a.1, &b.1))
        .then_with(|| if a.2.is_empty() || b.2.is_empty() { Ordering::Equal } else { rpm_part(&a.2, &b.2) })
}

/// RPM's own `rpmvercmp`.
pub fn rpm_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let skip =
            |text: &[u8]| text.iter().take_while(|c| !c.is_ascii_alphanumeric() && !matches!(c, b'~' | b'^')).count();
        a = &a[skip(a)..];
        b = &b[skip(b)..];
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                a = &a[1..];
                b = &b[1..];
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(_), Some(_)) => {}
        }
        let digits = a[0].is_ascii_digit();
        let run = |text: &[u8]| {
            text.iter().take_while(|c| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() }).count()
        };
        let (x, y) = (&a[..run(a)], &b[..run(b)]);
        if y.is_empty() {
            // Numbers are newer than letters.
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let order = if digits {
            let trim = |text: &[u8]| text.iter().position(|c| *c != b'0').unwrap_or(text.len());
            let (m, n) = (&x[trim(x)..], &y[trim(y)..]);
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
        a = &a[x.len()..];
        b = &b[y.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_dpkg_does() {
        // Each line is in rising order by `dpkg --compare-versions`.
        for line in [
            "1.0~~ 1.0~~a 1.0~ 1.0 1.0a 1.0+b1 1.0.1",
            "0.9 1.0-1 1.0-1.1 1.0-2 1.0-10 1:0.1",
            "2.36-9+deb12u4 2.36-9+deb12u10",
            "1.2.3-0ubuntu1~20.04 1.2.3-0ubuntu1 1.2.3-1",
            "5.10.0-8 5.10.0-10",
        ] {
            let versions: Vec<_> = line.split(' ').collect();
            for pair in versions.windows(2) {
                assert_eq!(debian(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(debian(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
        for (a, b) in [("1.0", "1.00"), ("0:1", "1"), ("1.0-0", "1.0"), ("007", "7")] {
            assert_eq!(debian(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn orders_as_rpm_does() {
        for line in ["1.0~rc1 1.0 1.0^git1 1.0.1", "2.0 2.0a 2.0.1", "1.a 1.1 1.2 1.10", "1-1 1-2 1:0"] {
            let versions: Vec<_> = line.split(' ').collect();
            for pair in versions.windows(2) {
                assert_eq!(rpm(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(rpm(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
        for (a, b) in [("1.0", "1.0-5"), ("1_0", "1.0"), ("01", "1")] {
            assert_eq!(rpm(a, b), Ordering::Equal, "{a} {b}");
        }
    }
}
