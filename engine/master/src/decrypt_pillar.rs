//! Pillar that is encrypted although its files are not: Salt's `decrypt_pillar`, and `pillar_enc` on the command line.

use crate::Corpus;
use corpus_core::{Diagnostic, Map, Value, python};
use corpus_pillar::PillarResult;
use corpus_render::{Cipher, decrypt_value};

/// Decrypts a value by a renderer of `decrypt_pillar_renderers`.
pub fn decrypt(value: &Value, renderer: &str, corpus: &Corpus) -> Result<Value, String> {
    let valid = match corpus.config.opts.get("decrypt_pillar_renderers").and_then(Value::as_list) {
        Some(list) => list.iter().map(python::str).collect(),
        None => vec!["gpg".to_owned(), "age".to_owned()],
    };
    if !valid.iter().any(|known| known == renderer) {
        let valid = valid.join(", ");
        return Err(format!("'{renderer}' is not a valid decryption renderer. Valid choices are: {valid}"));
    }
    let cipher = match renderer {
        "gpg" => Cipher::Gpg,
        "age" => Cipher::Age,
        _ => return Err(format!("the renderer '{renderer}' is not built; there are gpg and age")),
    };
    decrypt_value(value, cipher, &*corpus.decrypt)
}

/// Decrypts the keys that the setting `decrypt_pillar` names.
pub fn settle(result: &mut PillarResult, corpus: &Corpus) {
    let opts = &corpus.config.opts;
    let Some(setting) = opts.get("decrypt_pillar").filter(|setting| setting.truthy()) else { return };
    let delimiter = opts.str("decrypt_pillar_delimiter").unwrap_or(":").to_owned();
    let default = opts.str("decrypt_pillar_default").unwrap_or("gpg").to_owned();
    let mut errors = Vec::new();
    for (key, renderer) in keys(setting) {
        let renderer = renderer.unwrap_or_else(|| default.clone());
        let path: Vec<&str> = key.split(delimiter.as_str()).collect();
        let Some(place) = find(&mut result.pillar, &path) else { continue };
        match decrypt(place, &renderer, corpus) {
            Ok(plain) => {
                *place = plain;
                result.secrets.below.push(path.join(":"));
            }
            Err(why) => errors.push(format!("Failed to decrypt pillar key '{key}': {why}")),
        }
    }
    if errors.is_empty() {
        return;
    }
    let mut told = result.pillar.get("_errors").and_then(Value::as_list).unwrap_or_default().to_vec();
    told.extend(errors.iter().map(Value::from));
    result.pillar.insert("_errors", Value::list(told));
    result.errors.extend(errors.into_iter().map(Diagnostic::error));
}

/// Reads the setting: a list of keys, each alone or with its renderer, or a mapping of them.
fn keys(setting: &Value) -> Vec<(String, Option<String>)> {
    let of = |map: &Map| -> Vec<(String, Option<String>)> {
        map.iter()
            .map(|(key, value)| (python::str(key), Some(value).filter(|v| !v.is_null()).map(python::str)))
            .collect()
    };
    match setting {
        Value::Map(map) => of(map),
        Value::List(items) => {
            items.iter().flat_map(|item| item.as_map().map_or_else(|| vec![(python::str(item), None)], of)).collect()
        }
        one => vec![(python::str(one), None)],
    }
}

fn find<'a>(pillar: &'a mut Map, path: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(pillar.get_mut(first)?, |value, key| value.as_map_mut()?.get_mut(key))
}
