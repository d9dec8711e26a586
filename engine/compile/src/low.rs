//! Low chunks in order, with their requisites as places in that order.

use crate::chunks::Draft;
use crate::cx::{Cx, did_you_mean, py};
use crate::dag::Dag;
use crate::high::Item;
use crate::order::{self, Orders};
use crate::{Step, cycle};
use corpus_core::hash::HashMap;
use corpus_core::{LowState, Requisite, RequisiteKind, Value};
use petgraph::graph::NodeIndex;

/// Orders the chunks; mistakes are in the context afterwards.
pub(crate) fn order(cx: &mut Cx, mut drafts: Vec<Draft>) -> (LowState, Vec<Step>) {
    let dag = Dag::build(cx, &drafts);
    let mut orders = Orders::new(&drafts);
    let sorted = order::sort(&dag, &drafts, &mut orders);
    if sorted.len() < dag.graph.node_count() {
        cycle::report(cx, &dag, &drafts);
        return (LowState::default(), vec![]);
    }
    let mut place = vec![0_u32; dag.graph.node_count()];
    let chunks = sorted.iter().filter(|node| !dag.graph[**node].check);
    for (i, node) in chunks.enumerate() {
        place[node.index()] = i as u32;
    }
    let mut requisites = resolved(&dag, &place);
    listeners(cx, &dag, &drafts, &place, &mut requisites);
    let steps = sorted.iter().map(|node| {
        let chunk = place[dag.node_of[dag.graph[*node].draft].index()];
        Step { chunk, check: dag.graph[*node].check }
    });
    let steps = steps.collect();
    let mut chunks = Vec::with_capacity(drafts.len());
    for node in sorted.into_iter().filter(|node| !dag.graph[*node].check) {
        let draft = dag.graph[node].draft;
        let mut low = std::mem::take(&mut drafts[draft].low);
        let number = orders.of(draft);
        low.order = number.floor() as i64;
        low.suborder = ((number - number.floor()) * 10_000.0).round() as u32;
        low.requisites = requisites.remove(&node).unwrap_or_default();
        chunks.push(low);
    }
    (LowState { chunks }, steps)
}

fn resolved(dag: &Dag, place: &[u32]) -> HashMap<NodeIndex, Vec<Requisite>> {
    let mut all: HashMap<NodeIndex, Vec<Requisite>> = HashMap::default();
    for (draft, requisites) in dag.requisites.iter().enumerate().filter(|(_, requisites)| !requisites.is_empty()) {
        let own = all.entry(dag.node_of[draft]).or_default();
        for (kind, nodes) in requisites {
            let targets = nodes.iter().map(|node| place[node.index()]).collect();
            own.push(Requisite { kind: *kind, targets, missing: vec![] });
        }
    }
    all
}

/// Resolves `listen` and `listen_in`, which do not order the run.
fn listeners(
    cx: &mut Cx,
    dag: &Dag,
    drafts: &[Draft],
    place: &[u32],
    requisites: &mut HashMap<NodeIndex, Vec<Requisite>>,
) {
    let mut heard: Vec<(NodeIndex, Vec<NodeIndex>)> = vec![];
    for (i, draft) in drafts.iter().enumerate() {
        for (word, _, items) in &draft.requisites {
            if &**word != "listen" && &**word != "listen_in" || cx.disabled(word) {
                continue;
            }
            for item in items.iter() {
                for (module, target) in targets(cx, dag, drafts, place, draft, word, item) {
                    let found = find(dag, &module, &target);
                    if found.is_empty() {
                        let message = format!("Referenced state {module}: {target} does not exist");
                        let known = dag.graph.node_weights().map(|node| &*drafts[node.draft].low.id);
                        let hint = did_you_mean(&target, known);
                        cx.warn(message, item.at, hint);
                        if &**word == "listen" {
                            listen(requisites, dag.node_of[i]).missing.push((module, target));
                        }
                    } else if &**word == "listen" {
                        heard.push((dag.node_of[i], found));
                    } else {
                        let own = find(dag, &draft.low.state, &draft.low.id);
                        heard.extend(found.into_iter().map(|node| (node, own.clone())));
                    }
                }
            }
        }
    }
    for (node, targets) in heard {
        let own = listen(requisites, node);
        for target in targets.iter().map(|target| place[target.index()]) {
            if !own.targets.contains(&target) {
                own.targets.push(target);
            }
        }
    }
}

fn listen(requisites: &mut HashMap<NodeIndex, Vec<Requisite>>, node: NodeIndex) -> &mut Requisite {
    let own = requisites.entry(node).or_default();
    let at = own.iter().position(|requisite| requisite.kind == RequisiteKind::Listen).unwrap_or_else(|| {
        own.push(Requisite { kind: RequisiteKind::Listen, targets: vec![], missing: vec![] });
        own.len() - 1
    });
    &mut own[at]
}

fn find(dag: &Dag, module: &str, target: &str) -> Vec<NodeIndex> {
    // Salt has no pseudo module `id` here.
    if module == "id" { vec![] } else { dag.exact(module, target).to_vec() }
}

/// Reads a member of a `listen` list; a plain text stands for the first chunk with that ID or name.
fn targets(
    cx: &mut Cx,
    dag: &Dag,
    drafts: &[Draft],
    place: &[u32],
    draft: &Draft,
    word: &str,
    item: &Item,
) -> Vec<(String, String)> {
    match &item.value {
        Value::Map(map) => map.iter().map(|(module, target)| (py(module), py(target))).collect(),
        Value::Str(target) => {
            let first = dag.exact("id", target).iter().min_by_key(|node| place[node.index()]);
            if first.is_none() {
                let message = format!(
                    "No state with ID or name '{target}' for {word} in state '{}' in SLS '{}': the requisite has no effect",
                    draft.low.id, draft.low.sls
                );
                cx.warn(message, item.at, None);
            }
            let low = first.map(|node| &drafts[dag.graph[*node].draft].low);
            low.map(|low| (low.state.to_string(), low.id.to_string())).into_iter().collect()
        }
        _ => vec![],
    }
}
