//! `{name}` in texts of the configuration: replaced late, when all layers lie on each other.

use corpus_core::{Map, Value, python};

/// Placeholders in placeholders end here; what names itself never would.
const PASSES: usize = 100;

/// Resolves the placeholders of a configuration and of its `data`. Unknown names stay as they are.
pub fn resolve(cfg: &mut Map) {
    for _ in 0..PASSES {
        let before = cfg.clone();
        let data = cfg.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
        let own = |name: &str| data.get(name).filter(|value| scalar(value)).or_else(|| before.get(name));
        let outer = |name: &str| before.get(name).filter(|_| name != "data").or_else(|| data.get(name));
        for (key, value) in &mut cfg.0 {
            *value = match key.as_str() {
                Some("data") => filled(value, &|name| own(name).or_else(|| data.get(name))),
                // Another project's layers are not to be filled before they are chosen.
                Some("env_defaults" | "os_defaults" | "defaults" | "sls_default_pillar") => continue,
                _ => filled(value, &outer),
            };
        }
        if *cfg == before {
            return;
        }
    }
}

fn scalar(value: &Value) -> bool {
    !matches!(value, Value::Map(_) | Value::List(_))
}

fn filled<'a>(value: &Value, find: &dyn Fn(&str) -> Option<&'a Value>) -> Value {
    match value {
        Value::Str(text) if text.contains('{') => text_filled(text, find),
        Value::List(items) => Value::list(items.iter().map(|item| filled(item, find)).collect()),
        Value::Map(map) => {
            let entry = |(key, value): (&Value, &Value)| (filled(key, find), filled(value, find));
            let map: Map = map.iter().map(entry).filter(|(key, _)| scalar(key)).collect();
            Value::map(map)
        }
        other => other.clone(),
    }
}

fn text_filled<'a>(text: &str, find: &dyn Fn(&str) -> Option<&'a Value>) -> Value {
    // A text that is one placeholder for a list or a mapping becomes that.
    if let Some(name) = whole(text)
        && let Some(value) = find(name).filter(|value| !scalar(value))
    {
        return value.clone();
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out += before;
        let name = from[1..].split('}').next().filter(|name| from.len() > name.len() + 1 && is_name(name));
        let value = name.and_then(find).filter(|value| scalar(value));
        match (name, value) {
            (Some(name), Some(value)) => {
                out += &python::str(value);
                rest = &from[name.len() + 2..];
            }
            _ => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    Value::str(out + rest)
}

fn whole(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}').filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, Value)]) -> Map {
        pairs.iter().map(|(key, value)| (*key, value.clone())).collect()
    }

    #[test]
    fn fills_texts_lists_and_chains_and_leaves_the_unknown() {
        let data = map(&[
            ("dir", "{data_root}/www".into()),
            ("deep", Value::list(vec!["{dir}/x".into()])),
            ("same", "{deep}".into()),
            ("unknown", "{nobody} {\"json\": 1}".into()),
            ("loop", "{loop}".into()),
        ]);
        let mut cfg = map(&[
            ("name", "foo".into()),
            ("data_root", "{project_dir}/data".into()),
            ("project_dir", "/srv/projects/{name}".into()),
            ("data", Value::map(data)),
        ]);
        resolve(&mut cfg);
        let get = |key: &str| cfg.get("data").and_then(|data| data.get(key)).cloned();
        assert_eq!(cfg.str("data_root"), Some("/srv/projects/foo/data"));
        assert_eq!(get("dir"), Some("/srv/projects/foo/data/www".into()));
        assert_eq!(get("same"), Some(Value::list(vec!["/srv/projects/foo/data/www/x".into()])));
        assert_eq!(get("unknown"), Some("{nobody} {\"json\": 1}".into()));
        assert_eq!(get("loop"), Some("{loop}".into()));
    }
}
