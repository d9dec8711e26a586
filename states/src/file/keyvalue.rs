//! `file.keyvalue`

use super::shared::{self, HIDDEN, failed};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{self, Text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Sets keys of a file of `key=value` lines.
///
/// ```sls
/// /etc/ssh/sshd_config:
///   file.keyvalue:
///     - key_values:
///         PermitRootLogin: 'without-password'
///         X11Forwarding: 'no'
///     - separator: ' '
///     - uncomment: '# '
///     - append_if_not_found: true
/// ```
#[derive(Deserialize)]
pub struct Keyvalue {
    name: String,
    /// One key.
    key: Option<Value>,
    /// Its value.
    value: Option<Value>,
    /// Several keys with their values.
    key_values: Option<Value>,
    /// What stands between key and value.
    #[serde(default = "equals")]
    separator: String,
    /// Adds keys that are missing at the end.
    #[serde(default)]
    append_if_not_found: bool,
    /// Adds keys that are missing at the beginning.
    #[serde(default)]
    prepend_if_not_found: bool,
    /// Kept for Salt's sake: it does nothing there either.
    #[serde(default, rename = "search_only")]
    _search_only: Value,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
    /// Succeeds if there is no such file.
    #[serde(default)]
    ignore_if_missing: bool,
    /// How often a key may be set; -1 is always.
    #[serde(default = "once")]
    count: i64,
    /// Characters to take off the beginning of a line that sets a key.
    uncomment: Option<String>,
    /// Takes keys that differ in case for the same.
    #[serde(default)]
    key_ignore_case: bool,
    /// Takes values that differ in case for the same.
    #[serde(default)]
    value_ignore_case: bool,
    /// Makes the file if it is missing.
    #[serde(default)]
    create_if_missing: bool,
    /// Removes all lines that set none of the keys.
    #[serde(default)]
    prune: bool,
}

fn equals() -> String {
    "=".into()
}

fn once() -> i64 {
    1
}

/// The file under way.
#[derive(Default)]
struct Work {
    diff: Vec<String>,
    content: Vec<String>,
    dropped: Vec<String>,
    changes: usize,
}

impl Keyvalue {
    fn wanted(&self) -> Result<Map, StateError> {
        match (&self.key, &self.value, &self.key_values) {
            (Some(_), Some(_), Some(Value::Map(_))) => {
                Err(failed("file.keyvalue can not combine key_values with key and value"))
            }
            (Some(key), Some(value), _) => Ok([(python::str(key), value.clone())].into_iter().collect()),
            (.., Some(Value::Map(map))) if !map.is_empty() => Ok((**map).clone()),
            (.., Some(other)) if other.truthy() => {
                Err(failed("file.keyvalue key and value not supplied and key_values is not a dictionary"))
            }
            _ => Err(failed("file.keyvalue key and value not supplied and key_values is empty")),
        }
    }

    fn line(&self, line: &str, wanted: &Map, left: &mut BTreeMap<String, i64>, work: &mut Work) {
        let fold = |text: &str, on: bool| if on { text.to_lowercase() } else { text.to_owned() };
        let bare = match &self.uncomment {
            Some(chars) => line.trim_start_matches(|c| chars.contains(c)),
            None => line.trim_start(),
        };
        let uncommented = bare.len() < line.len();
        let (working, tested) = (if uncommented { bare } else { line }, fold(bare, self.key_ignore_case));
        let (line_key, separated, line_value) = match working.split_once(&*self.separator) {
            Some((key, value)) => (key, true, value),
            None => (working, false, ""),
        };
        let begins = |key: &str| tested.starts_with(&fold(key, self.key_ignore_case));
        if self.prune && !wanted.keys().any(|key| begins(&python::str(key))) {
            work.dropped.push(line.to_owned());
            return;
        }
        let mut out = line.to_owned();
        for (key, value) in wanted {
            let (key, text) = (python::str(key), python::str(value));
            let same_key = fold(line_key, self.key_ignore_case) == fold(&key, self.key_ignore_case);
            if !separated || !begins(&key) || !same_key {
                continue;
            }
            let remaining = left.entry(key).or_default();
            let same = fold(line_value.trim(), self.value_ignore_case) == fold(text.trim(), self.value_ignore_case);
            // Salt: a commented line counts only while the key is still to be set; a set one too many goes.
            let (same, change) = match uncommented {
                true if *remaining > 0 => (same, true),
                true => (true, false),
                false => (same, *remaining == 0),
            };
            if !same || change {
                work.diff.push(format!("- {out}"));
                out = String::new();
                if *remaining != 0 {
                    out = format!("{line_key}{}{text}\n", self.separator);
                    work.diff.push(match value {
                        Value::Str(_) => format!("+ {out}"),
                        other => format!("+ {} (from {} type)\n", out.trim_end(), other.type_name()),
                    });
                }
                work.changes += 1;
            }
            if *remaining > 0 {
                *remaining -= 1;
            }
        }
        work.content.push(out);
    }

    fn missing(&self, append: bool, wanted: &Map, left: &BTreeMap<String, i64>, work: &mut Work) {
        let lines: Vec<String> = wanted
            .iter()
            .filter(|(key, _)| left.get(&python::str(key)).is_some_and(|left| *left > 0))
            .map(|(key, value)| format!("{}{}{}\n", python::str(key), self.separator, python::str(value)))
            .collect();
        if lines.is_empty() || !(append || self.prepend_if_not_found) {
            return;
        }
        work.changes += lines.len();
        if append {
            // A last line without an end would swallow the first that is added.
            if let Some(last) = work.content.last_mut()
                && !last.is_empty()
                && !last.ends_with('\n')
            {
                last.push('\n');
            }
            work.diff.push("- <EOF>\n".into());
            work.diff.extend(lines.iter().map(|line| format!("+ {line}")));
            work.diff.push("+ <EOF>\n".into());
            work.content.extend(lines);
        } else {
            work.diff.insert(0, "  <SOF>\n".into());
            for line in lines {
                work.diff.insert(1, format!("+ {line}"));
                work.content.insert(0, line);
            }
        }
    }
}

impl State for Keyvalue {
    const NAME: &'static str = "file.keyvalue";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display().to_string();
        let wanted = self.wanted()?;
        let have = cx.host.stat(&path)?;
        let old = match have {
            Some(_) => shared::read_text(cx, &path)?,
            None if self.create_if_missing => Text::default(),
            None if self.ignore_if_missing => return Ok(Plan::unchanged(format!("unable to open {shown}"))),
            None => return Err(StateError::missing(format!("unable to open {shown}"))),
        };
        let mut left: BTreeMap<String, i64> = wanted.keys().map(|key| (python::str(key), self.count)).collect();
        let mut work = Work::default();
        for line in file::lines(&old.text) {
            self.line(line, &wanted, &mut left, &mut work);
        }
        self.missing(self.append_if_not_found || have.is_none(), &wanted, &left, &mut work);
        for line in &work.dropped {
            let at = work.diff.len().min(1);
            work.diff.insert(at, format!("- {line}"));
        }
        let (changed, deleted) = (work.changes, work.dropped.len());
        if changed == 0 && deleted == 0 {
            return Ok(Plan::default());
        }
        let mut would = format!("File {shown} is set to be changed ({changed} lines modified, {deleted} deleted)");
        if self.show_changes {
            would += &format!("\nPredicted diff:\n\r\t\t{}", work.diff.join("\r\t\t"));
        }
        let content = Content::Bytes(old.bytes(&work.content.concat()));
        let path = file::real_path(cx.host, &path)?;
        Ok(Plan::default()
            .says(would, format!("Changed {changed}, deleted {deleted} lines"))
            .change("diff", if self.show_changes { work.diff.concat() } else { HIDDEN.into() })
            .step(Effect::WriteFile { path, content, attrs: Attrs::default(), backup: None }))
    }
}
