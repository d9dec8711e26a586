//! Small templates with real Jinja2's answers, under Salt's environment (Salt 3007): `jinja_cases.txt`. Known
//! differences are listed with their reasons in `jinja_differences.txt`.

mod common;

use common::engine_of;
use corpus_render::RenderCx;
use std::collections::BTreeMap;

fn context() -> RenderCx {
    let mut cx = common::context();
    for (name, value) in
        [("sls", "top.sub"), ("tpldir", "top"), ("tplfile", "top/sub.sls"), ("tpldot", "top"), ("name", "N")]
    {
        cx.vars.insert(name, value);
    }
    cx
}

#[test]
fn answers_as_jinja2_does() {
    let cases = include_str!("jinja_cases.txt").trim_start_matches("===== ").trim_end_matches('\n');
    let known: BTreeMap<&str, &str> = include_str!("jinja_differences.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  =>  "))
        .collect();
    let (engine, cx) = (engine_of("tests/files"), context());
    let (mut same, mut different, mut wrong) = (0, 0, vec![]);
    for case in cases.split("\n===== ") {
        let (kind, rest) = case.split_once('\n').expect("a case has a kind");
        let (template, expected) = rest.split_once("\n-----\n").expect("a case has an answer");
        let template = template.replace("\\r\r", "\r");
        let found = engine.render_text(&template, "case", "case.sls", &cx);
        let fine = match (&found, kind) {
            (Ok(text), "ok") => text == expected,
            (Err(diagnostic), "error") => {
                // Salt's head: undefined, syntax, or any other.
                let message = diagnostic.message.trim_start_matches("Unable to render case: ");
                if expected.starts_with("Jinja variable") {
                    message == expected.split("; line").next().unwrap_or(expected)
                } else {
                    !message.starts_with("Jinja variable")
                }
            }
            _ => false,
        };
        let name = template.replace('\n', "⏎");
        match (fine, known.contains_key(&*name)) {
            (true, false) => same += 1,
            (false, true) => different += 1,
            (true, true) => wrong.push(format!("{name}\n   is no difference any more; take it out of the list")),
            (false, false) => {
                let found = found.unwrap_or_else(|d| format!("ERROR {}", d.message));
                wrong.push(format!("{name}\n   wants {kind}: {expected:?}\n   found: {found:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{same} agree, {different} known differences, {} unexpected",
        wrong.join("\n"),
        wrong.len()
    );
}
