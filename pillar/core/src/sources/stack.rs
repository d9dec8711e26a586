//! `stack`: YAML files that configuration files list, laid over each other with a strategy of each mapping's own.

use super::plain::{Engines, place};
use crate::arguments::Arguments;
use crate::source::{Ask, Given, Piece, PillarSource, Sees};
use corpus_core::yaml;
use corpus_core::{Diagnostic, Map, Node, NodeKind, Value, glob, python};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Stack {
    args: Arguments,
    identity: String,
    engines: Engines,
}

const OPTIONS: &[&str] = &["pillar", "grains", "opts"];
const STRATEGIES: &[&str] = &["overwrite", "merge-first", "merge-last", "remove"];

/// Makes the source.
pub fn make(args: Arguments, identity: String) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    for (key, value) in &args.named {
        let key = python::str(key);
        let kind = key.split(':').next().unwrap_or_default();
        if !OPTIONS.contains(&kind) || !key.contains(':') {
            return Err(Diagnostic::error(format!(
                "Unknown traverse option \"{kind}\", should be one of {}",
                OPTIONS.join(", ")
            ))
            .hint("write `pillar:a:b`, `grains:a` or `opts:a`, and below it a file for each value"));
        }
        if value.as_map().is_none() {
            return Err(Diagnostic::error(format!("`{key}` must be a mapping of values to files")));
        }
    }
    Ok(Arc::new(Stack { args, identity, engines: Engines::default() }))
}

impl PillarSource for Stack {
    fn name(&self) -> &str {
        "stack"
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        Sees::ALL
    }

    fn is_local(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let mut work = Work { source: self, ask, stack: Map::new(), pieces: vec![] };
        for cfg in self.configs(ask) {
            if cfg.is_file() {
                work.config(&cfg)?;
            } else {
                tracing::info!("Ignoring pillar stack cfg \"{}\": file does not exist", cfg.display());
            }
        }
        Ok(Given { pillar: work.stack, pieces: work.pieces, ..Given::default() })
    }
}

impl Stack {
    /// Names the configuration files for a minion: those that are listed, and those that its data choose.
    fn configs(&self, ask: &Ask) -> Vec<PathBuf> {
        let mut files: Vec<String> = self.args.pos.iter().map(python::str).collect();
        for (matcher, choices) in &self.args.named {
            let matcher = python::str(matcher);
            let (kind, path) = matcher.split_once(':').unwrap_or((&matcher, ""));
            let data = match kind {
                "pillar" => &ask.data.pillar,
                "grains" => &ask.data.grains,
                _ => &ask.data.opts,
            };
            // Salt: an environment's name may stand in the place of the value, too.
            let found = data.traverse(path, ":").cloned().unwrap_or_default();
            let env = Value::str("__env__");
            let choices = choices.as_map();
            let choice = match &found {
                Value::Str(name) if **name == *ask.env() => choices.and_then(|c| c.get_value(&env)),
                _ => None,
            };
            match choice.or_else(|| choices.and_then(|c| c.get_value(&found))) {
                None | Some(Value::Null) => {}
                Some(Value::List(list)) => {
                    files.extend(list.iter().map(|f| python::str(f).replace("__env__", ask.env())))
                }
                Some(one) => files.push(python::str(one).replace("__env__", ask.env())),
            }
        }
        files.into_iter().map(PathBuf::from).collect()
    }
}

/// One minion's stack.
struct Work<'a> {
    source: &'a Stack,
    ask: &'a Ask,
    stack: Map,
    pieces: Vec<Piece>,
}

