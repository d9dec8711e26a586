//! What all of `cmd.*` share: arguments to a command, and a command's output to Salt's record.

use corpus_core::host::{Command, Output};
use corpus_core::plan::{Observed, Plan, Settled};
use corpus_core::{Map, PlanCx, StateError, Value, python};
use corpus_exec::ask;
use std::path::Path;

/// How to run, apart from what.
#[derive(Clone, Copy, Default)]
pub struct How<'a> {
    pub cwd: Option<&'a str>,
    pub runas: Option<&'a str>,
    pub group: Option<&'a str>,
    pub umask: Option<&'a Value>,
    pub env: Option<&'a Value>,
    pub prepend_path: Option<&'a str>,
    pub timeout: Option<u64>,
    pub bg: bool,
    pub clean_env: bool,
}

/// Reads `env` in each form that Salt takes: a mapping, a list of mappings, a list of `NAME=value`.
pub fn environment(env: Option<&Value>) -> Result<Vec<(String, String)>, StateError> {
    let wrong = || StateError::failed("Invalidly-formatted 'env' parameter. See documentation.");
    let entry = |(name, value): (&Value, &Value)| {
        // Salt: `False` takes the value for empty text; null as well.
        let text = if value.is_null() || *value == Value::Bool(false) { String::new() } else { python::str(value) };
        (python::str(name), text)
    };
    match env {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::Map(map)) => Ok(map.iter().map(entry).collect()),
        Some(Value::List(items)) => {
            let mut all = vec![];
            for item in items.iter() {
                match item {
                    Value::Map(map) => all.extend(map.iter().map(entry)),
                    Value::Str(text) => {
                        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
                        all.push((name.into(), value.into()));
                    }
                    _ => return Err(wrong()),
                }
            }
            Ok(all)
        }
        Some(_) => Err(wrong()),
    }
}

/// Fills in a command as Salt's `cmd.run_all` does: environment, directory, user.
pub fn prepare(mut command: Command, how: &How<'_>, cx: &PlanCx<'_>) -> Result<Command, StateError> {
    let given = environment(how.env)?;
    // Salt: programs speak English unless the state says otherwise.
    for name in ["LC_ALL", "LANGUAGE"] {
        if !given.iter().any(|(n, _)| n == name) {
            command.env.push((name.into(), "C".into()));
        }
    }
    command.env.extend(given);
    if let Some(first) = how.prepend_path {
        let path = command.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let rest = path.unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        command.env.retain(|(name, _)| name != "PATH");
        command.env.push(("PATH".into(), format!("{first}:{rest}")));
    }
    if let Some(user) = how.runas {
        if cx.host.user(user)?.is_none() {
            return Err(StateError::missing(format!("User '{user}' is not available")));
        }
        command.runas = Some(user.into());
    }
    command.cwd = Some(match how.cwd {
        Some(cwd) => {
            if !ask::is_dir(cx.host, cwd) {
                return Err(StateError::missing(format!("Desired working directory \"{cwd}\" is not available")));
            }
            cwd.into()
        }
        None => home(cx, how.runas).into(),
    });
    command.group = how.group.map(str::to_owned);
    command.umask = how
        .umask
        .filter(|mask| !mask.is_null())
        .map(|mask| {
            let text = python::str(mask);
            u32::from_str_radix(text.trim_start_matches("0o"), 8)
                .map_err(|_| StateError::failed(format!("Invalid umask: '{text}'")))
        })
        .transpose()?;
    command.timeout_s = how.timeout;
    command.background = how.bg;
    command.clean_env = how.clean_env;
    command.stdin = cx.low.args.get("stdin").filter(|text| !text.is_null()).map(|text| python::str(text).into_bytes());
    Ok(command)
}

/// Salt: without `cwd` a command starts in its user's home, or in `/` if it cannot go there.
fn home(cx: &PlanCx<'_>, runas: Option<&str>) -> String {
    let user = cx.host.user(runas.unwrap_or("root")).ok().flatten();
    match user.map(|user| user.home) {
        Some(home) if ask::is_dir(cx.host, format!("{home}/.")) => home,
        _ => "/".into(),
    }
}

