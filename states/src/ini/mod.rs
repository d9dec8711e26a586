//! What `ini.*` share: the file, Salt's lines about it, and the plan that writes it.

use corpus_core::decode::OneOrMany;
use corpus_core::host::HostError;
use corpus_core::{Effect, Map, Plan, PlanCx, StateError, Value};
use corpus_exec::ini::{self, Section, Style};
use std::path::PathBuf;

/// Serde's default for `separator`.
pub fn equals() -> String {
    "=".into()
}

/// A file under way.
pub struct File {
    path: PathBuf,
    style: Style,
    pub ini: Section,
    /// Salt's comment of a dry run, line by line.
    pub said: String,
    pub changes: Map,
}

impl File {
    /// Reads the file of a declaration.
    pub fn read(cx: &PlanCx<'_>, name: &str, separator: &str, no_spaces: bool) -> Result<Self, StateError> {
        let style = Style { separator: separator.into(), no_spaces };
        let path = crate::r#file::shared::path(cx, name)?;
        if separator.is_empty() {
            return Err(HostError::other("read `separator`", "it must not be empty").into());
        }
        let ini = ini::read(cx.host, &path.to_string_lossy(), &style)?;
        Ok(Self { path, style, ini, said: String::new(), changes: Map::new() })
    }

    /// Sets keys, and keys of sections; returns what changed.
    pub fn update(&mut self, wanted: &Map) -> Map {
        self.ini.update(wanted, &self.style)
    }

    /// Notes a line of the comment.
    pub fn say(&mut self, line: &str) {
        self.said += line;
        self.said.push('\n');
    }

    /// Returns the plan that writes the file, if anything changed.
    pub fn plan(self, cx: &PlanCx<'_>, nothing: &str) -> Plan {
        let said = if self.said.is_empty() { nothing.to_owned() } else { self.said };
        // Salt: a dry run tells key by key, a run that all is well.
        let mut plan = Plan::unchanged(if cx.test { said.clone() } else { "No anomaly detected".into() });
        if !self.changes.is_empty() {
            plan = plan.says(said, "Changes take effect").step(Effect::text(self.path, self.ini.write(&self.style)));
            plan.changes = self.changes;
        }
        plan
    }
}

/// Names of sections: a list, or the keys of a mapping.
pub fn names(sections: &Option<Value>) -> Vec<String> {
    match sections {
        Some(Value::Map(map)) => map.keys().map(corpus_core::python::str).collect(),
        Some(other) => corpus_core::decode::from_value::<OneOrMany<String>>(other).unwrap_or_default().0,
        None => vec![],
    }
}