impl Work<'_> {
    fn vars(&self, cfg: &Path) -> Map {
        let ask = self.ask;
        [
            ("minion_id", Value::from(ask.data.id.clone())),
            ("pillar", ask.data.pillar.clone()),
            ("pillarenv", ask.pillarenv.clone().into()),
            ("stack", Value::map(self.stack.clone())),
            ("cfg_path", Value::from(cfg.display().to_string())),
        ]
        .into_iter()
        .collect()
    }

    fn config(&mut self, cfg: &Path) -> Result<(), Diagnostic> {
        let folder = cfg.parent().unwrap_or(Path::new("."));
        let head = format!("Stack pillar cfg render error in {}: ", cfg.display());
        let listed = self.source.engines.render(folder, cfg, &head, self.ask, self.vars(cfg))?;
        for item in lines(&listed.text) {
            let paths = matching(folder, &item);
            if paths.is_empty() {
                let folder = folder.display();
                tracing::info!("Ignoring pillar stack template \"{item}\": can't find from root dir \"{folder}\"");
            }
            for path in paths {
                self.file(folder, &path, cfg)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, folder: &Path, path: &Path, cfg: &Path) -> Result<(), Diagnostic> {
        let mut vars = self.vars(cfg);
        vars.insert("ymlpath", path.display().to_string());
        let head = format!("Stack pillar template render error in {}: ", path.display());
        let mut rendered = self.source.engines.render(folder, path, &head, self.ask, vars)?;
        rendered.read_yaml(&format!("Stack pillar yaml parsing error in {}: ", path.display()))?;
        let rendered = Arc::new(rendered);
        let Value::Map(map) = rendered.node.to_value() else { return Ok(()) };
        let wrong = |why: String| {
            Diagnostic::error(why)
                .at(rendered.locate(rendered.node.pos), "")
                .hint("in a mapping, `__` names the strategy")
        };
        self.stack = merge_map(std::mem::take(&mut self.stack), Arc::unwrap_or_clone(map)).map_err(wrong)?;
        if self.ask.explain {
            let node = without_strategies(&rendered.node);
            self.pieces.push(Piece { node, under: vec![], place: place(&rendered) });
        }
        Ok(())
    }
}

/// Salt: a configuration file is a YAML list or lines.
fn lines(text: &str) -> Vec<String> {
    let all: Vec<String> = match yaml::parse(text).map(|node| node.to_value()) {
        Ok(Value::List(items)) => items.iter().map(python::str).collect(),
        _ => text.lines().map(str::to_owned).collect(),
    };
    all.into_iter().filter(|line| !line.trim().is_empty()).collect()
}

/// Finds the files of a pattern below a folder, sorted, as Python's `glob` does.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_owned() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[']) {
            found = found.into_iter().map(|dir| dir.join(part)).collect();
            continue;
        }
        let entries = found.iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
        found = entries
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // Names that begin with a dot are matched by patterns that do.
                (part.starts_with('.') || !name.starts_with('.')) && glob::matches(part, &name)
            })
            .map(|entry| entry.path())
            .collect();
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

/// Takes the marks of strategies out of a value that is laid in as it is.
fn cleanup(value: Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut map = Arc::unwrap_or_clone(map);
            map.remove("__");
            map.into_iter().map(|(key, value)| (key, cleanup(value))).collect::<Map>().into()
        }
        Value::List(list) if list.first().is_some_and(|first| first.get("__").is_some()) => {
            Value::list(list[1..].to_vec())
        }
        other => other,
    }
}

fn strategy(mark: Option<Value>) -> Result<&'static str, String> {
    let Some(mark) = mark else { return Ok("merge-last") };
    let word = python::str(&mark);
    STRATEGIES
        .iter()
        .find(|known| **known == word)
        .copied()
        .ok_or_else(|| format!("Unknown strategy \"{word}\", should be one of {}", STRATEGIES.join(", ")))
}

fn merge_map(mut stack: Map, mut over: Map) -> Result<Map, String> {
    let strategy = strategy(over.remove("__"))?;
    if strategy == "overwrite" {
        return Ok(over.into_iter().map(|(key, value)| (key, cleanup(value))).collect());
    }
    for (key, mut value) in over {
        if strategy == "remove" {
            stack.0.shift_remove(&key);
            continue;
        }
        let Some(mine) = stack.0.get_mut(&key) else {
            stack.0.insert(key, cleanup(value));
            continue;
        };
        if strategy == "merge-first" {
            // As merge-last, the other way round.
            std::mem::swap(mine, &mut value);
            *mine = cleanup(std::mem::take(mine));
        }
        *mine = match (std::mem::take(mine), value) {
            (Value::Map(mine), Value::Map(over)) => {
                merge_map(Arc::unwrap_or_clone(mine), Arc::unwrap_or_clone(over))?.into()
            }
            (Value::List(mine), Value::List(over)) => merge_list(mine.to_vec(), over.to_vec())?.into(),
            (mine, over) if mine.type_name() != over.type_name() => cleanup(over),
            (_, over) => over,
        };
    }
    Ok(stack)
}

fn merge_list(mine: Vec<Value>, mut over: Vec<Value>) -> Result<Vec<Value>, String> {
    let mark = over.first().and_then(|first| first.get("__")).cloned();
    if mark.is_some() {
        over.remove(0);
    }
    Ok(match strategy(mark)? {
        "overwrite" => over,
        "remove" => mine.into_iter().filter(|item| !over.contains(item)).collect(),
        "merge-first" => [over, mine].concat(),
        _ => [mine, over].concat(),
    })
}

/// For explanations: the file's data without the marks.
fn without_strategies(node: &Node) -> Node {
    let kind = match &node.kind {
        NodeKind::Map(entries) => {
            let kept = entries.iter().filter(|(key, _)| key.as_str() != Some("__"));
            NodeKind::Map(kept.map(|(key, value)| (key.clone(), without_strategies(value))).collect())
        }
        NodeKind::Seq(items) => {
            let marked = items.first().is_some_and(|first| first.get("__").is_some());
            NodeKind::Seq(items.iter().skip(usize::from(marked)).map(without_strategies).collect())
        }
        scalar => scalar.clone(),
    };
    Node { pos: node.pos, kind }
}
