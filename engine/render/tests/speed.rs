//! How long rendering takes. Run by hand, in release: `cargo test --release -p corpus-render --test speed -- --ignored --nocapture`.

mod common;

use corpus_render::{Engine, FileRoots};
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn ten_thousand_chunks() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(
        dir.path().join("macros.jinja"),
        "{% macro file(n) %}\n/tmp/f{{ n }}:\n  file.managed:\n    - mode: '{{ salt['pillar.get']('web:port', 80) }}'\n    - user: {{ pillar.users[0].name|default('root') }}\n{% endmacro %}\n",
    )
    .expect("written");
    for i in 0..20 {
        let text = "{% from 'macros.jinja' import file with context %}\n{% for i in range(500) %}\n{{ file(i) }}\n{% endfor %}\n";
        std::fs::write(dir.path().join(format!("s{i}.sls")), text).expect("written");
    }
    let engine = Engine::new(FileRoots::base(dir.path()));
    let cx = common::context();
    let started = Instant::now();
    let mut bytes = 0;
    for i in 0..20 {
        let text = std::fs::read_to_string(dir.path().join(format!("s{i}.sls"))).expect("there");
        bytes += engine.render_text(&text, "s", &format!("s{i}.sls"), &cx).expect("renders").len();
    }
    eprintln!("templates alone: {:?} for {bytes} bytes", started.elapsed());
    let started = Instant::now();
    for i in 0..20 {
        engine.render_sls(&format!("s{i}"), &cx).expect("renders");
    }
    eprintln!("templates and YAML: {:?}", started.elapsed());
}
