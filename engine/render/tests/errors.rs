//! What people see when a template fails, and where rendered lines come from.

mod common;

use common::{context, engine_of};
use corpus_core::{Diagnostic, Pos};

fn failure(sls: &str) -> Diagnostic {
    match engine_of("tests/tree").render_sls(sls, &context()) {
        Ok(rendered) => panic!("{sls} rendered: {}", rendered.text),
        Err(diagnostic) => diagnostic,
    }
}

#[test]
fn an_undefined_variable_in_an_imported_macro_names_that_file_and_line() {
    let diagnostic = failure("web");
    assert_eq!(diagnostic.message, "Rendering SLS 'base:web' failed: Jinja variable 'shel' is undefined");
    let places: Vec<String> = diagnostic.labels.iter().map(|label| label.span.to_string()).collect();
    assert_eq!(places, ["lib/macros.jinja:4:17", "web/init.sls:4:4"]);
    assert_eq!(diagnostic.labels[0].excerpt.as_deref(), Some("    - shell: {{ shel }}"));
    assert_eq!(diagnostic.labels[0].len, 4);
}

#[test]
fn messages_say_what_where_and_how_to_go_on() {
    for (sls, message, place, hint) in [
        (
            "typo",
            "Rendering SLS 'base:typo' failed: Jinja variable 'grians' is undefined",
            "typo.sls:2:7",
            "did you mean `grains`?",
        ),
        (
            "failing",
            "Rendering SLS 'base:failing' failed: Problem running salt function in Jinja template: it failed",
            "failing.sls:2:16",
            "",
        ),
        (
            "filter",
            "Rendering SLS 'base:filter' failed: Jinja syntax error: No filter named 'jion'.",
            "filter.sls:1:11",
            "did you mean `join`?",
        ),
        (
            "py",
            "Rendering SLS 'base:py' failed: The renderer 'py' is not available; there are: age, gpg, jinja, json, yaml",
            "py.sls:1:1",
            "it needs Python",
        ),
        (
            "odd",
            "Rendering SLS 'base:odd' failed: the render pipe `yaml|jinja` goes on after `yaml`",
            "odd.sls:1:1",
            "must come last",
        ),
        ("nothing", "No matching sls found for 'nothing' in env 'base'", "", ""),
    ] {
        let diagnostic = failure(sls);
        assert_eq!(diagnostic.message, message);
        assert_eq!(diagnostic.span().map_or(String::new(), ToString::to_string), place, "{sls}");
        assert!(diagnostic.hints.iter().any(|h| h.contains(hint)) || hint.is_empty(), "{sls}: {:?}", diagnostic.hints);
    }
    assert!(failure("open").message.contains("Jinja syntax error"));
}

#[test]
fn rendered_lines_lead_back_to_their_source() {
    let rendered = engine_of("tests/tree").render_sls("good", &context()).expect("good.sls renders");
    let line = |needle: &str| {
        let at = rendered.text.lines().position(|l| l.contains(needle)).expect("the line is there");
        Pos::new(at as u32 + 1, 1)
    };
    for (needle, expected) in [("state-1", "good.sls:3:1"), ("state-2", "good.sls:3:1"), ("test.nop:", "good.sls:4:1")]
    {
        assert_eq!(rendered.locate(line(needle)).to_string(), expected);
    }
    let chain: Vec<String> = rendered.chain(line("made")).iter().map(ToString::to_string).collect();
    assert_eq!(chain, ["lib/macros.jinja:7:4", "good.sls:7:4"]);
    assert!(rendered.text.contains("good .") && rendered.text.contains("|good.sls"), "{}", rendered.text);
}