/// Returns the shell of this machine as its grains name it, unless the state names one.
pub fn shell(cx: &PlanCx<'_>, given: Option<&str>) -> String {
    given.or_else(|| cx.data.grains.get("shell").and_then(Value::as_str)).unwrap_or("/bin/sh").to_owned()
}

/// Tells whether `stateful` asks for the command's own verdict.
pub fn is_stateful(stateful: Option<&Value>) -> bool {
    match stateful {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::List(items)) => !items.is_empty(),
        _ => false,
    }
}

/// Which endings count as success, and what is shown.
#[derive(Clone, Copy, Default)]
pub struct Judge<'a> {
    pub stateful: bool,
    pub hide_output: bool,
    pub ignore_timeout: bool,
    pub retcodes: &'a [i32],
    pub stdout: &'a [String],
    pub stderr: &'a [String],
}

/// Turns a program's ending into Salt's result, `changes` and comment.
pub fn settle(seen: &[Observed], line: &str, comment: String, judge: &Judge<'_>, timeout: Option<u64>) -> Settled {
    let Some(output) = seen.iter().find_map(Observed::output) else {
        return Settled { result: false, changes: Map::new(), comment: format!("{comment}: it left no result") };
    };
    let (changes, code) = record(output, line, judge, timeout);
    let timed_out = output.timed_out && judge.ignore_timeout;
    let settled = Settled { result: code == 0 || timed_out, changes, comment };
    if judge.stateful { reinterpret(settled) } else { settled }
}

fn record(output: &Output, line: &str, judge: &Judge<'_>, timeout: Option<u64>) -> (Map, i32) {
    let (mut stdout, mut stderr) =
        (output.stdout_text().trim_end().to_owned(), output.stderr_text().trim_end().to_owned());
    let mut code = output.code;
    if output.timed_out {
        stdout = format!("{line} : Timed out after {} seconds", timeout.unwrap_or_default());
        stderr.clear();
        code = if judge.ignore_timeout { 0 } else { 1 };
    } else if judge.retcodes.contains(&code) || judge.stdout.contains(&stdout) || judge.stderr.contains(&stderr) {
        code = 0;
    }
    if judge.hide_output {
        (stdout, stderr) = (String::new(), String::new());
    }
    let mut changes = Map::new();
    changes.insert("pid", output.pid);
    changes.insert("retcode", i64::from(code));
    changes.insert("stdout", stdout);
    changes.insert("stderr", stderr);
    (changes, code)
}

/// Salt: a stateful command speaks for itself, in JSON or in a last line of `changed=yes comment='…'`.
fn reinterpret(settled: Settled) -> Settled {
    let Settled { result, changes: ran, .. } = settled;
    let text = |key: &str| ran.str(key).unwrap_or_default().to_owned();
    let fail = |comment: &str, changes: Map| Settled { result: false, changes, comment: comment.into() };
    let out = text("stdout");
    if out.is_empty() {
        return Settled { result, changes: Map::new(), comment: text("stderr") };
    }
    let (mut data, stdout) = match serde_json::from_str::<Value>(&out) {
        Ok(Value::Map(map)) => ((*map).clone(), String::new()),
        Ok(_) => return fail("script JSON output must be a JSON object (e.g., {})!", Map::new()),
        Err(_) => {
            let (before, last) = out.trim_end().rsplit_once('\n').unwrap_or(("", &out));
            let mut data = Map::new();
            for word in words(last) {
                match word.split_once('=') {
                    Some((key, value)) if !value.contains('=') => _ = data.insert(key, value),
                    _ => {
                        return fail(
                            "Failed parsing script output! Stdout must be JSON or a line of name=value pairs.",
                            ran.clone(),
                        );
                    }
                }
            }
            (data, before.to_owned())
        }
    };
    let changed = match data.get("changed").map(python::str).unwrap_or_else(|| "no".into()).to_lowercase().as_str() {
        "true" | "yes" | "1" => true,
        "false" | "no" | "0" => false,
        other => return fail(&format!("Failed parsing boolean value: {other}"), ran.clone()),
    };
    let comment = data.remove("comment").map(|text| python::str(&text)).unwrap_or_default();
    if !changed {
        return Settled { result, changes: Map::new(), comment };
    }
    for (key, value) in &ran {
        if data.get_value(key).is_none() {
            data.0.insert(key.clone(), value.clone());
        }
    }
    data.insert("stdout", stdout);
    Settled { result, changes: data, comment }
}

