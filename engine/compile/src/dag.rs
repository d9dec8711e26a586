//! The requisite graph: who runs before whom. Nodes are chunks, and for each chunk that a `prereq`
//! names also its dry run, which comes before the chunk that asked for it.

use crate::chunks::Draft;
use crate::cx::{Cx, did_you_mean, py};
use crate::fnmatch::{fnmatch, is_pattern};
use crate::high::{At, Item};
use corpus_core::hash::{HashMap, HashSet, IndexMap};
use corpus_core::{RequisiteKind, Value, suggest};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::sync::Arc;

/// A node of the graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Index into the drafts.
    pub draft: usize,
    /// The dry run for a `prereq`, not the chunk itself.
    pub check: bool,
}

/// The words in the order in which Salt reads them off a chunk.
const READ: &[RequisiteKind] = &[
    RequisiteKind::Require,
    RequisiteKind::RequireAny,
    RequisiteKind::Watch,
    RequisiteKind::WatchAny,
    RequisiteKind::Prereq,
    RequisiteKind::Onfail,
    RequisiteKind::OnfailAny,
    RequisiteKind::OnfailAll,
    RequisiteKind::Onchanges,
    RequisiteKind::OnchangesAny,
];

/// The graph with its tables of targets.
pub(crate) struct Dag {
    pub graph: DiGraph<Node, RequisiteKind>,
    edges: HashSet<(NodeIndex, NodeIndex, RequisiteKind)>,
    /// State module (or `id`), then ID or name.
    targets: IndexMap<Arc<str>, IndexMap<Arc<str>, Vec<NodeIndex>>>,
    sls: IndexMap<Arc<str>, Vec<NodeIndex>>,
    /// The dry run of a chunk.
    checks: HashMap<NodeIndex, NodeIndex>,
    /// The node of each draft.
    pub node_of: Vec<NodeIndex>,
    /// Direct requisites per draft, as declared.
    pub requisites: Vec<Vec<(RequisiteKind, Vec<NodeIndex>)>>,
    /// Chunks with a `prereq`.
    pub prerequiring: HashSet<NodeIndex>,
}

impl Dag {
    /// Makes the graph of some chunks, and says what they name and is not there.
    pub fn build(cx: &mut Cx, drafts: &[Draft]) -> Self {
        let mut dag = Self {
            graph: DiGraph::with_capacity(drafts.len(), drafts.len() * 2),
            edges: HashSet::with_capacity_and_hasher(drafts.len() * 2, Default::default()),
            targets: IndexMap::default(),
            sls: IndexMap::default(),
            checks: HashMap::default(),
            node_of: Vec::with_capacity(drafts.len()),
            requisites: vec![vec![]; drafts.len()],
            prerequiring: HashSet::default(),
        };
        let mut by_tag: HashMap<String, NodeIndex> =
            HashMap::with_capacity_and_hasher(drafts.len(), Default::default());
        for (i, draft) in drafts.iter().enumerate() {
            dag.add_chunk(i, draft, &mut by_tag);
        }
        let mut hints = 0;
        for (i, draft) in drafts.iter().enumerate() {
            if !draft.requisites.is_empty() {
                dag.add_requisites(cx, drafts, i, draft, &mut hints);
            }
        }
        dag
    }

    fn add_chunk(&mut self, i: usize, draft: &Draft, by_tag: &mut HashMap<String, NodeIndex>) {
        let low = &draft.low;
        // Two chunks of one tag are one to Salt, and the second is the one that runs.
        let node = *by_tag.entry(low.tag()).or_insert_with(|| self.graph.add_node(Node { draft: i, check: false }));
        self.graph[node].draft = i;
        self.node_of.push(node);
        let name = if let Value::Str(name) = &low.name { Some(name) } else { None };
        let same = name.is_some_and(|name| *name == low.id);
        for module in [&*low.state, "id"] {
            let targets = entry(&mut self.targets, module);
            for key in name.into_iter().filter(|_| !same).chain([&low.id]) {
                add(targets.entry(key.clone()).or_default(), node);
            }
        }
        for sls in [&low.sls].into_iter().chain(&low.included_from).filter(|sls| !sls.is_empty()) {
            add(entry(&mut self.sls, sls), node);
        }
    }

