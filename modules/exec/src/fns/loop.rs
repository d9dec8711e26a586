//! `loop.*`: waiting for what a function answers.

use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};
use std::time::{Duration, Instant};

/// How an answer can be compared with what is expected.
pub const OPERATORS: [&str; 7] = ["eq", "ne", "lt", "le", "gt", "ge", "contains"];

/// The functions of this module.
pub const FNS: &[ExecDef] = &[ExecDef {
    name: "loop.until_no_eval",
    args: "(name, expected, compare_operator='eq', timeout=60, period=1, init_wait=0, args=None, kwargs=None)",
    doc: "Calls a function of this machine until it answers as expected; returns `result` and `comment`.",
    run: ExecFn::Write(until),
}];

fn seconds(call: &Call, place: usize, name: &str, usual: f64) -> Result<Duration, ExecError> {
    let text = call.text(place, name).unwrap_or_else(|| usual.to_string());
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| call.invalid(name, "a number of seconds"))
}

fn holds(operator: &str, answer: &Value, expected: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    };
    let order = match (number(answer), number(expected), answer.as_str(), expected.as_str()) {
        (Some(a), Some(b), ..) => a.partial_cmp(&b),
        (.., Some(a), Some(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match operator {
        "eq" => answer == expected,
        "ne" => answer != expected,
        "lt" => order.is_some_and(std::cmp::Ordering::is_lt),
        "le" => order.is_some_and(std::cmp::Ordering::is_le),
        "gt" => order.is_some_and(std::cmp::Ordering::is_gt),
        "ge" => order.is_some_and(std::cmp::Ordering::is_ge),
        _ => match answer {
            Value::List(items) => items.contains(expected),
            Value::Map(map) => map.get_value(expected).is_some(),
            other => other.as_str().is_some_and(|text| text.contains(&python::str(expected))),
        },
    }
}

fn until(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (name, expected) = (call.need(0, "name")?, call.arg(1, "expected").cloned().unwrap_or_default());
    let operator = call.text(2, "compare_operator").unwrap_or_else(|| "eq".into());
    if !OPERATORS.contains(&operator.as_str()) {
        return Err(call.invalid("compare_operator", format!("there is no `{operator}`")));
    }
    let all = crate::all();
    let def = all.iter().find(|def| def.name == name).ok_or_else(|| ExecError::NotFound(name.clone()))?;
    let inner = Call {
        fun: name.clone(),
        args: call.arg(6, "args").and_then(Value::as_list).unwrap_or_default().to_vec(),
        kwargs: call.arg(7, "kwargs").and_then(Value::as_map).cloned().unwrap_or_default(),
    };
    let (timeout, period) = (seconds(call, 3, "timeout", 60.0)?, seconds(call, 4, "period", 1.0)?);
    std::thread::sleep(seconds(call, 5, "init_wait", 0.0)?);
    let (start, mut attempts) = (Instant::now(), 0);
    let said = |result: bool, comment: String| {
        let answer: Map = [("result", Value::from(result)), ("comment", comment.into())].into_iter().collect();
        Ok(answer.into())
    };
    while start.elapsed() < timeout {
        attempts += 1;
        let answer = match def.run {
            ExecFn::Data(run) => run(&inner, data),
            ExecFn::Read(run) => run(&inner, act.as_look(), data),
            ExecFn::Write(run) => run(&inner, act, data),
        };
        match answer {
            Err(error) => return said(false, format!("Exception occurred while executing {name}: {error}")),
            Ok(answer) if holds(&operator, &answer, &expected) => {
                return said(true, format!("Call provided the expected results in {attempts} attempts"));
            }
            Ok(_) => std::thread::sleep(period.min(timeout.saturating_sub(start.elapsed()))),
        }
    }
    said(false, format!("Call did not produce the expected result after {attempts} attempts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_python_does() {
        for (operator, answer, expected, good) in [
            ("eq", Value::from(true), Value::from(true), true),
            ("eq", "1".into(), 1.into(), false),
            ("gt", 3.into(), 2.into(), true),
            ("le", "a".into(), "b".into(), true),
            ("lt", "a".into(), 1.into(), false),
            ("contains", Value::list(vec![1.into(), 2.into()]), 2.into(), true),
            ("contains", "hello".into(), "ell".into(), true),
        ] {
            assert_eq!(holds(operator, &answer, &expected), good, "{operator}");
        }
    }
}
