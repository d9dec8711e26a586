//! The time of day as Salt's records show it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells local time. The zone is read once: a run is short, its rules know about summer.
pub(crate) struct Clock(tz::TimeZone);

impl Clock {
    /// Reads the machine's zone, from `TZ` or `/etc/localtime`; UTC if there is none.
    pub(crate) fn local() -> Self {
        let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
        let zone = named.and_then(|name| tz::TimeZone::from_posix_tz(&name).ok());
        Self(zone.or_else(|| tz::TimeZone::local().ok()).unwrap_or_else(tz::TimeZone::utc))
    }

    /// Writes a moment as `14:03:07.123456`.
    pub(crate) fn time_of_day(&self, at: SystemTime) -> String {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = i64::try_from(since.as_secs()).unwrap_or_default();
        let offset = self.0.find_local_time_type(unix).map_or(0, |kind| kind.ut_offset());
        let day = (unix + i64::from(offset)).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}.{:06}", day / 3600, day / 60 % 60, day % 60, since.subsec_micros())
    }
}

/// Returns milliseconds with three decimals, as Salt counts them.
pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_local_time() {
        let zone = tz::TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").expect("a good zone");
        let at = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(Clock(zone).time_of_day(at), "23:13:20.123456");
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.234);
    }
}
