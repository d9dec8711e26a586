//! Runs the case files: Markdown, one `##` heading per case, with a fenced `facts` block (the machine), an
//! `sls` block (the declaration) and a `plan` block (what the state answers). `BLESS=1` fills the last in.
//!
//! Each case also performs its plan on the machine in memory and plans again: a state that converges has
//! nothing left to do then, and a step that is not shown is a step that is not taken.

#[path = "runner/machine.rs"]
mod machine;
#[path = "runner/show.rs"]
mod show;

use corpus_core::low::LowChunk;
use corpus_core::{Plan, Registry, Span, StateError, Value};
use machine::Machine;
use std::path::{Path, PathBuf};

/// One case of a file.
struct Case {
    title: String,
    facts: String,
    sls: String,
    plan: String,
}

/// A piece of a case file: text as it stands, or a fenced block with its word.
enum Piece {
    Text(String),
    Block(String, String),
}

fn pieces(text: &str) -> Vec<Piece> {
    let (mut out, mut lines) = (vec![], text.lines());
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            Some(word) => {
                let body: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
                out.push(Piece::Block(word.trim().into(), body.join("\n")));
            }
            None => out.push(Piece::Text(line.into())),
        }
    }
    out
}

fn cases(text: &str) -> Vec<Case> {
    let mut out: Vec<Case> = vec![];
    for piece in pieces(text) {
        match piece {
            Piece::Text(line) => {
                if let Some(title) = line.strip_prefix("## ") {
                    let title = title.into();
                    out.push(Case { title, facts: String::new(), sls: String::new(), plan: String::new() });
                }
            }
            Piece::Block(word, body) => {
                let Some(case) = out.last_mut() else { continue };
                match word.as_str() {
                    "facts" => case.facts = body,
                    "sls" => case.sls = body,
                    "plan" => case.plan = body,
                    _ => {}
                }
            }
        }
    }
    out
}

/// Returns the text with the plan blocks replaced, or added where a case has none.
fn bless(text: &str, plans: &[String]) -> String {
    let (mut out, mut at, mut open) = (String::new(), 0, false);
    let mut flush = |out: &mut String, open: &mut bool| {
        if std::mem::take(open) {
            while out.ends_with("\n\n") {
                out.pop();
            }
            out.push_str(&format!("```plan\n{}\n```\n\n", plans[at]));
        }
        at += usize::from(!*open && out.ends_with("```\n\n") && at < plans.len());
    };
    let mut seen = 0;
    for piece in pieces(text) {
        match piece {
            Piece::Text(line) if line.starts_with("## ") => {
                flush(&mut out, &mut open);
                open = true;
                seen += 1;
                out.push_str(&line);
                out.push('\n');
            }
            Piece::Text(line) => {
                out.push_str(&line);
                out.push('\n');
            }
            Piece::Block(word, _) if word == "plan" && seen > 0 => {}
            Piece::Block(word, body) => out.push_str(&format!("```{word}\n{body}\n```\n")),
        }
    }
    flush(&mut out, &mut open);
    let mut tidy = out;
    while tidy.contains("\n\n\n") {
        tidy = tidy.replace("\n\n\n", "\n\n");
    }
    tidy.trim_end().to_owned() + "\n"
}

/// Reads a declaration as the compiler would: one chunk per function, its arguments as written.
fn chunks(sls: &str) -> Vec<LowChunk> {
    let tree = corpus_core::yaml::parse(sls).unwrap_or_else(|e| panic!("the sls block is no YAML: {e:?}")).to_value();
    let mut out = vec![];
    for (id, body) in tree.as_map().expect("an sls block is a mapping of IDs") {
        let id = corpus_core::python::str(id);
        match body {
            Value::Str(full) => out.push(chunk(&id, full, &[])),
            Value::Map(functions) => {
                for (full, args) in &**functions {
                    let full = full.as_str().expect("a state function is a text");
                    out.push(chunk(&id, full, args.as_list().unwrap_or_default()));
                }
            }
            other => panic!("{id}: expected a state function, found {}", other.type_name()),
        }
    }
    out
}

fn chunk(id: &str, full: &str, args: &[Value]) -> LowChunk {
    let (mut full, mut name) = (full.to_owned(), Value::str(id));
    let mut low = LowChunk { id: id.into(), sls: "case".into(), saltenv: "base".into(), ..LowChunk::default() };
    for arg in args {
        match arg {
            Value::Str(fun) if !full.contains('.') => full = format!("{full}.{fun}"),
            Value::Map(entries) => {
                for (key, value) in &**entries {
                    match key.as_str() {
                        Some("name") => name = value.clone(),
                        _ => _ = low.args.0.insert(key.clone(), value.clone()),
                    }
                }
            }
            other => panic!("{id}: an argument is a mapping of one entry, not {}", other.type_name()),
        }
    }
    let (state, fun) = full.split_once('.').unwrap_or_else(|| panic!("{id}: `{full}` names no function"));
    (low.state, low.fun, low.name) = (state.into(), fun.into(), name);
    low.span = Span::default();
    low
}