#[test]
fn an_sls_sees_its_own_place() {
    // The values are real Salt's, by `generate_sls_context`; `tplroot` is what formulas make of `tpldir`.
    let rendered = engine_of("tests/tree").render_sls("web.deep", &context()).expect("it renders");
    assert_eq!(rendered.text.trim_end(), r#"x: "web.deep|web|web|web|web|web/deep.sls|web|web|web""#);
}

#[test]
fn data_is_read_without_templates() {
    let rendered = engine_of("tests/tree").render_sls("js", &context()).expect("JSON is read");
    assert_eq!(corpus_core::python::repr(&rendered.node.to_value()), "{'a': 1}");
}

#[test]
fn hostile_templates_end_with_an_error() {
    let engine = engine_of("tests/tree");
    for template in [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x' * 1000000000000 }}",
        "{{ range(10000000000)|list }}",
        "{{ '{:>999999999999}'.format(1) }}{{ nope }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ 'a'.__class__ }}",
    ] {
        assert!(engine.render_text(template, "t", "t", &context()).is_err(), "{template}");
    }
    let long = format!("{{{{ {} }}}}", vec!["1"; 900].join(" + "));
    assert_eq!(engine.render_text(&long, "t", "t", &context()).expect("long sums work"), "900");
    for long in [" + 1", "|string", ".a", " ~ 1"] {
        // Whatever the answer: no crash.
        drop(engine.render_text(&format!("{{{{ 1{} }}}}", long.repeat(20_000)), "t", "t", &context()));
    }
    // Lines are true past 65,535.
    let far = format!("{}{{{{ nope }}}}", "\n".repeat(70_000));
    let diagnostic = engine.render_text(&far, "t", "t", &context()).expect_err("undefined");
    assert_eq!(diagnostic.span().map(|s| s.line), Some(70_001));
}

#[test]
fn missing_functions_are_named_as_salt_names_them() {
    let engine = engine_of("tests/tree");
    for (template, message) in [
        ("{{ salt['nope.fun']() }}", "'salt.utils.templates.AliasedLoader object' has no attribute 'nope.fun'"),
        ("{{ salt.nope.fun() }}", "'salt.utils.templates.AliasedLoader object' has no attribute 'nope'"),
        ("{{ salt.test.nope() }}", "'salt.loader.lazy.LoadedMod object' has no attribute 'nope'"),
        (
            "{{ salt['pillar.gett']('x') }}",
            "'salt.utils.templates.AliasedLoader object' has no attribute 'pillar.gett'",
        ),
    ] {
        let diagnostic = engine.render_text(template, "t", "t", &context()).expect_err(template);
        assert_eq!(diagnostic.message, format!("Unable to render t: Jinja variable {message}"));
    }
    for (template, text) in [
        ("{{ salt.test.echo(5) }}{{ salt['test']['echo'](6) }}{{ salt.get('test.echo')(7) }}", "567"),
        ("{{ salt.nope is defined }}{{ 'test.echo' in salt }}{{ salt['x.y'] is defined }}", "FalseTrueFalse"),
    ] {
        assert_eq!(engine.render_text(template, "t", "t", &context()).expect(template), text);
    }
}

#[test]
fn a_bad_import_names_both_files() {
    let diagnostic = failure("missing");
    assert_eq!(diagnostic.message, "Rendering SLS 'base:missing' failed: Jinja error: lib/macro.jinja");
    assert_eq!(diagnostic.span().map(ToString::to_string).as_deref(), Some("missing.sls:1:9"));
    assert_eq!(diagnostic.hints, ["did you mean `lib/macros.jinja`?"]);
    let places: Vec<String> = failure("imports_broken").labels.iter().map(|l| l.span.to_string()).collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].starts_with("lib/broken.jinja:2:") && places[1] == "imports_broken.sls:2:11", "{places:?}");
}

#[test]
fn files_of_the_roots_are_rendered() {
    let engine = engine_of("tests/files");
    assert_eq!(engine.render_file("salt://lib/text.txt", &context()).expect("it renders"), "plain 2 text");
    assert!(engine.render_file("salt://../errors.rs", &context()).is_err());
    assert!(engine.roots().list_files("base", "lib").contains(&"lib/rel.jinja".to_owned()));
    assert_eq!(
        engine_of("tests/tree").roots().sls_path("web", "base").map(|(_, file)| file).as_deref(),
        Some("web/init.sls")
    );
}
