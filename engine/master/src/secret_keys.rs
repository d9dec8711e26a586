//! Which pillar values are secrets because the operator says so: `pillar.secret_keys`, globs over keys.

use corpus_core::{Value, glob, python};

/// Returns the texts below the keys that a pattern means: `db:*:password` the whole path, `*password` the key alone,
/// wherever it is.
pub fn named(pillar: &Value, patterns: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    if !patterns.is_empty() {
        search(pillar, "", patterns, false, &mut found);
    }
    found
}

fn search(value: &Value, path: &str, patterns: &[String], inside: bool, found: &mut Vec<String>) {
    match value {
        Value::Map(map) => {
            for (key, value) in map.iter() {
                let key = python::str(key);
                let path = if path.is_empty() { key.clone() } else { format!("{path}:{key}") };
                let meant = inside
                    || patterns.iter().any(|pattern| glob::matches(pattern, &path) || glob::matches(pattern, &key));
                search(value, &path, patterns, meant, found);
            }
        }
        Value::List(items) => items.iter().for_each(|item| search(item, path, patterns, inside, found)),
        Value::Str(_) | Value::Int(_) | Value::Float(_) if inside => found.push(python::str(value)),
        Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Null | Value::Bool(_) => {}
    }
}
