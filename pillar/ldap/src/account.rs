//! The state of an account, as the directories that people have write it down: OpenLDAP's password policies, shadow
//! accounts, 389 and FreeIPA, Active Directory.

use crate::Found;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Usable,
    /// By an administrator, or after too many wrong passwords.
    Locked,
    /// The account itself.
    Expired,
    PasswordExpired,
}

/// The attributes that [`Account::of`] looks at; some are only given when they are asked for by name.
pub(crate) const ATTRIBUTES: &[&str] = &[
    "pwdAccountLockedTime",
    "pwdEndTime",
    "pwdStartTime",
    "shadowExpire",
    "shadowLastChange",
    "shadowMax",
    "nsAccountLock",
    "krbPrincipalExpiration",
    "userAccountControl",
    "accountExpires",
    "lockoutTime",
    "loginDisabled",
];

const DAY: i64 = 86_400;

impl Account {
    /// Judges an entry now.
    pub fn of(entry: &Found) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self::at(entry, i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// Judges an entry at a time, in seconds since 1970.
    fn at(entry: &Found, now: i64) -> Self {
        let number = |name: &str| entry.value(name).and_then(|text| text.trim().parse::<i64>().ok());
        let yes = |name: &str| entry.value(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let time = |name: &str| entry.value(name).and_then(generalized);
        // The server takes its own lock away once the time is over; one that is there holds.
        let locked = entry.value("pwdAccountLockedTime").is_some()
            || yes("nsAccountLock")
            || yes("loginDisabled")
            || number("userAccountControl").is_some_and(|flags| flags & 0x2 != 0)
            || number("lockoutTime").is_some_and(|time| time > 0);
        if locked {
            return Self::Locked;
        }
        // Days since 1970; Active Directory counts tenths of microseconds since 1601.
        let windows = number("accountExpires").filter(|ticks| *ticks > 0 && *ticks != i64::MAX);
        let expired = number("shadowExpire").is_some_and(|day| day >= 0 && now / DAY >= day)
            || windows.is_some_and(|ticks| ticks / 10_000_000 - 11_644_473_600 <= now)
            || time("krbPrincipalExpiration").is_some_and(|end| end <= now)
            || time("pwdEndTime").is_some_and(|end| end <= now)
            || time("pwdStartTime").is_some_and(|start| start > now);
        if expired {
            return Self::Expired;
        }
        let changed = number("shadowLastChange").zip(number("shadowMax"));
        if changed.is_some_and(|(day, most)| day > 0 && (0..99_999).contains(&most) && now / DAY > day + most) {
            return Self::PasswordExpired;
        }
        Self::Usable
    }
}

/// Reads `20240131235959Z`, with or without a fraction, as seconds since 1970.
fn generalized(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches('Z');
    let digits = text.split(['.', ',']).next()?;
    if digits.len() < 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    // Days from civil (Howard Hinnant).
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * DAY + part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_what_directories_write() {
        assert_eq!(generalized("20240131235959Z"), Some(1_706_745_599));
        assert_eq!(generalized("19700101000000.5Z"), Some(0));
        assert_eq!(generalized("soon"), None);
        let now = 20_000 * DAY;
        for (attrs, expected) in [
            (&[][..], Account::Usable),
            (&[("shadowExpire", "-1"), ("shadowMax", "99999"), ("shadowLastChange", "1")], Account::Usable),
            (&[("shadowExpire", "20000")], Account::Expired),
            (&[("shadowExpire", "20001")], Account::Usable),
            (&[("shadowLastChange", "19900"), ("shadowMax", "90")], Account::PasswordExpired),
            (&[("shadowLastChange", "19900"), ("shadowMax", "100")], Account::Usable),
            (&[("PWDACCOUNTLOCKEDTIME", "000001010000Z")], Account::Locked),
            (&[("nsAccountLock", "TRUE")], Account::Locked),
            (&[("userAccountControl", "514")], Account::Locked),
            (&[("userAccountControl", "512"), ("accountExpires", "9223372036854775807")], Account::Usable),
            (&[("accountExpires", "0"), ("lockoutTime", "0")], Account::Usable),
            (&[("accountExpires", "116444736000000000")], Account::Expired),
            (&[("krbPrincipalExpiration", "20200101000000Z")], Account::Expired),
        ] {
            let attrs = attrs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
            let found = Found { dn: String::new(), attrs };
            assert_eq!(Account::at(&found, now), expected, "{found:?}");
        }
    }
}
