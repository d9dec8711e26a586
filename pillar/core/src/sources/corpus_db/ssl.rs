//! Certificates: which of those that are configured a machine gets, and for which names one has to be made.

use super::database::{Database, Machine};
use corpus_core::{Map, Value, python};

/// Puts `ssl` into a machine's pillar; returns the paths of what must not be shown.
pub fn pillar(database: &Database, machine: &Machine, own: &mut Map) -> Vec<String> {
    let configured = database.section("ssl_certs");
    let mut names = database.domains(machine);
    let said = database.of("ssl", &machine.id);
    names.extend(said.iter().flat_map(|said| said.as_list().unwrap_or_default()).map(python::str));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let (mut certs, mut missing) = (Map::new(), Map::new());
    let mut secret = Vec::new();
    for name in names {
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        // Its own name is served by the wildcard's certificate, if there is one.
        let mut choices = [Some(name.clone()), wildcard.clone()];
        if name == machine.id {
            choices.reverse();
        }
        let found = choices.into_iter().flatten().find(|choice| configured.contains(choice));
        let (into, key) = match &found {
            Some(found) => (&mut certs, found.clone()),
            None => (&mut missing, wildcard.unwrap_or_else(|| name.clone())),
        };
        let mut entry: Map = into.get(&key).and_then(Value::as_map).cloned().unwrap_or_default();
        let mut of: Vec<Value> = entry.get("names").and_then(Value::as_list).unwrap_or_default().to_vec();
        of.push(name.into());
        entry.insert("names", Value::list(of));
        if let Some(found) = found {
            let pair = configured.get(&found).and_then(Value::as_list).unwrap_or_default().to_vec();
            entry.insert("cert", pair.first().cloned());
            entry.insert("key", pair.get(1).cloned());
            let path = format!("makina-states:ssl:certs:{found}:key");
            if !secret.contains(&path) {
                secret.push(path);
            }
        }
        into.insert(key, entry);
    }
    let ssl: Map = [("certs", certs), ("selfsigned", missing)].into_iter().collect();
    own.insert("ssl", ssl);
    secret
}
