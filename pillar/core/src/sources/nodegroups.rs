//! `nodegroups`: the nodegroups of the configuration that a minion is in.

use crate::arguments::{Arguments, text};
use crate::source::{Ask, Given, PillarSource, Sees};
use corpus_core::target::{Target, TargetKind};
use corpus_core::{Diagnostic, Map, Value, python};
use std::sync::Arc;

struct Nodegroups {
    pillar_name: String,
}

/// Makes the source.
pub fn make(args: Arguments) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let name = text(&args.named(&["pillar_name"])?, "pillar_name")?;
    Ok(Arc::new(Nodegroups { pillar_name: name.filter(|name| !name.is_empty()).unwrap_or("nodegroups".into()) }))
}

impl PillarSource for Nodegroups {
    fn name(&self) -> &str {
        "nodegroups"
    }

    fn identity(&self) -> String {
        self.pillar_name.clone()
    }

    fn sees(&self) -> Sees {
        Sees::ALL
    }

    fn is_local(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let groups = ask.opt("nodegroups").and_then(Value::as_map).cloned().unwrap_or_default();
        let mut of: Vec<Value> = Vec::new();
        for name in groups.keys() {
            if member(&python::str(name), &groups, ask)? {
                of.push(name.clone());
            }
        }
        Ok(Map::from_iter([(self.pillar_name.as_str(), Value::list(of))]).into())
    }
}

/// Tells whether the minion is in a nodegroup.
pub fn member(name: &str, groups: &Map, ask: &Ask) -> Result<bool, Diagnostic> {
    Target::parse(name, TargetKind::Nodegroup, groups)
        .map(|target| target.matches(&ask.data))
        .map_err(|why| Diagnostic::error(format!("nodegroup '{name}': {why}")))
}
