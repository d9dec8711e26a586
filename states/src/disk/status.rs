//! `disk.status`

use corpus_core::{Call, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use serde::Deserialize;

/// Fails where a file system is not used within bounds; changes nothing.
///
/// ```sls
/// /:
///   disk.status:
///     - maximum: 90%
/// ```
#[derive(Deserialize)]
pub struct Status {
    /// Where it is mounted, or a directory on it.
    pub name: String,
    /// The most that is good, in percent.
    #[serde(default)]
    pub maximum: Value,
    /// The least that is good, in percent.
    #[serde(default)]
    pub minimum: Value,
    /// The bounds are KB, not percent.
    #[serde(default)]
    pub absolute: bool,
    /// The bounds are about what is free.
    #[serde(default)]
    pub free: bool,
}

impl Status {
    fn bound(&self, name: &str, value: &Value) -> Result<Option<i64>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let text = python::str(value);
        let digits = text.trim_matches(|c| c == ' ' || if self.absolute { "KB".contains(c) } else { c == '%' });
        let number: i64 = digits.parse().map_err(|_| format!("{name} must be an integer "))?;
        if !self.absolute && !(0..=100).contains(&number) {
            return Err(format!("{name} must be in the range [0, 100] "));
        }
        Ok(Some(number))
    }

    /// Returns used and available of a file system that is mounted there.
    fn mounted(&self, data: &Map) -> Option<(f64, f64)> {
        let number = |key: &str| data.get(key).map(python::str)?.trim_matches('%').parse::<f64>().ok();
        if self.absolute {
            return Some((number("used")?, number("available")?));
        }
        let used = number("capacity")?;
        Some((used, 100.0 - used))
    }

    /// Returns used and available of the file system that a directory is on.
    fn below(&self, cx: &PlanCx<'_>) -> Result<Option<(f64, f64)>, StateError> {
        let data = cx.caller.call(&Call::new("status.diskusage", vec![self.name.as_str().into()]))?;
        let number = |key: &str| data.get(&self.name)?.get(key).map(python::str)?.parse::<f64>().ok();
        let Some((total, available)) = number("total").zip(number("available")) else { return Ok(None) };
        if self.absolute {
            return Ok(Some((total - available, available)));
        }
        let percent = |part: f64| if total == 0.0 { 0.0 } else { (part / total * 1000.0).round() / 10.0 };
        Ok(Some((percent(total - available), percent(available))))
    }
}

impl State for Status {
    const NAME: &'static str = "disk.status";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (most, least) = (self.bound("maximum", &self.maximum), self.bound("minimum", &self.minimum));
        let (most, least) = match (most, least) {
            (Ok(most), Ok(least)) => (most, least),
            (most, least) => {
                return Err(StateError::failed(format!(
                    "{}{}",
                    most.err().unwrap_or_default(),
                    least.err().unwrap_or_default()
                )));
            }
        };
        if least.zip(most).is_some_and(|(least, most)| least >= most) {
            return Err(StateError::failed("minimum must be less than maximum "));
        }
        let name = &self.name;
        let usage = cx.caller.call(&Call::new("disk.usage", vec![]))?;
        let mounted = usage.get(name).and_then(Value::as_map);
        let mut said = String::new();
        let found = match mounted {
            Some(data) => self.mounted(data),
            None => {
                said = format!("Disk mount {name} not present. ");
                if !ask::is_dir(cx.host, name) {
                    return Err(StateError::missing(format!(
                        "{said}Directory {name} does not exist or is not a directory"
                    )));
                }
                self.below(cx)?
            }
        };
        let Some((used, available)) = found else {
            return Err(StateError::failed(format!("{said}The use of {name} is not known")));
        };
        let (what, value) = if self.free { ("available", available) } else { ("used", used) };
        let unit = if self.absolute { "KB" } else { "%" };
        let shown = python::str(&if value.fract() == 0.0 && mounted.is_some() {
            (value as i64).into()
        } else {
            Value::Float(value)
        });
        if let Some(least) = least.filter(|least| value < *least as f64) {
            return Ok(Plan::failed(format!("Disk {what} space is below minimum of {least} {unit} at {shown} {unit}")));
        }
        if let Some(most) = most.filter(|most| value > *most as f64) {
            return Ok(Plan::failed(format!("Disk {what} space is above maximum of {most} {unit} at {shown} {unit}")));
        }
        Ok(Plan::unchanged("Disk used space in acceptable range"))
    }
}
