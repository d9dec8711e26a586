//! SLS files to low state: includes, `extend`, `exclude`, requisites written on either side, `names`,
//! and the requisite graph that orders the run. Mistakes are collected as diagnostics, all of a tree at once.
//!
//! The steps are Salt 3008's: files to high data ([`SlsLoader`], `include`), `extend`, the verifier, the `_in`
//! forms, `exclude`, low chunks, graph. Where Salt stops at the first step with an error, this goes on as far
//! as the later step's findings do not merely follow from the earlier one's.

mod chunks;
mod cx;
mod cycle;
mod dag;
mod extend;
mod fnmatch;
mod high;
mod include;
mod loader;
mod low;
mod order;
mod requisite_in;
mod single;
mod sls;
pub mod top;
mod verify;

pub use loader::{LoadError, Loaded, NoFiles, SlsLoader};
pub use single::{compile_high, compile_low, compile_single, compile_template};

use corpus_core::hash::HashSet;
use corpus_core::{Diagnostic, Label, LowState, Map, Registry, RequisiteKind, Value};
use cx::{Cx, did_you_mean};
use high::{At, High, Item};

/// What changes how a tree is compiled.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// Unknown functions and arguments are errors, not warnings.
    pub strict: bool,
    /// Requisite words to take no notice of (`disabled_requisites`).
    pub disabled_requisites: Vec<String>,
    /// States run in the order in which they are written (`state_auto_order`).
    pub auto_order: bool,
    /// SLS names to leave out, in addition to the tree's own `exclude` (`exclude=` of a call).
    pub exclude: Vec<String>,
    /// Leave `extend`, `exclude` and the `_in` forms alone, as `state.show_low_sls` does.
    pub plain: bool,
    /// Where the top file names an environment's SLS, for messages.
    pub named_at: Vec<(String, String, Label)>,
    /// Keep the high data for [`Compiled::high`]; a run has no use for it.
    pub keep_high: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            strict: false,
            disabled_requisites: vec![],
            auto_order: true,
            exclude: vec![],
            plain: false,
            named_at: vec![],
            keep_high: false,
        }
    }
}

/// One step of Salt's run: a chunk, or its dry run for a `prereq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub chunk: u32,
    pub check: bool,
}

/// What a compilation gives.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub low: LowState,
    /// With `keep_high`: high data as rendered, before `extend` and its kin, as `state.show_highstate` and `state.show_sls` print it.
    pub high: Value,
    pub warnings: Vec<Diagnostic>,
    /// The chunks in the order of the run, with the dry runs that `prereq` asks for.
    pub steps: Vec<Step>,
}

impl Compiled {
    /// Returns the low state as `state.show_lowstate` prints it: a chunk named by a `prereq` stands there twice.
    pub fn lowstate(&self) -> Vec<Map> {
        let checked: HashSet<u32> = self.steps.iter().filter(|step| step.check).map(|step| step.chunk).collect();
        let show = |step: &Step| {
            let chunk = self.low.chunks.get(step.chunk as usize)?;
            let mut shown = chunk.to_salt();
            if chunk.requisites.iter().any(|requisite| requisite.kind == RequisiteKind::Prereq) {
                shown.insert("__prerequiring__", true);
            }
            if checked.contains(&step.chunk) {
                shown.insert("__prereq__", true);
            }
            Some(shown)
        };
        self.steps.iter().filter_map(show).collect()
    }