    fn add_requisites(&mut self, cx: &mut Cx, drafts: &[Draft], i: usize, draft: &Draft, hints: &mut u32) {
        for kind in READ {
            let Some((word, _, items)) = draft.requisites.iter().find(|(word, ..)| **word == *kind.word()) else {
                continue;
            };
            if cx.disabled(word) {
                continue;
            }
            let mut found = Vec::with_capacity(items.len());
            for item in items.iter() {
                let Some((module, target)) = target(item) else { continue };
                let nodes = match &target {
                    // The verifier has spoken of a list.
                    Value::Null | Value::List(_) | Value::Map(_) => continue,
                    Value::Str(target) => self.find(cx, &module, target),
                    _ => {
                        let message = format!(
                            "Requisite [{word}: {module}] in state [{}] in SLS [{}] must have a string as the value",
                            py(&draft.low.name),
                            draft.low.sls
                        );
                        let diagnostic = cx.diagnostic(message, item.at).hint("put quotes around it");
                        cx.errors.push(diagnostic);
                        continue;
                    }
                };
                match nodes {
                    Some(nodes) => {
                        for node in nodes {
                            self.add_requisite(self.node_of[i], *kind, node);
                            found.push(node);
                        }
                    }
                    None => self.not_found(cx, drafts, draft, *kind, &module, &py(&target), item.at, hints),
                }
            }
            if !found.is_empty() {
                let mut seen = HashSet::with_capacity_and_hasher(found.len(), Default::default());
                found.retain(|node| seen.insert(*node));
                self.requisites[i].push((*kind, found));
            }
        }
    }

    /// Finds what a target stands for; none if there is no such thing, an empty list if it is empty.
    fn find(&self, cx: &Cx, module: &str, target: &str) -> Option<Vec<NodeIndex>> {
        let pattern = is_pattern(target);
        if module == "sls" {
            if pattern {
                let all = self.sls.iter().filter(|(sls, _)| fnmatch(sls, target));
                return Some(all.flat_map(|(_, nodes)| nodes.iter().copied()).collect());
            }
            // An SLS that renders to nothing is there all the same.
            let empty = || cx.processed.iter().any(|sls| **sls == *target).then(Vec::new);
            return self.sls.get(target).cloned().or_else(empty);
        }
        let targets = self.targets.get(module)?;
        if pattern {
            let all = targets.iter().filter(|(key, _)| fnmatch(key, target));
            let nodes: Vec<_> = all.flat_map(|(_, nodes)| nodes.iter().copied()).collect();
            return (!nodes.is_empty()).then_some(nodes);
        }
        targets.get(target).cloned()
    }

    fn add_requisite(&mut self, node: NodeIndex, kind: RequisiteKind, target: NodeIndex) {
        if kind == RequisiteKind::Prereq {
            return self.add_prereq(node, target);
        }
        // What the chunk needs, its dry run needs too.
        if let Some(check) = self.checks.get(&node).copied() {
            self.add_edge(target, check, kind);
        }
        self.add_edge(target, node, kind);
    }

    /// The dry run of the target, then the node, then the target.
    fn add_prereq(&mut self, node: NodeIndex, target: NodeIndex) {
        self.prerequiring.insert(node);
        let check = match self.checks.get(&target) {
            Some(check) => *check,
            None => {
                let check = self.graph.add_node(Node { draft: self.graph[target].draft, check: true });
                self.checks.insert(target, check);
                let needs = self.graph.edges_directed(target, petgraph::Incoming);
                let mut needs: Vec<_> = needs.map(|edge| (edge.source(), *edge.weight())).collect();
                needs.reverse();
                for (need, kind) in needs {
                    if kind != RequisiteKind::Prereq {
                        self.add_edge(need, check, kind);
                    }
                }
                check
            }
        };
        self.add_edge(check, node, RequisiteKind::Prereq);
        self.add_edge(node, target, RequisiteKind::Require);
        if let Some(own_check) = self.checks.get(&node).copied() {
            self.add_edge(check, own_check, RequisiteKind::Prereq);
        }
    }

    fn add_edge(&mut self, from: NodeIndex, to: NodeIndex, kind: RequisiteKind) {
        if self.edges.insert((from, to, kind)) {
            self.graph.add_edge(from, to, kind);
        }
    }

