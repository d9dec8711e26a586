//! States that no tree holds: one template, high data as data, single functions.

use crate::cx::Cx;
use crate::high::High;
use crate::include::Renderer;
use crate::loader::{Loaded, NoFiles, SlsLoader};
use crate::{CompileOptions, Compiled, Step, chunks, finish, sls};
use corpus_core::{Diagnostic, LowChunk, LowState, Map, Node, Pos, Registry, Value, python};
use std::sync::Arc;

/// Compiles one rendered template, `state.template_str`; includes and excludes have no place in it.
pub fn compile_template(
    template: Loaded,
    loader: &dyn SlsLoader,
    registry: &Registry,
    opts: &CompileOptions,
) -> Result<Compiled, Vec<Diagnostic>> {
    let opts = CompileOptions { auto_order: false, ..opts.clone() };
    let mut cx = Cx::new(loader, &opts);
    let file = cx.file(template.file.clone());
    let invalid = ["include", "exclude", "extends"].iter().filter_map(|word| template.node.entry(word));
    for (key, _) in invalid {
        let message = format!(
            "The '{}' declaration found on '{}' is invalid when rendering single templates",
            key.as_str().unwrap_or_default(),
            template.file
        );
        cx.error(message, crate::high::At { file, pos: key.pos });
    }
    if !cx.errors.is_empty() {
        let errors = std::mem::take(&mut cx.errors);
        return Err(cx.finished(errors));
    }
    let name = template.file.clone();
    let mut high = Renderer::new(&mut cx, &[]).template(template, &name, "base");
    // Salt knows no SLS name here; the messages above had the template's.
    for body in high.ids.values_mut() {
        body.sls = Arc::from("");
    }
    finish(cx, high, registry)
}

/// Compiles high data given as data, `state.high`.
pub fn compile_high(data: &Value, registry: &Registry, opts: &CompileOptions) -> Result<Compiled, Vec<Diagnostic>> {
    let opts = CompileOptions { auto_order: false, ..opts.clone() };
    let mut cx = Cx::new(&NoFiles, &opts);
    let high: High = sls::read_high(&mut cx, Node::from_value(data, Pos::default()));
    finish(cx, high, registry)
}

/// Compiles one state function with its arguments, `state.single`.
pub fn compile_single(
    fun: &str,
    args: &Map,
    registry: &Registry,
    opts: &CompileOptions,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut parts = fun.split('.');
    let (Some(state), Some(fun)) = (parts.next(), parts.next()) else {
        let hint = "name a state function as <module>.<function>, `file.managed`";
        return Err(vec![Diagnostic::error("Invalid function passed").hint(hint)]);
    };
    let mut data = Map::new();
    data.insert("state", state);
    data.insert("fun", fun);
    if let Some(name) = args.get("name") {
        data.insert("__id__", name.clone());
    }
    for (key, value) in args {
        data.0.entry(key.clone()).or_insert_with(|| value.clone());
    }
    compile_low(&data, registry, opts)
}

/// Compiles one low chunk given as data, `state.low`; its requisites have nobody to wait for.
pub fn compile_low(data: &Map, registry: &Registry, opts: &CompileOptions) -> Result<Compiled, Vec<Diagnostic>> {
    let mut cx = Cx::new(&NoFiles, opts);
    let text = |key: &str| data.get(key).map(python::str).map(Arc::<str>::from);
    for key in ["state", "fun", "name"] {
        if !data.contains(key) {
            cx.errors.push(Diagnostic::error(format!("Missing \"{key}\" data")));
        }
    }
    let name = data.get("name").cloned().unwrap_or_default();
    if name.truthy() && name.as_str().is_none() {
        let sls = data.str("__sls__").map(|sls| format!("in SLS '{sls}' ")).unwrap_or_default();
        let message =
            format!("ID '{}' {sls}is not formed as a string, but is a {}", python::str(&name), name.type_name());
        cx.errors.push(Diagnostic::error(message));
    }
    if !cx.errors.is_empty() {
        return Err(cx.errors);
    }
    let own = ["state", "fun", "name", "__id__", "__sls__", "__env__", "order"];
    let args: Map = data
        .iter()
        .filter(|(key, _)| key.as_str().is_none_or(|key| !own.contains(&key)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let low = LowChunk {
        state: text("state").unwrap_or_default(),
        fun: text("fun").unwrap_or_default(),
        id: text("__id__").or_else(|| text("name")).unwrap_or_default(),
        sls: text("__sls__").unwrap_or_default(),
        saltenv: text("__env__").unwrap_or_else(|| "base".into()),
        order: data.get("order").and_then(Value::as_int).unwrap_or_default(),
        name,
        args,
        ..LowChunk::default()
    };
    chunks::check(&mut cx, &low, registry);
    if !cx.errors.is_empty() {
        return Err(cx.errors);
    }
    let steps = vec![Step { chunk: 0, check: false }];
    Ok(Compiled { low: LowState { chunks: vec![low] }, high: Value::Null, warnings: cx.warnings, steps })
}
