//! What `kmod.*` share: which modules are meant, loaded, and loaded at boot.

use corpus_core::decode::OneOrMany;
use corpus_core::{PlanCx, Prediction, StateError};
use corpus_exec::fns::kmod;

/// Returns the modules of a declaration.
pub fn wanted(name: &str, mods: &OneOrMany<String>) -> Vec<String> {
    if mods.0.is_empty() { vec![name.to_owned()] } else { mods.0.clone() }
}

/// The fact under which a step foretells whether a module is loaded.
pub fn fact(module: &str, loaded: bool) -> Prediction {
    Prediction::Fact(format!("kmod:{module}"), loaded.into())
}

/// Tells whether a module is loaded, and whether it is at boot.
pub fn status(cx: &PlanCx<'_>, module: &str) -> Result<(bool, bool), StateError> {
    let loaded = match cx.host.predicted(&format!("kmod:{module}")) {
        Some(known) => known.truthy(),
        None => kmod::loaded(cx.host, module),
    };
    let at_boot = kmod::at_boot(cx.host)?.iter().any(|have| kmod::same(have, module));
    Ok((loaded, at_boot))
}

/// Says something of one module or of several, in Salt's words.
pub fn say(modules: &[String], one: &str, many: &str) -> String {
    match modules {
        [] => String::new(),
        [module] => one.replace("{}", module),
        several => many.replace("{}", &several.join(", ")),
    }
}

/// Joins sentences, each in its line.
pub fn lines(sentences: &[String]) -> String {
    sentences.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}
