//! How a plan reads in a case file.

use corpus_core::host::Command;
use corpus_core::plan::{Attrs, Content, Owner, Settled};
use corpus_core::{Effect, Map, Plan, Prediction, StateError, Value, python};
use std::fmt::Write;

/// Returns the text of a refusal.
pub fn error(error: &StateError) -> String {
    match error {
        StateError::Missing(text) => format!("missing: {}", indented(text)),
        other => format!("error: {}", indented(&other.to_string())),
    }
}

/// Returns the text of a plan.
pub fn plan(plan: &Plan) -> String {
    let mut out = String::new();
    if plan.is_empty() {
        let word = if plan.failed { "failed" } else { "unchanged" };
        let _ = writeln!(out, "{word}: {}", indented(&plan.unchanged));
    } else {
        let _ = writeln!(out, "would: {}", indented(&plan.would));
        let _ = writeln!(out, "did: {}", indented(&plan.did));
        if plan.failed {
            out.push_str("fails\n");
        }
    }
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {}", indented(warning));
    }
    if !plan.changes.is_empty() {
        out.push_str("changes:\n");
        write_map(&mut out, &plan.changes, 2);
    }
    if let Some(text) = &plan.accumulate {
        let _ =
            writeln!(out, "accumulate: {} {} {}", text.filename, text.name, python::repr(&text.texts.clone().into()));
    }
    if !plan.steps.is_empty() {
        out.push_str("steps:\n");
    }
    for step in &plan.steps {
        let _ = writeln!(out, "  {}{}", effect(&step.effect), if step.must_succeed { "" } else { " (may fail)" });
        for prediction in &step.predicts {
            let _ = writeln!(out, "    -> {}", predicted(prediction));
        }
    }
    if let Some(call) = &plan.rehearsal {
        let _ = writeln!(out, "rehearsal: {}", effect(call));
    }
    out
}

/// Returns what the state said after the run, where it is not what the plan said.
pub fn settled(plan: &Plan, settled: &Result<Settled, StateError>) -> String {
    let mut out = String::new();
    match settled {
        Ok(found) if *found == Settled::as_planned(plan) => {}
        Ok(found) => {
            let _ = writeln!(out, "settled: {}", if found.result { "good" } else { "bad" });
            let _ = writeln!(out, "  comment: {}", indented(&found.comment));
            if found.changes != plan.changes {
                out.push_str("  changes:\n");
                write_map(&mut out, &found.changes, 4);
            }
        }
        Err(refusal) => _ = writeln!(out, "settled: {}", error(refusal)),
    }
    out
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn write_map(out: &mut String, map: &Map, depth: usize) {
    for (key, value) in map {
        let _ = write!(out, "{:depth$}{}:", "", python::str(key));
        match value {
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                write_map(out, inner, depth + 2);
            }
            Value::Str(text) if text.contains('\n') => {
                out.push_str(" |\n");
                for line in text.split('\n') {
                    let _ = writeln!(out, "{}", format!("{:width$}{line}", "", width = depth + 2).trim_end());
                }
            }
            Value::Str(text) => _ = writeln!(out, " {text}"),
            other => _ = writeln!(out, " {}", python::repr(other)),
        }
    }
}

fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Name(name) => name.clone(),
        Owner::Id(id) => id.to_string(),
    }
}

fn attrs(attrs: &Attrs) -> String {
    let mut out = String::new();
    if let Some(user) = &attrs.user {
        let _ = write!(out, " user={}", owner(user));
    }
    if let Some(group) = &attrs.group {
        let _ = write!(out, " group={}", owner(group));
    }
    if let Some(mode) = attrs.mode {
        let _ = write!(out, " mode={mode:04o}");
    }
    out
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::WriteFile { path, content, attrs: a, backup } => {
            let mut out = format!("write {}{}", path.display(), attrs(a));
            if let Some(backup) = backup {
                let _ = write!(out, " backup={}", backup.display());
            }
            match content {
                Content::File { path, size, .. } => _ = write!(out, " from {} ({size} bytes)", path.display()),
                Content::Bytes(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => {
                        for line in text.split_inclusive('\n') {
                            let _ = write!(out, "\n    |{}", line.replace('\n', ""));
                        }
                        if !text.ends_with('\n') && !text.is_empty() {
                            out.push_str("\n    (no newline at the end)");
                        }
                    }
                    Err(_) => _ = write!(out, " ({} bytes)", bytes.len()),
                },
            }
            out
        }
        Effect::Mkdir { path, attrs: a } => format!("mkdir {}{}", path.display(), attrs(a)),
        Effect::Symlink { path, target, attrs: a } => {
            format!("symlink {} -> {}{}", path.display(), target.display(), attrs(a))
        }
        Effect::Hardlink { path, target } => format!("hardlink {} -> {}", path.display(), target.display()),
        Effect::Rename { from, to } => format!("rename {} to {}", from.display(), to.display()),
        Effect::Copy { from, to, preserve } => {
            format!("copy {} to {}{}", from.display(), to.display(), if *preserve { " preserve" } else { "" })
        }
        Effect::Remove { path } => format!("remove {}", path.display()),
        Effect::Attrs { path, attrs: a, follow } => {
            format!("attrs {}{}{}", path.display(), attrs(a), if *follow { "" } else { " (the link itself)" })
        }
        Effect::Times { path, atime, mtime } => format!("times {} {atime:?} {mtime:?}", path.display()),
        Effect::Exec(command) => format!("exec {}", exec(command)),
        Effect::Call { fun, args, kwargs } => {
            let mut words: Vec<String> = args.iter().map(python::repr).collect();
            words.extend(kwargs.iter().map(|(k, v)| format!("{k}={}", python::repr(v))));
            format!("call {fun}({})", words.join(", "))
        }
    }
}

fn exec(command: &Command) -> String {
    let mut out = if command.secret { "***".into() } else { command.argv.join(" ") };
    let mut note = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, "\n    {word}: {value}");
        }
    };
    note("cwd", command.cwd.as_ref().map(|p| p.display().to_string()));
    note("runas", command.runas.clone());
    note("group", command.group.clone());
    note("umask", command.umask.map(|m| format!("{m:04o}")));
    note("timeout", command.timeout_s.map(|t| t.to_string()));
    note(
        "stdin",
        command
            .stdin
            .as_ref()
            .filter(|_| !command.secret)
            .map(|i| String::from_utf8_lossy(i).trim_end().replace('\n', "\n      ")),
    );
    for file in &command.handed {
        note("handed", Some(format!("{:?}", String::from_utf8_lossy(file))));
    }
    for (name, value) in &command.env {
        note("env", Some(format!("{name}={value}")));
    }
    note("background", command.background.then(|| "yes".into()));
    out
}

fn predicted(prediction: &Prediction) -> String {
    match prediction {
        Prediction::User(name, None) => format!("no user {name}"),
        Prediction::User(name, Some(u)) => format!("user {name} uid={} gid={} {} {}", u.uid, u.gid, u.home, u.shell),
        Prediction::Group(name, None) => format!("no group {name}"),
        Prediction::Group(name, Some(g)) => format!("group {name} gid={} {:?}", g.gid, g.members),
        Prediction::Fact(key, value) => format!("fact {key} = {}", python::repr(value)),
        Prediction::Path(path) => format!("path {}", path.display()),
        Prediction::Opaque => "anything may change".into(),
    }
}
