//! Salt's way to set and remove keys of a container's configuration.

use super::config::Config;
use corpus_core::{Map, Value, python};

/// Returns Salt's `changes` and the configuration after them. `set` is a list of mappings (or one), `unset` a list of
/// beginnings of keys.
pub fn edited(config: &Config, set: Option<&Value>, unset: Option<&Value>) -> (Map, Config) {
    let mut after = config.clone();
    let (mut edited, mut added, mut removed) = (vec![], vec![], vec![]);
    let rows: Vec<&Map> = match set {
        Some(Value::List(rows)) => rows.iter().filter_map(Value::as_map).collect(),
        Some(Value::Map(row)) => vec![row],
        _ => vec![],
    };
    let pair = |key: &str, value: &str| Value::from([(key, value)].into_iter().collect::<Map>());
    for (key, value) in rows.into_iter().flatten() {
        let (key, value) = (python::str(key).trim().to_owned(), python::str(value).trim().to_owned());
        match after.get(&key).map(str::to_owned) {
            Some(old) if old == value => {}
            Some(old) => {
                edited.push(Value::list(vec![pair(&key, &old), pair(&key, &value)]));
                after.set(&key, &value);
            }
            None => {
                added.push(pair(&key, &value));
                after.set(&key, &value);
            }
        }
    }
    for start in unset.and_then(Value::as_list).unwrap_or_default().iter().map(python::str) {
        if after.pairs().any(|(key, _)| key.starts_with(&start)) {
            after.remove_prefix(&start);
            removed.push(Value::from(start));
        }
    }
    if edited.is_empty() && added.is_empty() && removed.is_empty() {
        return (Map::new(), after);
    }
    let changes = [("edited", Value::list(edited)), ("added", Value::list(added)), ("removed", Value::list(removed))];
    (changes.into_iter().collect(), after)
}
