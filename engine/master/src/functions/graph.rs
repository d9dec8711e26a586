//! `state.graph`: the requisite graph of a minion's states, as DOT or as SVG; with a plan it is coloured by what a dry
//! run would do.

use super::{MasterDef, saltenv, state};
use crate::Session;
use crate::diagnose::Outcome;
use corpus_core::low::RequisiteKind;
use corpus_core::{Call, Data, ExecError, LowChunk, LowState, RunReport, Value};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[MasterDef {
    name: "state.graph",
    args: "(mods=None, format='dot', plan=False, pillar=None, saltenv='base', exclude=None)",
    doc: "Draws the requisite graph of SLS files, or of the highstate, as `dot` or `svg`. With `plan` a dry run colours it: \
          what would change, what is as declared, what fails, what is skipped. `--out=newline_values_only` prints the \
          drawing alone.",
    run: graph,
}];

/// From what runs first to what waits for it.
struct Edge {
    from: usize,
    to: usize,
    kind: RequisiteKind,
}

struct Node {
    title: String,
    place: String,
    colour: &'static str,
}

fn graph(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let format = call.text(1, "format").unwrap_or_else(|| "dot".into());
    let draw = match format.as_str() {
        "dot" => dot,
        "svg" => svg,
        other => return Err(call.invalid("format", format!("`{other}` is neither `dot` nor `svg`"))),
    };
    let low = Arc::new(state::compiled(session, call, data, &saltenv(session, call))?.low);
    let report = if call.flag(2, "plan", false) { Some(dry_run(session, data, &low)?) } else { None };
    let of: HashMap<String, &'static str> =
        report.iter().flat_map(|report| &report.chunks).map(|chunk| (chunk.tag.clone(), colour(chunk))).collect();
    let nodes: Vec<Node> = low.chunks.iter().map(|chunk| node(chunk, &of)).collect();
    Ok(draw(&nodes, &edges(&low)).into())
}

fn dry_run(session: &Arc<Session>, data: &Arc<Data>, low: &Arc<LowState>) -> Result<RunReport, ExecError> {
    let mut call = Call::new("state.apply", vec![]);
    call.kwargs.insert("test", true);
    match state::walk(session, &call, data.clone(), low, &|_| {}) {
        Outcome::Run(report) => Ok(report),
        Outcome::Failed(failure) => Err(ExecError::failed(failure.message)),
        _ => Err(ExecError::failed("the minion gave no report")),
    }
}

/// Names the colour of a dry run's record.
fn colour(chunk: &corpus_core::ChunkReport) -> &'static str {
    match chunk.result {
        Some(false) => "#f4b6b6",
        None => "#f6e3a1",
        Some(true) if !chunk.ran => "#dddddd",
        Some(true) => "#c4e8c4",
    }
}

fn node(chunk: &LowChunk, colours: &HashMap<String, &'static str>) -> Node {
    let name = corpus_core::python::str(&chunk.name);
    let id = if *chunk.id == *name { name } else { format!("{} ({name})", chunk.id) };
    Node {
        title: format!("{}\n{id}", chunk.full_name()),
        place: format!("{}:{}", chunk.sls, chunk.span.line),
        colour: colours.get(&chunk.tag()).unwrap_or(&"#ffffff"),
    }
}

/// Collects the edges; a `prereq` runs before what it looks at.
fn edges(low: &LowState) -> Vec<Edge> {
    let mut edges = vec![];
    for (to, chunk) in low.chunks.iter().enumerate() {
        for requisite in &chunk.requisites {
            for from in requisite.targets.iter().map(|&target| target as usize) {
                let (from, to) = if requisite.kind == RequisiteKind::Prereq { (to, from) } else { (from, to) };
                edges.push(Edge { from, to, kind: requisite.kind });
            }
        }
    }
    edges
}