    /// Returns what leads away from a node, in the order of its making.
    pub fn out(&self, node: NodeIndex) -> Vec<(NodeIndex, RequisiteKind)> {
        let mut out: Vec<_> = self.graph.edges(node).map(|edge| (edge.target(), *edge.weight())).collect();
        out.reverse();
        out
    }

    /// Finds chunks by module and exact ID or name.
    pub fn exact(&self, module: &str, target: &str) -> &[NodeIndex] {
        self.targets.get(module).and_then(|targets| targets.get(target)).map_or(&[], Vec::as_slice)
    }

    #[allow(clippy::too_many_arguments)]
    fn not_found(
        &self,
        cx: &mut Cx,
        drafts: &[Draft],
        draft: &Draft,
        kind: RequisiteKind,
        module: &str,
        target: &str,
        at: At,
        hints: &mut u32,
    ) {
        // The target may be in a file that could not be read; that file has its own message, as has a broken ID.
        if cx.incomplete || cx.broken.contains(target) {
            return;
        }
        let message = format!(
            "Referenced state does not exist for requisite [{}: ({module}: {target})] in state [{}] in SLS [{}]",
            kind.word(),
            py(&draft.low.name),
            draft.low.sls
        );
        // Nearness is asked of every name there is: not a thousand times.
        *hints += 1;
        let hint = if *hints <= 50 { self.hint(cx, drafts, module, target) } else { None };
        let diagnostic = cx.diagnostic(message, at).maybe_hint(hint);
        cx.errors.push(diagnostic);
    }

    fn hint(&self, cx: &Cx, drafts: &[Draft], module: &str, target: &str) -> Option<String> {
        if module == "sls" {
            let known = self.sls.keys().chain(&cx.processed).map(|sls| &**sls);
            return did_you_mean(target, known).or_else(|| {
                let tree = cx.loader.list("base");
                if tree.iter().any(|sls| sls == target) {
                    return Some(format!("`{target}` is not part of this run: add it to `include`"));
                }
                let near = did_you_mean(target, tree.iter().map(String::as_str));
                let near = near.map(|near| format!("{near} it must be included, too"));
                near.or_else(|| Some(format!("no file of this run is named `{target}`: is an `include` missing?")))
            });
        }
        if let Some(node) = self.exact("id", target).first() {
            let low = &drafts[self.graph[*node].draft].low;
            return Some(format!(
                "`{target}` is declared with `{}`: did you mean `{}: {target}`?",
                low.state, low.state
            ));
        }
        if is_pattern(target) {
            return Some("`*`, `?`, `[` and `]` make it a pattern, which matches no ID and no name".into());
        }
        target.chars().nth(2)?;
        let near = |table: &str| {
            suggest::nearest(target, self.targets.get(table)?.keys().map(|key| &**key)).map(str::to_owned)
        };
        if let Some(near) = near(module) {
            return Some(format!("did you mean `{near}`?"));
        }
        let near = near("id")?;
        let node = self.exact("id", &near).first()?;
        Some(format!("did you mean `{}: {near}`?", drafts[self.graph[*node].draft].low.state))
    }
}

/// Reads module and target off a member of a requisite list; a plain text names an ID or a name.
fn target(item: &Item) -> Option<(String, Value)> {
    match &item.value {
        Value::Map(map) => {
            let (module, target) = map.iter().next()?;
            let module = py(module);
            let module = module.split('.').next().unwrap_or_default().to_owned();
            Some((module, target.clone()))
        }
        Value::Str(_) => Some(("id".into(), item.value.clone())),
        _ => None,
    }
}

fn add(nodes: &mut Vec<NodeIndex>, node: NodeIndex) {
    // A chunk enters once under its ID and once under its name, one right after the other.
    if nodes.last() != Some(&node) {
        nodes.push(node);
    }
}

/// Returns a table's entry, making the key only where it is new.
fn entry<'t, V: Default>(table: &'t mut IndexMap<Arc<str>, V>, key: &str) -> &'t mut V {
    let at = table.get_index_of(key).unwrap_or_else(|| table.insert_full(key.into(), V::default()).0);
    &mut table[at]
}