/// Plans, performs and plans again; returns what the plan block is to say.
fn run(case: &Case, registry: &Registry) -> Result<String, String> {
    let machine = Machine::of(&case.facts)?;
    let chunks = chunks(&case.sls);
    let (mut texts, mut accumulated) = (vec![], machine.accumulated.clone());
    for (index, low) in chunks.iter().enumerate() {
        let def = registry.state(&low.full_name()).ok_or_else(|| format!("no state function {}", low.full_name()))?;
        let args = corpus_core::state::arguments(low);
        let state = match (def.decode)(&args) {
            Ok(state) => state,
            Err(error) => {
                texts.push(format!("refused: {error}"));
                continue;
            }
        };
        let found = |test: bool, watch: bool| -> Result<Plan, StateError> {
            let cx = machine.cx(low, test, &accumulated, &chunks);
            if watch { state.watch(&cx) } else { state.plan(&cx) }
        };
        let plan = match found(false, machine.watch) {
            Ok(plan) => plan,
            Err(error) => {
                texts.push(show::error(&error));
                continue;
            }
        };
        let dry = found(true, machine.watch).map_err(|e| format!("a dry run gives another answer: {e}"))?;
        if (&dry.steps, &dry.changes) != (&plan.steps, &plan.changes) {
            return Err("the plan depends on `test`: effects or changes differ".into());
        }
        let (seen, ok) = machine.perform(&plan);
        let mut text = show::plan(&plan);
        if ok && !plan.steps.is_empty() {
            let cx = machine.cx(low, false, &accumulated, &chunks);
            text += &show::settled(&plan, &state.settle(&plan, &seen, &cx));
        }
        if ok && def.converges && !machine.watch && !plan.failed && !plan.repeats {
            let again = found(false, false).map_err(|e| format!("planning again fails: {e}"))?;
            if !again.steps.is_empty() || (!again.changes.is_empty() && again.accumulate.is_none()) {
                return Err(format!("{} did not converge; it still wants:\n{}", low.full_name(), show::plan(&again)));
            }
        }
        accumulated.extend(plan.accumulate.map(|a| (index as u32, a)));
        texts.push(text.trim_end().to_owned());
    }
    Ok(texts.join("\n---\n"))
}

#[test]
fn cases_hold() {
    let registry = Registry::new().states(corpus_states::STATES);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let only = std::env::var("CASES").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("there are case files")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "md") && path.to_string_lossy().contains(&only))
        .collect();
    files.sort();
    let mut failures = vec![];
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a case file is text");
        let (mut plans, name) = (vec![], file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let mut broken = false;
        for case in cases(&text) {
            match run(&case, &registry) {
                Ok(plan) => {
                    if plan != case.plan && std::env::var_os("BLESS").is_none() {
                        failures.push(format!("{name}: {}\nexpected:\n{}\nfound:\n{plan}\n", case.title, case.plan));
                    }
                    plans.push(plan);
                }
                Err(why) => {
                    broken = true;
                    failures.push(format!("{name}: {}\n{why}\n", case.title));
                    plans.push(case.plan);
                }
            }
        }
        if std::env::var_os("BLESS").is_some() && !broken {
            std::fs::write(&file, bless(&text, &plans)).expect("a case file can be written");
        }
    }
    assert!(failures.is_empty(), "{} cases differ (BLESS=1 accepts):\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn examples_in_the_documentation_decode() {
    let registry = Registry::new().states(corpus_states::STATES);
    let (mut failures, mut count) = (vec![], 0);
    for def in registry.all_states() {
        for piece in pieces(def.doc) {
            let Piece::Block(word, body) = piece else { continue };
            if word != "sls" {
                continue;
            }
            for low in chunks(&body) {
                count += 1;
                let Some(named) = registry.state(&low.full_name()) else { continue };
                let known = (named.args)();
                for arg in low.args.keys().filter_map(Value::as_str) {
                    if !named.open && !known.contains(&arg) && !corpus_core::keywords::is_engine_word(arg) {
                        failures.push(format!("{}: its example gives the unknown argument `{arg}`", def.name));
                    }
                }
                if let Err(error) = (named.decode)(&corpus_core::state::arguments(&low)) {
                    failures.push(format!("{}: its example is refused: {error}", def.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 0, "some state has an example");
}

#[test]
fn every_state_and_argument_is_documented() {
    let mut failures = vec![];
    for def in corpus_states::STATES {
        if def.doc.trim().is_empty() {
            failures.push(format!("{} has no documentation", def.name));
        }
        for (arg, doc) in def.arg_docs {
            if doc.is_empty() && *arg != "name" {
                failures.push(format!("{}: argument `{arg}` has no documentation", def.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn blessing_replaces_and_adds_plan_blocks() {
    let text = "# x\n\n## one\n\n```sls\na: b.c\n```\n```plan\nold\n```\n\n## two\n\n```sls\nd: e.f\n```\n";
    let expected =
        "# x\n\n## one\n\n```sls\na: b.c\n```\n```plan\n1\n```\n\n## two\n\n```sls\nd: e.f\n```\n```plan\n2\n```\n";
    assert_eq!(bless(text, &["1".into(), "2".into()]), expected);
    assert_eq!(bless(expected, &["1".into(), "2".into()]), expected);
}
