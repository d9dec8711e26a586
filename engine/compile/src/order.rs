//! The order of the run: topological, ties broken by `order`, then by state, name and function.

use crate::chunks::Draft;
use crate::dag::{Dag, Node};
use corpus_core::hash::IndexMap;
use corpus_core::python::text;
use corpus_core::{RequisiteKind, Value};
use petgraph::graph::NodeIndex;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// How far `last` and negative orders stand behind the others.
const LAST: f64 = 1_000_000.0;

/// The order numbers of all chunks, as they change while the graph is walked.
pub(crate) struct Orders {
    cap: i64,
    now: Vec<f64>,
    names_pending: Vec<u32>,
}

impl Orders {
    /// Reads the declared orders.
    pub fn new(drafts: &[Draft]) -> Self {
        let mut cap = 1;
        for draft in drafts {
            if let Some(Value::Int(order)) = draft.order
                && order > cap - 1
                && order > 0
            {
                cap = order.saturating_add(100);
            }
        }
        let now = drafts.iter().map(|draft| declared(draft.order.as_ref(), cap)).collect();
        Self { cap, now, names_pending: drafts.iter().map(|draft| draft.name_order).collect() }
    }

    /// Returns the final order number of a chunk.
    pub fn of(&self, draft: usize) -> f64 {
        self.now[draft]
    }

    /// Settles a chunk's own number; Salt does so when the chunk's turn comes near.
    fn settle(&mut self, draft: usize) -> f64 {
        let names = std::mem::take(&mut self.names_pending[draft]);
        let mut order = self.now[draft] + f64::from(names) / 10_000.0;
        if order < 0.0 {
            order += self.cap as f64 + LAST;
        }
        self.now[draft] = order;
        order
    }

    /// Returns the number that counts: the least of the chunk's own and its dependents', of which those by
    /// the stronger requisites are asked.
    fn effective(&mut self, dag: &Dag, node: NodeIndex) -> (f64, f64) {
        let own = self.settle(dag.graph[node].draft);
        let mut least = f64::INFINITY;
        let mut strongest = i32::MIN;
        for (child, kind) in grouped(dag.out(node)) {
            if strongest <= weight(kind) {
                strongest = weight(kind);
                least = least.min(self.now[dag.graph[child].draft]);
            }
        }
        (own.min(least), own)
    }
}

fn declared(order: Option<&Value>, cap: i64) -> f64 {
    match order {
        Some(Value::Int(order)) => *order as f64,
        Some(Value::Float(order)) => *order,
        Some(Value::Bool(flag)) => f64::from(u8::from(*flag)),
        Some(Value::Str(word)) if &**word == "last" => cap as f64 + LAST,
        Some(Value::Str(word)) if &**word == "first" => 0.0,
        _ => cap as f64,
    }
}

/// Brings all edges to one neighbour together, in the order of the first of them.
fn grouped(edges: Vec<(NodeIndex, RequisiteKind)>) -> Vec<(NodeIndex, RequisiteKind)> {
    if edges.len() < 3 {
        return edges;
    }
    let mut groups: IndexMap<NodeIndex, Vec<RequisiteKind>> =
        IndexMap::with_capacity_and_hasher(edges.len(), Default::default());
    for (target, kind) in edges {
        groups.entry(target).or_default().push(kind);
    }
    groups.into_iter().flat_map(|(target, kinds)| kinds.into_iter().map(move |kind| (target, kind))).collect()
}

/// Salt's precedence of requisites in the question whose order number counts.
fn weight(kind: RequisiteKind) -> i32 {
    match kind {
        RequisiteKind::Onfail => 0,
        RequisiteKind::OnfailAny => 1,
        RequisiteKind::OnfailAll => 2,
        RequisiteKind::Require => 3,
        RequisiteKind::RequireAny => 4,
        RequisiteKind::Onchanges => 5,
        RequisiteKind::OnchangesAny => 6,
        RequisiteKind::Watch => 7,
        RequisiteKind::WatchAny => 8,
        RequisiteKind::Prereq => 9,
        RequisiteKind::Listen => 11,
    }
}

/// What decides between nodes that could come next.
struct Turn {
    effective: f64,
    own: f64,
    label: String,
    tag: String,
    node: NodeIndex,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.effective
            .total_cmp(&other.effective)
            .then_with(|| self.own.total_cmp(&other.own))
            .then_with(|| self.label.cmp(&other.label))
            .then_with(|| self.tag.cmp(&other.tag))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Turn {}

/// Returns the nodes in the order of the run; fewer than there are, if some wait for each other.
pub(crate) fn sort(dag: &Dag, drafts: &[Draft], orders: &mut Orders) -> Vec<NodeIndex> {
    let turn = |node: NodeIndex, orders: &mut Orders| {
        let Node { draft, check } = dag.graph[node];
        let low = &drafts[draft].low;
        let (effective, own) = orders.effective(dag, node);
        let label = [&low.state, &*text(&low.name), &low.fun].concat();
        let mut tag = low.tag();
        if check {
            tag.push_str("_|-__prereq_test__");
        }
        Reverse(Turn { effective, own, label, tag, node })
    };
    let mut waiting: Vec<usize> = vec![0; dag.graph.node_count()];
    for edge in dag.graph.edge_indices() {
        if let Some((_, to)) = dag.graph.edge_endpoints(edge) {
            waiting[to.index()] += 1;
        }
    }
    let mut heap = BinaryHeap::with_capacity(dag.graph.node_count());
    for node in dag.graph.node_indices() {
        if waiting[node.index()] == 0 {
            heap.push(turn(node, orders));
        }
    }
    let mut sorted = Vec::with_capacity(dag.graph.node_count());
    while let Some(Reverse(Turn { node, .. })) = heap.pop() {
        sorted.push(node);
        for (target, _) in grouped(dag.out(node)) {
            waiting[target.index()] -= 1;
            if waiting[target.index()] == 0 {
                heap.push(turn(target, orders));
            }
        }
    }
    sorted
}
