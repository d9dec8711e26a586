//! Ids and times of deployments.

use crate::R;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Makes a deployment's id, `YYYY-MM-DD_HH_MM-SS_<uuid4>`: sorted as text, ids are sorted by time.
pub fn id() -> R<String> {
    let mut bytes = [0u8; 16];
    let path = std::path::Path::new("/dev/urandom");
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| crate::ProjectError::io("read", path, error))?;
    // The parts of the second come first, so that ids of one second are in order, too.
    let micros = since_epoch().subsec_micros() << 12;
    let [a, b, c, _] = micros.to_be_bytes();
    (bytes[0], bytes[1], bytes[2]) = (a, b, c | bytes[2] & 0x0f);
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    let (date, [hour, minute, second]) = civil(since_epoch());
    Ok(format!("{date}_{hour:02}_{minute:02}-{second:02}_{uuid}"))
}

/// Returns the time in words, `2026-11-21T14:03:07Z`.
pub fn now() -> String {
    let (date, [hour, minute, second]) = civil(since_epoch());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns the seconds since 1970.
pub fn seconds() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Howard Hinnant's `civil_from_days`, for days since 1970.
fn civil(since: Duration) -> (String, [u64; 3]) {
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (format!("{year:04}-{month:02}-{day:02}"), [rest / 3600, rest / 60 % 60, rest % 60])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_date_as_the_calendar_does() {
        let (date, clock) = civil(Duration::from_secs(1_795_269_787));
        assert_eq!((date.as_str(), clock), ("2026-11-21", [14, 3, 7]));
        let id = id().expect("urandom");
        assert_eq!((id.len(), &id[10..11], &id[34..35]), (56, "_", "4"), "{id}");
    }
}
