//! What is wrong with a chunk before anything is asked of the machine: Salt's `verify_data`, disabled
//! states, global state conditions.

use corpus_core::decode::DecodeError;
use corpus_core::{Call, Caller, Data, LowChunk, Registry, StateDef, Value, python, suggest};

/// Finds the state function of a chunk, or says why it cannot be run. Salt ends each line with a newline.
pub(crate) fn verify<'r>(registry: &'r Registry, low: &LowChunk) -> Result<&'r StateDef, String> {
    let mut errors = String::new();
    if low.name.truthy() && low.name.as_str().is_none() {
        let (name, kind) = (python::str(&low.name), low.name.type_name());
        errors += &format!("ID '{name}' in SLS '{}' is not formed as a string, but is a {kind}\n", low.sls);
    }
    if let (Some(umask), None) = (low.args.get("umask"), low.umask()) {
        errors += &format!("Invalid umask: {}\n", python::str(umask));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let full = low.full_name();
    registry.state(&full).ok_or_else(|| {
        let module = format!("{}.", low.state);
        let known = registry.all_states().any(|def| def.name.starts_with(&module));
        let what = if known { &full } else { &*low.state };
        let hint = suggest::did_you_mean(&full, registry.all_states().map(|def| def.name));
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}Reason: '{what}' is not built into this corpus{hint}\n", not_found(&full, &low.sls))
    })
}

/// Returns the comment of a listener whose module has nothing to do on a watch.
pub(crate) fn no_mod_watch(low: &LowChunk) -> String {
    let full = format!("{}.mod_watch", low.state);
    format!("{}Reason: '{full}' is not available.\n", not_found(&full, &low.sls))
}

/// Returns the comment for arguments that cannot be read.
pub(crate) fn bad_arguments(full: &str, error: &DecodeError) -> String {
    match &error.arg {
        Some(arg) if error.missing => format!("Missing parameter {arg} for state {full}\n"),
        _ => format!("State {full}: {error}\n"),
    }
}

/// Returns the comment of a state function that an administrator has disabled (`state.disable`).
pub(crate) fn disabled(data: &Data, low: &LowChunk) -> Option<String> {
    let patterns = data.grains.get("state_runs_disabled")?.as_list()?;
    let full = low.full_name();
    let pattern = patterns.iter().filter_map(Value::as_str).find(|pattern| wildcard(pattern, &full))?;
    Some(format!(
        "The state function \"{full}\" is currently disabled by \"{pattern}\", to re-enable, run state.enable {pattern}."
    ))
}

/// Tells whether the option `global_state_conditions` keeps this state from being called.
pub(crate) fn conditions_unmet(data: &Data, caller: &dyn Caller, low: &LowChunk) -> bool {
    let Some(rules) = data.opts.get("global_state_conditions").and_then(Value::as_map) else { return false };
    let full = low.full_name();
    let concerned = |what: &Value| what.as_str().is_some_and(|w| w == "*" || w == full || *w == *low.state);
    let conditions: Vec<&Value> = rules
        .iter()
        .filter(|(what, _)| concerned(what))
        .flat_map(|(_, conditions)| match conditions {
            Value::List(items) => items.iter().collect(),
            one => vec![one],
        })
        .collect();
    let holds = |condition: &&Value| {
        caller.call(&Call::new("match.compound", vec![(*condition).clone()])).is_ok_and(|value| value.truthy())
    };
    !conditions.is_empty() && !conditions.iter().any(holds)
}

fn not_found(full: &str, sls: &str) -> String {
    format!("State '{full}' was not found in SLS '{sls}'\n")
}

/// Matches `*` and `?`, as far as function names need them.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let mut row = vec![false; t.len() + 1];
    row[0] = true;
    for c in p {
        let mut next = vec![false; t.len() + 1];
        next[0] = c == '*' && row[0];
        for i in 0..t.len() {
            next[i + 1] = match c {
                '*' => next[i] || row[i + 1],
                '?' => row[i],
                c => row[i] && c == t[i],
            };
        }
        row = next;
    }
    row[t.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_function_names() {
        for (pattern, text, expected) in [
            ("pkg.*", "pkg.installed", true),
            ("*", "a.b", true),
            ("pkg.installe?", "pkg.installed", true),
            ("pkg", "pkg.installed", false),
            ("*.run", "cmd.run", true),
            ("*.run", "cmd.running", false),
        ] {
            assert_eq!(super::wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }
}
