//! Slots, `__slot__:salt:fun(args).a.b ~ text`: arguments that are asked for right before the state runs.

use corpus_core::{Call, Caller, ExecError, Map, Value};

const MARK: &str = "__slot__:";

/// Tells whether any argument has a slot in the places where Salt looks.
pub(crate) fn any(args: &Map) -> bool {
    args.values().any(|value| match value {
        Value::Map(m) => m.values().any(is_slot),
        Value::List(l) => l.iter().any(|v| is_slot(v) || v.as_map().is_some_and(|m| m.values().any(is_slot))),
        text => is_slot(text),
    })
}

/// Returns the functions that the slots call, for who must know before they are called.
pub(crate) fn functions(args: &Map) -> Vec<String> {
    let mut found = vec![];
    let _ = each(args, &mut |text| {
        found.extend(parse(text.get(MARK.len()..)?.strip_prefix("salt:")?).map(|(call, _)| call.fun));
        None
    });
    found
}

/// Returns the arguments with their slots evaluated. A malformed slot stays text.
pub(crate) fn evaluate(args: &Map, caller: &dyn Caller) -> Result<Map, ExecError> {
    let mut error = None;
    let out = each(args, &mut |text| match slot(text, caller) {
        Ok(value) => value,
        Err(failed) => {
            error.get_or_insert(failed);
            None
        }
    });
    error.map_or(Ok(out), Err)
}

fn is_slot(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(MARK))
}

/// Salt looks at texts, at the first level of mappings, and at both inside of lists; no deeper.
fn each(args: &Map, put: &mut dyn FnMut(&str) -> Option<Value>) -> Map {
    let mut leaf = |value: &Value| match value.as_str() {
        Some(text) if text.starts_with(MARK) => put(text).unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    };
    let mut shallow = |value: &Value| match value {
        Value::Map(m) => Value::map(m.iter().map(|(k, v)| (k.clone(), leaf(v))).collect()),
        other => leaf(other),
    };
    args.iter()
        .map(|(key, value)| {
            let value = match value {
                Value::List(l) => Value::list(l.iter().map(&mut shallow).collect()),
                other => shallow(other),
            };
            (key.clone(), value)
        })
        .collect()
}

fn slot(text: &str, caller: &dyn Caller) -> Result<Option<Value>, ExecError> {
    let Some(rest) = text.strip_prefix(MARK).and_then(|rest| rest.strip_prefix("salt:")) else {
        tracing::warn!(slot = text, "Malformed slot: it should start with \"__slot__:salt:\".");
        return Ok(None);
    };
    let Some((call, _)) = parse(rest).filter(|(call, _)| caller.has(&call.fun)) else {
        tracing::warn!(slot = text, "Malformed slot: test.arg('arg', kw='kwarg') is its form.");
        return Ok(None);
    };
    let mut value = caller.call(&call)?;
    let (before, append) = rest.split_once('~').map_or((rest, None), |(before, append)| (before, Some(append)));
    let path = before.rfind(')').map_or("", |end| &before[end + 1..]);
    if let Some((_, path)) = path.split_once('.') {
        value = value.traverse(path.trim(), ".").cloned().unwrap_or_default();
    }
    if let (Some(append), Value::Str(text)) = (append, &value) {
        value = Value::from(format!("{text}{}", unquote(append.trim())));
    }
    Ok(Some(value))
}

fn unquote(text: &str) -> &str {
    ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(text)
}