fn dot(nodes: &[Node], edges: &[Edge]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut out = String::from("digraph states {\n  node [shape=box, style=filled];\n");
    for (i, node) in nodes.iter().enumerate() {
        let (title, place) = (quoted(&node.title), quoted(&node.place));
        let _ = writeln!(out, "  n{i} [label=\"{title}\", tooltip=\"{place}\", fillcolor=\"{}\"];", node.colour);
    }
    for Edge { from, to, kind } in edges {
        let _ = writeln!(out, "  n{from} -> n{to} [label=\"{}\"];", kind.word());
    }
    out + "}\n"
}

/// How many boxes stand side by side; a row of more is broken.
const ACROSS: usize = 8;
const HEIGHT: usize = 44;
const ROW: usize = 100;
const GAP: usize = 24;

/// Draws rows: what waits for nothing on top, everything else below what it waits for.
fn svg(nodes: &[Node], edges: &[Edge]) -> String {
    let places = layout(nodes, edges);
    let width = places.iter().map(|place| place.0 + place.2 + GAP).max().unwrap_or(GAP);
    let height = places.iter().map(|place| place.1 + HEIGHT + GAP).max().unwrap_or(GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"3\" \
         orient=\"auto\"><path d=\"M0,0 L7,3 L0,6z\"/></marker></defs>\n"
    );
    for Edge { from, to, kind } in edges {
        let ((x1, y1, w1), (x2, y2, w2)) = (places[*from], places[*to]);
        let (x1, x2) = (x1 + w1 / 2, x2 + w2 / 2);
        // `listen` may look back: its line then leaves the box at the top.
        let (y1, y2) = if y2 > y1 { (y1 + HEIGHT, y2) } else { (y1, y2 + HEIGHT) };
        let middle = usize::midpoint(y1, y2);
        let _ = writeln!(
            out,
            "<path d=\"M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2}\" fill=\"none\" stroke=\"#555\" \
             marker-end=\"url(#a)\"><title>{}</title></path>",
            kind.word()
        );
    }
    for (node, (x, y, width)) in nodes.iter().zip(places) {
        let (fun, id) = node.title.split_once('\n').unwrap_or((&node.title, ""));
        let (text, top, bottom) = (x + 8, y + 18, y + 35);
        let _ = writeln!(
            out,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"4\" \
             fill=\"{}\" stroke=\"#333\"/><text x=\"{text}\" y=\"{top}\" fill=\"#555\">{}</text>\
             <text x=\"{text}\" y=\"{bottom}\">{}</text></g>",
            escaped(&node.place),
            node.colour,
            escaped(fun),
            escaped(id)
        );
    }
    out + "</svg>\n"
}

/// Finds x, y and width of each box. Chunks are in the order of the run, so one pass settles the ranks.
fn layout(nodes: &[Node], edges: &[Edge]) -> Vec<(usize, usize, usize)> {
    let mut before: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for edge in edges.iter().filter(|edge| edge.from < edge.to) {
        before[edge.to].push(edge.from);
    }
    let mut rank = vec![0; nodes.len()];
    for i in 0..nodes.len() {
        rank[i] = before[i].iter().map(|&from| rank[from] + 1).max().unwrap_or(0);
    }
    let mut places = vec![(0, 0, 0); nodes.len()];
    let mut y = GAP;
    for row in 0..=rank.iter().copied().max().unwrap_or(0) {
        let mut members: Vec<usize> = (0..nodes.len()).filter(|&i| rank[i] == row).collect();
        // Below what they wait for, as far as that goes: fewer lines cross.
        members.sort_by_key(|&i| {
            let centres: Vec<usize> = before[i].iter().map(|&from| places[from].0 + places[from].2 / 2).collect();
            centres.iter().sum::<usize>().checked_div(centres.len()).unwrap_or(0)
        });
        for part in members.chunks(ACROSS) {
            let mut x = GAP;
            for &i in part {
                let longest = nodes[i].title.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                places[i] = (x, y, longest * 7 + 16);
                x += places[i].2 + GAP;
            }
            y += ROW;
        }
    }
    places
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