/// Splits a line as a shell would, quotes understood.
pub fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut inside) = (vec![], String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"') | None, '\\') => word.extend(chars.next()),
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                inside = true;
            }
            (None, c) if c.is_whitespace() => {
                if inside || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                    inside = false;
                }
            }
            (None, c) => word.push(c),
        }
    }
    if inside || !word.is_empty() {
        all.push(word);
    }
    all
}

/// Returns the plan that runs one command, whose ending `settle` judges.
pub fn plan_of(cx: &PlanCx<'_>, command: Command, name: &str, would: String, did: String) -> Plan {
    let mut plan = Plan::default().says(would, did).change("cmd", name);
    plan.push(corpus_core::Effect::Exec(command), vec![corpus_core::Prediction::Opaque]);
    for step in &mut plan.steps {
        step.must_succeed = false;
    }
    if cx.low.args.contains("user") {
        plan.warnings
            .push(format!("{} does not know 'user'; the user to become is named by 'runas'.", cx.low.full_name()));
    }
    plan
}

/// Quotes a word for a shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\"'\"'"))
    }
}

/// Tells whether a path leads to a program's script that has a suffix worth keeping.
pub fn suffix(path: &str) -> String {
    Path::new(path.split('?').next().unwrap_or(path))
        .extension()
        .map(|ext| format!(".{}", ext.to_string_lossy()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: i32, stdout: &str, judge: &Judge<'_>) -> Settled {
        let output = Output { pid: 7, code, stdout: stdout.into(), ..Output::default() };
        settle(&[Observed::Ran(output)], "x", "Command \"x\" run".into(), judge, None)
    }

    #[test]
    fn judges_as_salt_does() {
        let plain = Judge::default();
        assert!(ran(0, "out\n", &plain).result);
        assert_eq!(ran(0, "out\n", &plain).changes.str("stdout"), Some("out"));
        assert!(!ran(3, "", &plain).result);
        let lenient = Judge { retcodes: &[3], ..plain };
        assert!(ran(3, "", &lenient).result);
    }

    #[test]
    fn lets_stateful_commands_speak() {
        let judge = Judge { stateful: true, ..Judge::default() };
        for (stdout, result, changed, comment) in [
            (
                "working\n\nchanged=yes comment='something has changed' whatever=123",
                true,
                true,
                "something has changed",
            ),
            ("changed=no comment='fine'", true, false, "fine"),
            ("{\"changed\": true, \"comment\": \"json\"}", true, true, "json"),
            ("", true, false, ""),
            (
                "no pairs here",
                false,
                true,
                "Failed parsing script output! Stdout must be JSON or a line of name=value pairs.",
            ),
        ] {
            let settled = ran(0, stdout, &judge);
            assert_eq!(settled.result, result, "{stdout}");
            assert_eq!(!settled.changes.is_empty(), changed, "{stdout}");
            assert_eq!(settled.comment, comment, "{stdout}");
        }
        let settled = ran(0, "working\nchanged=yes a=1", &judge);
        assert_eq!((settled.changes.str("stdout"), settled.changes.str("a")), (Some("working"), Some("1")));
    }

    #[test]
    fn reads_environments() {
        let map: Map = [("A", Value::from(1)), ("B", Value::Null)].into_iter().collect();
        let forms = [Value::from(map.clone()), Value::list(vec![map.into()]), Value::from(vec!["A=1", "B="])];
        for form in forms {
            let all = environment(Some(&form)).expect("a good form");
            assert_eq!(all, [("A".into(), "1".into()), ("B".into(), String::new())]);
        }
        assert!(environment(Some(&"A=1".into())).is_err());
    }
}
