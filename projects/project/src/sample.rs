//! `PILLAR.sample`: the defaults that a project brings along, and its documentation of them.

use crate::cx::Facts;
use crate::{ProjectError, ProjectName, R};
use corpus_core::merge::update;
use corpus_core::{Diagnostic, Map, Value};
use std::path::Path;

/// Reads a sample: Jinja, then YAML. Whatever name stands behind `makina-projects.`, what lies under it counts.
pub fn read(facts: &Facts, path: &Path, name: &str) -> R<Map> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(ProjectError::io("read", path, error)),
    };
    let shown = path.display().to_string();
    let engine = &facts.session.corpus.engine;
    let rendered = engine.render_source(&text, &shown, "jinja|yaml", &facts.render_cx());
    let rendered = rendered.map_err(|error| ProjectError::diagnostics(&[error]))?;
    let mut out = Map::new();
    let wrong = |what: &str| {
        let error = Diagnostic::error(format!("{name} must hold a mapping, found {what}"));
        ProjectError::diagnostics(&[error.at(rendered.locate(rendered.node.pos), "")])
    };
    match rendered.node.to_value() {
        Value::Null => {}
        Value::Map(map) => {
            for (key, value) in map.iter() {
                let ours = key.as_str().is_some_and(|key| {
                    key == "makina-projects"
                        || ["makina-projects.", "makina-states."].iter().any(|head| key.starts_with(head))
                });
                if ours && let Some(section) = value.as_map() {
                    let nested = key.as_str() == Some("makina-projects");
                    let sections = section.values().filter_map(Value::as_map).filter(|_| nested);
                    sections.for_each(|section| update(&mut out, section, false));
                    if !nested {
                        update(&mut out, section, false);
                    }
                }
            }
        }
        other => return Err(wrong(other.type_name())),
    }
    Ok(out)
}

/// Makes the pillar that a sample stands for: what recipes find where the real pillar says nothing.
pub fn as_pillar(sample: &Map, name: &ProjectName) -> Map {
    if sample.is_empty() {
        return Map::new();
    }
    [(format!("makina-projects.{name}"), Value::map(sample.clone()))].into_iter().collect()
}