/// Reads `fun(a, 'b c', k=v)`; returns the call and what follows its closing parenthesis.
///
/// As Salt's `parse_function`: every argument is text, white space outside of quotes disappears, quotes
/// may start anywhere in a word, brackets must match and keep their commas.
fn parse(text: &str) -> Option<(Call, &str)> {
    let (name, _) = text.split_once('(')?;
    let fun: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    if fun.is_empty() {
        return None;
    }
    let mut call = Call::new(fun, vec![]);
    let mut word: Option<String> = None;
    let mut key = None::<String>;
    let mut open = vec![];
    let mut chars = text[name.len() + 1..].char_indices();
    let start = name.len() + 1;
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' | '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next()?.1 {
                        end if end == c => break,
                        '\\' => {
                            let (_, next) = chars.next()?;
                            if next != c && next != '\\' {
                                into.push('\\');
                            }
                            into.push(next);
                        }
                        other => into.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?.1),
            ',' | ')' if open.is_empty() => {
                match (key.take(), word.take()) {
                    (Some(key), value) => _ = call.kwargs.insert(key, value.unwrap_or_default()),
                    (None, Some(value)) => call.args.push(value.into()),
                    (None, None) => {}
                }
                if c == ')' {
                    return Some((call, &text[start + at + 1..]));
                }
            }
            '=' if open.is_empty() => key = Some(word.take().unwrap_or_default()),
            ']' | '}' | ')' => {
                if open.pop() != Some(c) {
                    return None;
                }
                word.get_or_insert_default().push(c);
            }
            '[' | '{' | '(' => {
                open.push(match c {
                    '[' => ']',
                    '{' => '}',
                    _ => ')',
                });
                word.get_or_insert_default().push(c);
            }
            c if c.is_whitespace() => {}
            other => word.get_or_insert_default().push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;
    impl Caller for Echo {
        fn call(&self, call: &Call) -> Result<Value, ExecError> {
            Ok(match call.fun.as_str() {
                "test.echo" => call.args.first().cloned().unwrap_or_default(),
                "test.arg" => Value::map(
                    [("args", Value::list(call.args.clone())), ("kwargs", Value::map(call.kwargs.clone()))]
                        .into_iter()
                        .collect(),
                ),
                other => return Err(ExecError::failed(other)),
            })
        }
        fn has(&self, fun: &str) -> bool {
            fun.starts_with("test.")
        }
        fn names(&self) -> Vec<String> {
            vec![]
        }
    }

    #[test]
    fn evaluates_as_salt_does() {
        let eval = |text: &str| {
            let args: Map = [("x", text)].into_iter().collect();
            evaluate(&args, &Echo).map(|m| m.get("x").map(corpus_core::python::repr).unwrap_or_default())
        };
        for (slot, expected) in [
            ("__slot__:salt:test.echo(a b)", "'ab'"),
            ("__slot__:salt:test.echo('a b')", "'a b'"),
            ("__slot__:salt:test.echo(/tmp/x) ~ /conf", "'/tmp/x/conf'"),
            ("__slot__:salt:test.echo(/tmp/x) ~ ' y '", "'/tmp/x y '"),
            ("__slot__:salt:test.arg(k=\"v\").kwargs.k ~ /end", "'v/end'"),
            ("__slot__:salt:test.arg(a, [b, c]).args", "['a', '[b,c]']"),
            ("__slot__:salt:test.arg(k=v).not.there", "None"),
            ("__slot__:salt:test.echo('')", "''"),
            ("__slot__:salt:test.echo", "'__slot__:salt:test.echo'"),
            ("__slot__:salt:test.echo(a", "'__slot__:salt:test.echo(a'"),
            ("__slot__:pepper:test.echo(a)", "'__slot__:pepper:test.echo(a)'"),
            ("__slot__:salt:nope.echo(a)", "'__slot__:salt:nope.echo(a)'"),
        ] {
            assert_eq!(eval(slot).expect("no call fails"), expected, "{slot}");
        }
        assert!(eval("__slot__:salt:test.broken()").is_err());
        assert_eq!(functions(&[("x", "__slot__:salt:test.echo(a)")].into_iter().collect()), ["test.echo"]);
    }

    #[test]
    fn looks_one_level_deep() {
        let slot = Value::from("__slot__:salt:test.echo(a)");
        let map = |v: Value| Value::map([("k", v)].into_iter().collect());
        for (value, expected) in [
            (map(slot.clone()), "{'k': 'a'}"),
            (Value::list(vec![slot.clone(), map(slot.clone())]), "['a', {'k': 'a'}]"),
            (map(map(slot.clone())), "{'k': {'k': '__slot__:salt:test.echo(a)'}}"),
        ] {
            let args: Map = [("x", value)].into_iter().collect();
            let out = evaluate(&args, &Echo).expect("no call fails");
            assert_eq!(corpus_core::python::repr(out.get("x").expect("kept")), expected);
        }
    }
}
