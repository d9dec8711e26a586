//! Requisite cycles, each told once, as the path that leads back to its start.

use crate::chunks::Draft;
use crate::cx::{Cx, py};
use crate::dag::Dag;
use corpus_core::{Diagnostic, Map, RequisiteKind, Value, python};
use petgraph::graph::NodeIndex;
use std::fmt::Write;

/// An edge of a cycle: what must come first, what waits for it, and by which requisite.
type Edge = (NodeIndex, NodeIndex, RequisiteKind);

/// How many places a message shows; a cycle of a thousand states is no easier to read for all of them.
const SHOWN: usize = 12;

/// Reports every cycle: of states that all wait for each other, one.
pub(crate) fn report(cx: &mut Cx, dag: &Dag, drafts: &[Draft]) {
    let mut group = vec![0; dag.graph.node_count()];
    for (i, nodes) in petgraph::algo::kosaraju_scc(&dag.graph).iter().enumerate() {
        for node in nodes {
            group[node.index()] = i;
        }
    }
    let mut told = vec![false; dag.graph.node_count()];
    for cycle in find(dag, &group, &mut told) {
        let diagnostic = tell(cx, dag, drafts, &cycle);
        cx.errors.push(diagnostic);
    }
}

/// Walks depth first from the first node on, as Salt does, and collects the first way back within each group.
fn find(dag: &Dag, group: &[usize], told: &mut [bool]) -> Vec<Vec<Edge>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::No; dag.graph.node_count()];
    let mut cycles = vec![];
    for start in dag.graph.node_indices() {
        if seen[start.index()] != Seen::No {
            continue;
        }
        seen[start.index()] = Seen::OnPath;
        // The path: each node, the edge that led to it, and what is still to be tried from it.
        let mut path = vec![(start, None, dag.out(start).into_iter())];
        while let Some((node, _, rest)) = path.last_mut() {
            let node = *node;
            let Some((next, kind)) = rest.next() else {
                seen[node.index()] = Seen::Done;
                path.pop();
                continue;
            };
            match seen[next.index()] {
                Seen::No => {
                    seen[next.index()] = Seen::OnPath;
                    path.push((next, Some(kind), dag.out(next).into_iter()));
                }
                Seen::OnPath if !told[group[next.index()]] => {
                    told[group[next.index()]] = true;
                    let from = path.iter().position(|(on, ..)| *on == next).unwrap_or_default();
                    let mut cycle: Vec<Edge> =
                        path[from..].windows(2).filter_map(|pair| Some((pair[0].0, pair[1].0, pair[1].1?))).collect();
                    cycle.push((node, next, kind));
                    cycles.push(cycle);
                }
                _ => {}
            }
        }
    }
    cycles
}

fn tell(cx: &Cx, dag: &Dag, drafts: &[Draft], cycle: &[Edge]) -> Diagnostic {
    let draft = |node: NodeIndex| &drafts[dag.graph[node].draft];
    let edges: Vec<(&Draft, RequisiteKind, &Draft)> = cycle
        .iter()
        .map(|(first, waits, kind)| {
            let dependent = draft(*waits);
            // A `prereq` also makes its target wait for the state that has it.
            let declared = dependent.requisites.iter().any(|(word, ..)| **word == *kind.word());
            let kind = if *kind == RequisiteKind::Require && !declared { RequisiteKind::Prereq } else { *kind };
            (dependent, kind, draft(*first))
        })
        .collect();
    let told: Vec<String> = edges
        .iter()
        .map(|(dependent, kind, first)| format!("({}, '{}', {})", show(dependent), kind.word(), show(first)))
        .collect();
    let mut diagnostic = Diagnostic::error(format!("Recursive requisites were found: {}", told.join(", ")));
    let mut path = String::new();
    // Told from the one that waits to the one it waits for.
    for (i, (dependent, kind, first)) in edges.iter().rev().enumerate() {
        let place = cx.span(dependent.at);
        if i < SHOWN {
            let _ = write!(path, "{}{} -{}-> ", dependent.low.id, shown_place(&place), kind.word());
            let word = dependent.requisites.iter().find(|(word, ..)| **word == *kind.word());
            let target = word.and_then(|(.., items)| items.iter().find(|item| names(&item.value, first)));
            let at = target.map(|item| item.at).or(word.map(|(_, at, _)| *at)).unwrap_or(dependent.at);
            let span = if at.pos.line == 0 { place } else { cx.span(at) };
            if span.line > 0 {
                let label = format!("`{}` waits for `{}`", dependent.low.id, first.low.id);
                diagnostic = diagnostic.at(span, label);
            }
        } else if i == SHOWN {
            let _ = write!(path, "… {} more … -> ", edges.len() - SHOWN);
        }
    }
    if let Some((dependent, ..)) = edges.last() {
        path.push_str(&dependent.low.id);
    }
    diagnostic.hint(format!("the cycle is {path}: take one of these requisites away"))
}

/// Tells whether a requisite's target is this state.
fn names(target: &Value, draft: &Draft) -> bool {
    let named = |name: &Value| py(name) == *draft.low.id || *name == draft.low.name;
    match target {
        Value::Map(map) => map.values().any(named),
        name => named(name),
    }
}

fn shown_place(span: &corpus_core::Span) -> String {
    if span.line == 0 { String::new() } else { format!(" ({}:{})", span.file, span.line) }
}

fn show(draft: &Draft) -> String {
    let low = &draft.low;
    let mut shown = Map::new();
    shown.insert("SLS", low.sls.clone());
    shown.insert("ID", low.id.clone());
    if py(&low.name) != *low.id {
        shown.insert("NAME", low.name.clone());
    }
    python::repr(&Value::map(shown))
}
