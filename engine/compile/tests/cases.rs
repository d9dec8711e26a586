//! Every case of `cases/*.md` against what real Salt 3008 said of it, and our messages word for word.
//!
//! `BLESS=1` rewrites the `corpus` blocks, which hold our messages; Salt's answers are recorded, not blessed.

mod support;

use corpus_core::{Diagnostic, Map, Severity, Value};
use std::path::{Path, PathBuf};
use support::{Case, cases, json, run, shown};

fn check(case: &Case) -> Result<String, String> {
    let (low, found) = match run(case) {
        Ok(compiled) => (Some(compiled.lowstate()), compiled.warnings),
        Err(found) => (None, found),
    };
    let mut ours = shown(&found);
    // A template's states have no SLS; the integrator's null is our empty text.
    let low = low.map(|low| {
        low.into_iter()
            .map(|chunk| {
                chunk
                    .into_iter()
                    .filter(|(key, value)| {
                        value.as_str() != Some("")
                            && !(case.call.contains("--template") && key.as_str() == Some("__env__"))
                    })
                    .collect::<Map>()
            })
            .collect::<Vec<_>>()
    });
    if case.differs {
        for chunk in low.unwrap_or_default() {
            ours += &format!("{}\n", text(&Value::map(chunk)));
        }
        return Ok(ours);
    }
    let Some(salt) = &case.salt else { return Ok(ours) };
    let recorded: Vec<Value> = salt.lines().filter(|line| !line.is_empty()).map(json).collect();
    match (low, case.salt_fails) {
        (Some(low), false) => {
            let low: Vec<Value> = low.into_iter().map(Value::map).collect();
            for (i, (ours, theirs)) in low.iter().zip(&recorded).enumerate() {
                if ours != theirs {
                    return Err(format!("chunk {i}\n  ours {}\n  Salt {}", text(ours), text(theirs)));
                }
            }
            if low.len() != recorded.len() {
                return Err(format!("{} chunks, Salt has {}", low.len(), recorded.len()));
            }
            Ok(ours)
        }
        (None, true) => {
            let messages: Vec<&str> = errors(&found).map(|diagnostic| diagnostic.message.as_str()).collect();
            let missing: Vec<String> =
                recorded.iter().filter(|v| !v.as_str().is_some_and(|m| messages.contains(&m))).map(text).collect();
            if missing.is_empty() {
                Ok(ours)
            } else {
                Err(format!("Salt also says\n  {}\nours\n{ours}", missing.join("\n  ")))
            }
        }
        (Some(_), true) => Err(format!("compiles, but Salt says\n{salt}")),
        (None, false) => Err(format!("fails, but not in Salt\n{ours}")),
    }
}

fn errors(found: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
}

fn text(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

#[test]
fn all_cases_agree_with_salt() {
    let bless = std::env::var_os("BLESS").is_some();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    // Other recordings can be tried without adding them: `CASES=dir`.
    let dir = std::env::var_os("CASES").map_or(own, PathBuf::from);
    let mut failures = vec![];
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let mut blessed = source.clone();
        for case in cases(&source) {
            count += 1;
            assert!(case.salt.is_some() || case.corpus.is_some() || bless, "{stem}: {} expects nothing", case.name);
            match check(&case) {
                Err(why) => failures.push(format!("{stem}: {}: {why}", case.name)),
                Ok(ours) if bless => blessed = write(&blessed, &case.name, &ours),
                Ok(ours) if case.corpus.clone().unwrap_or_default() != ours => {
                    failures.push(format!("{stem}: {}: messages differ; ours\n{ours}", case.name));
                }
                Ok(_) => {}
            }
        }
        if bless && blessed != source {
            std::fs::write(&file, blessed).unwrap();
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(count > 60, "the case files are gone");
}

/// Puts our messages into a case's `corpus` block.
fn write(source: &str, name: &str, ours: &str) -> String {
    let heading = format!("## {name}\n");
    let Some(from) = source.find(&heading) else { return source.into() };
    let body = from + heading.len();
    let to = source[body..].find("\n## ").map_or(source.len(), |i| body + i + 1);
    let mut section = source[from..to].to_owned();
    if let Some(start) = section.find("\n```corpus\n") {
        let end = start + 11 + section[start + 11..].find("```\n").expect("the block ends") + 4;
        section.replace_range(start + 1..end, "");
    }
    let mut section = section.trim_end().to_owned() + "\n";
    if !ours.is_empty() {
        section += &format!("\n```corpus\n{ours}```\n");
    }
    if to < source.len() {
        section.push('\n');
    }
    format!("{}{section}{}", &source[..from], &source[to..])
}