    /// Keeps one ID and what it requires, for `state.sls_id`.
    pub fn keep_id(mut self, id: &str, sls: &[String], saltenv: &str) -> Result<Self, Diagnostic> {
        let chunks = &self.low.chunks;
        let mut kept: Vec<bool> = chunks.iter().map(|chunk| *chunk.id == *id).collect();
        if !kept.contains(&true) {
            let message =
                format!("No matches for ID '{id}' found in SLS '{}' within saltenv '{saltenv}'", sls.join(","));
            let hint = did_you_mean(id, chunks.iter().map(|chunk| &*chunk.id));
            return Err(Diagnostic::error(message).maybe_hint(hint));
        }
        let mut open: Vec<usize> = (0..kept.len()).filter(|i| kept[*i]).collect();
        while let Some(i) = open.pop() {
            for target in chunks[i].requisites.iter().flat_map(|requisite| &requisite.targets) {
                if !std::mem::replace(&mut kept[*target as usize], true) {
                    open.push(*target as usize);
                }
            }
        }
        let mut next = 0;
        let place: Vec<u32> = kept
            .iter()
            .map(|kept| {
                next += u32::from(*kept);
                next.saturating_sub(1)
            })
            .collect();
        let mut i = 0;
        self.low.chunks.retain(|_| {
            i += 1;
            kept[i - 1]
        });
        for requisite in self.low.chunks.iter_mut().flat_map(|chunk| &mut chunk.requisites) {
            requisite.targets.iter_mut().for_each(|target| *target = place[*target as usize]);
        }
        self.steps.retain(|step| kept[step.chunk as usize]);
        self.steps.iter_mut().for_each(|step| step.chunk = place[step.chunk as usize]);
        Ok(self)
    }
}

/// Compiles SLS files by name, `state.apply web,db`.
pub fn compile_sls(
    names: &[String],
    saltenv: &str,
    loader: &dyn SlsLoader,
    registry: &Registry,
    opts: &CompileOptions,
) -> Result<Compiled, Vec<Diagnostic>> {
    compile_top(&[(saltenv.to_owned(), names.to_vec())], loader, registry, opts)
}

/// Compiles what a top file matched: environments with their SLS names.
pub fn compile_top(
    matches: &[(String, Vec<String>)],
    loader: &dyn SlsLoader,
    registry: &Registry,
    opts: &CompileOptions,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut cx = Cx::new(loader, opts);
    let mut high = include::Renderer::new(&mut cx, matches).highstate(matches);
    high.excludes.extend(opts.exclude.iter().map(|sls| Item { at: At::default(), value: sls.into() }));
    finish(cx, high, registry)
}

/// Takes high data the rest of the way.
fn finish(mut cx: Cx, mut high: High, registry: &Registry) -> Result<Compiled, Vec<Diagnostic>> {
    let shown = if cx.opts.keep_high { high.to_value() } else { Value::Null };
    let mut shown_anyway = false;
    if cx.opts.plain {
        high.extends.clear();
        high.excludes.clear();
        verify::verify(&mut cx, &high);
    } else {
        let extends = std::mem::take(&mut high.extends);
        let rendered = std::mem::take(&mut cx.errors);
        extend::reconcile(&mut cx, &mut high, extends, false);
        let unextended = std::mem::replace(&mut cx.errors, rendered);
        verify::verify(&mut cx, &high);
        if cx.opts.keep_high {
            // High data is shown as Salt shows it, if only what comes after it fails: that is told beside it.
            if !cx.errors.is_empty() {
                return Err(failed(cx));
            }
            shown_anyway = true;
        }
        cx.errors.splice(0..0, unextended);
        requisite_in::resolve(&mut cx, &mut high);
        extend::exclude(&mut cx, &mut high);
    }
    let drafts = chunks::drafts(&mut cx, &high, registry);
    let (low, steps) = low::order(&mut cx, drafts);
    if cx.errors.is_empty() || shown_anyway {
        let mut warnings = std::mem::take(&mut cx.errors);
        warnings.append(&mut cx.warnings);
        return Ok(Compiled { low, high: shown, warnings: cx.finished(warnings), steps });
    }
    Err(failed(cx))
}

/// Gives all that was found, errors first.
fn failed(mut cx: Cx) -> Vec<Diagnostic> {
    let mut found = std::mem::take(&mut cx.errors);
    found.append(&mut cx.warnings);
    cx.finished(found)
}
