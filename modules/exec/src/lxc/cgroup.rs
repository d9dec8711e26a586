//! Limits of memory and processor time, in the words of either version of control groups.

use corpus_core::Look;
use std::path::Path;

/// A version of control groups.
pub trait Limits: Sync {
    /// What stands before a parameter in a container's configuration.
    fn prefix(&self) -> &'static str;
    /// The parameters that limit memory; `None` lifts the limit.
    fn memory(&self, bytes: Option<u64>) -> Vec<(&'static str, String)>;
    /// The parameters that limit processor time, in processors.
    fn cpus(&self, cpus: Option<f64>) -> Vec<(&'static str, String)>;
    /// Reads the limit of memory.
    fn read_memory(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<u64>;
    /// Reads the limit of processor time.
    fn read_cpus(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<f64>;
}

/// One hierarchy for each controller.
pub struct V1;

/// One hierarchy for all.
pub struct V2;

const PERIOD_US: f64 = 100_000.0;

impl Limits for V1 {
    fn prefix(&self) -> &'static str {
        "lxc.cgroup."
    }
    fn memory(&self, bytes: Option<u64>) -> Vec<(&'static str, String)> {
        vec![("memory.limit_in_bytes", bytes.map_or_else(|| "-1".into(), |b| b.to_string()))]
    }
    fn cpus(&self, cpus: Option<f64>) -> Vec<(&'static str, String)> {
        let quota = cpus.map_or_else(|| "-1".into(), |cpus| quota(cpus).to_string());
        vec![("cpu.cfs_period_us", "100000".into()), ("cpu.cfs_quota_us", quota)]
    }
    fn read_memory(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
        // No limit reads as the greatest number of pages.
        get("memory.limit_in_bytes")?.parse().ok().filter(|bytes| *bytes < 1 << 62)
    }
    fn read_cpus(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<f64> {
        let quota: f64 = get("cpu.cfs_quota_us")?.parse().ok()?;
        let period: f64 = get("cpu.cfs_period_us").and_then(|text| text.parse().ok()).unwrap_or(PERIOD_US);
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }
}

impl Limits for V2 {
    fn prefix(&self) -> &'static str {
        "lxc.cgroup2."
    }
    fn memory(&self, bytes: Option<u64>) -> Vec<(&'static str, String)> {
        vec![("memory.max", bytes.map_or_else(|| "max".into(), |b| b.to_string()))]
    }
    fn cpus(&self, cpus: Option<f64>) -> Vec<(&'static str, String)> {
        let quota = cpus.map_or_else(|| "max".into(), |cpus| quota(cpus).to_string());
        vec![("cpu.max", format!("{quota} 100000"))]
    }
    fn read_memory(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
        get("memory.max")?.parse().ok()
    }
    fn read_cpus(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<f64> {
        let text = get("cpu.max")?;
        let mut words = text.split_whitespace();
        let quota: f64 = words.next()?.parse().ok()?;
        let period: f64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(PERIOD_US);
        (period > 0.0).then(|| quota / period)
    }
}

fn quota(cpus: f64) -> u64 {
    // The kernel takes no less than a millisecond.
    (cpus * PERIOD_US).round().max(1000.0) as u64
}

/// Returns the version that limits memory on this machine.
pub fn of(look: &dyn Look) -> &'static dyn Limits {
    let unified = look.read(Path::new("/sys/fs/cgroup/cgroup.controllers"));
    match unified {
        Ok(list) if String::from_utf8_lossy(&list).split_whitespace().any(|word| word == "memory") => &V2,
        _ => &V1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, V1, V2};

    #[test]
    fn what_is_written_is_read_back() {
        for version in [&V1 as &dyn Limits, &V2] {
            for (memory, cpus) in [(Some(512 << 20), Some(0.5)), (Some(4096), Some(3.0)), (None, None)] {
                let mut written = version.memory(memory);
                written.extend(version.cpus(cpus));
                let get = |key: &str| written.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
                assert_eq!(version.read_memory(&get), memory);
                assert_eq!(version.read_cpus(&get), cpus);
            }
        }
        assert_eq!(V1.read_memory(&|_| Some("9223372036854771712".into())), None);
    }
}
