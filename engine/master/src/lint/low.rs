//! Rules on what the compiler made: chunks with their arguments.

use super::{Finding, Lint};
use corpus_compile::SlsLoader;
use corpus_core::{LowChunk, Value, python, suggest};
use corpus_render::FileRoots;

/// What makes a command run only when there is something to do.
const GUARDS: &[&str] = &[
    "creates",
    "unless",
    "onlyif",
    "onchanges",
    "onchanges_any",
    "onfail",
    "onfail_any",
    "onfail_all",
    "prereq",
    "stateful",
    "check_cmd",
];

/// Looks at one chunk.
pub(super) fn check(lint: &Lint, roots: &FileRoots, chunk: &LowChunk) -> Vec<Finding> {
    let mut found = vec![];
    let full = chunk.full_name();
    let at = |arg: &str| lint.loader.relocate(chunk.arg_span(arg));
    let given = |arg: &str| chunk.args.get(arg).is_some_and(|value| !value.is_null());
    if matches!(&*full, "cmd.run" | "cmd.script") && !GUARDS.iter().any(|guard| given(guard)) {
        let message = format!("the command of '{}' runs in every run", chunk.id);
        found.push(
            Finding::new("cmd-without-guard", message, lint.loader.relocate(&chunk.span))
                .hint("`creates`, `unless`, `onlyif` or `onchanges` says when it is needed"),
        );
    }
    if chunk.state.as_ref() == "file" {
        for arg in ["mode", "file_mode", "dir_mode"] {
            if let Some(Value::Int(mode)) = chunk.args.get(arg) {
                let message = format!("`{arg}` of '{}' is the number {mode}", chunk.id);
                found.push(Finding::new("mode-quotes", message, at(arg)).hint(format!("write `{arg}: '{mode:04}'`")));
            }
        }
        sources(lint, roots, chunk, &mut found);
    }
    deprecated(chunk, &full, &at, &mut found);
    found
}

/// Sources that are not there, or cannot be verified.
fn sources(lint: &Lint, roots: &FileRoots, chunk: &LowChunk, found: &mut Vec<Finding>) {
    let Some(source) = chunk.args.get("source") else { return };
    let urls: Vec<String> = match source {
        Value::List(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Str(url) => vec![url.to_string()],
        _ => return,
    };
    let env = chunk.args.str("saltenv").unwrap_or(&chunk.saltenv);
    let at = || lint.loader.relocate(chunk.arg_span("source"));
    let salt: Vec<&str> = urls.iter().filter_map(|url| url.strip_prefix("salt://")).collect();
    let here = |path: &&str| {
        let (path, env) = path.split_once("?saltenv=").unwrap_or((path, env));
        let path = path.trim_end_matches('/');
        roots.find(path, env).is_some() || roots.find_dir(path, env).is_some()
    };
    // Of several, some are meant to be missing.
    if !salt.is_empty() && salt.len() == urls.len() && !salt.iter().any(here) {
        let files = roots.list_files(env, "");
        let hint = suggest::did_you_mean(salt[0], files.iter().map(String::as_str));
        let message = format!("no source of '{}' is in the file roots: {}", chunk.id, urls.join(", "));
        found.push(Finding::new("missing-source", message, at()).maybe_hint(hint));
    }
    let web = |url: &&String| ["http://", "https://", "ftp://"].iter().any(|scheme| url.starts_with(scheme));
    let verified = ["source_hash", "skip_verify"].iter().any(|arg| chunk.args.get(arg).is_some_and(Value::truthy));
    if let Some(url) = urls.iter().find(web).filter(|_| chunk.fun.as_ref() == "managed" && !verified) {
        let message = format!("'{}' takes {url} without a `source_hash`", chunk.id);
        found.push(
            Finding::new("missing-hash", message, at())
                .hint("name its digest, `source_hash: sha256=…`, or say `skip_verify: True`"),
        );
    }
}

fn deprecated(chunk: &LowChunk, full: &str, at: &dyn Fn(&str) -> corpus_core::Span, found: &mut Vec<Finding>) {
    let mut tell = |arg: &str, message: &str, hint: &str| {
        found.push(Finding::new("deprecated", message, at(arg)).hint(hint));
    };
    let dotted = |key: &Value| key.as_str().is_some_and(|key| key.contains('.'));
    if full == "module.run" && !chunk.args.keys().any(dotted) && python::str(&chunk.name).contains('.') {
        let name = python::str(&chunk.name);
        tell(
            "name",
            &format!("`module.run` with the function `{name}` as its name"),
            &format!("write `- {name}: [arguments]`"),
        );
    }
    if full == "user.present" && chunk.args.contains("gid_from_name") {
        tell("gid_from_name", "`gid_from_name` of `user.present`", "write `usergroup: True`");
    }
    if full == "cmd.wait" || full == "cmd.wait_script" {
        tell("name", &format!("`{full}`"), "write `cmd.run` with `onchanges`");
    }
}
