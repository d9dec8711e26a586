//! `corpus lint`: its page says what its rules say, and its scenario shows each rule at work.

use corpus_master::lint::rules::{self, RULES};
use std::path::Path;

#[test]
fn every_rule_is_explained_and_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, now) = (root.join("docs/reference/lint.md"), rules::page());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &now).expect("the page can be written");
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == now, "docs/reference/lint.md is not what the rules say: BLESS=1 writes it");
    let scenario = std::fs::read_to_string(root.join("tests/it/scenarios/lint.md")).expect("a scenario");
    let hidden: Vec<&str> =
        RULES.iter().map(|rule| rule.name).filter(|name| !scenario.contains(&format!("[{name}]: "))).collect();
    assert!(hidden.is_empty(), "not shown in tests/it/scenarios/lint.md: {hidden:?}");
}
