//! `file.accumulated`

use super::shared;
use corpus_core::plan::Accumulate;
use corpus_core::{Plan, PlanCx, RequisiteKind, State, StateError, Value};
use serde::Deserialize;

/// Collects text for a file that a later state of the run writes, as `accumulator` in its template.
///
/// ```sls
/// backend of the proxy:
///   file.accumulated:
///     - filename: /etc/haproxy/haproxy.cfg
///     - text: server web1 10.0.0.1
///     - require_in:
///       - file: /etc/haproxy/haproxy.cfg
/// /etc/haproxy/haproxy.cfg:
///   file.managed:
///     - source: salt://haproxy/haproxy.cfg
///     - template: jinja
/// ```
#[derive(Deserialize)]
pub struct Accumulated {
    name: String,
    /// The file that the text is for.
    filename: String,
    /// A text, or a list of them.
    #[serde(default)]
    text: Value,
}

impl Accumulated {
    /// Tells whether a file state waits for this one.
    fn awaited(&self, cx: &PlanCx<'_>) -> bool {
        let written = ["require_in", "watch_in"].iter().filter_map(|word| cx.low.args.get(word)?.as_list());
        let named = written.flatten().any(|item| match item {
            Value::Map(map) => map.contains("file"),
            Value::Str(id) => cx.chunks.iter().any(|low| &*low.state == "file" && low.id == *id),
            _ => false,
        });
        let tag = cx.low.tag();
        let own = cx.chunks.iter().position(|low| low.tag() == tag).and_then(|at| u32::try_from(at).ok());
        named
            || cx.chunks.iter().filter(|low| &*low.state == "file").flat_map(|low| &low.requisites).any(|requisite| {
                matches!(requisite.kind, RequisiteKind::Require | RequisiteKind::Watch)
                    && own.is_some_and(|own| requisite.targets.contains(&own))
            })
    }
}

impl State for Accumulated {
    const NAME: &'static str = "file.accumulated";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.text.is_null() {
            return Err(shared::failed("No text supplied for accumulator"));
        }
        if !self.awaited(cx) {
            let (sls, id) = (&cx.low.sls, &cx.low.id);
            return Err(shared::failed(format!("Orphaned accumulator {} in {sls}:{id}", self.name)));
        }
        let texts = match &self.text {
            Value::List(items) => items.to_vec(),
            one => vec![one.clone()],
        };
        let comment = format!("Accumulator {} for file {} was charged by text", self.name, self.filename);
        let mut plan = Plan::unchanged(comment.as_str()).says(comment.as_str(), comment.as_str());
        plan.accumulate = Some(Accumulate { filename: self.filename.clone(), name: self.name.clone(), texts });
        Ok(plan)
    }
}
