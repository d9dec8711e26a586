//! `file_tree`: files are values and folders mappings, for nodegroups and for single minions.

use super::nodegroups::member;
use super::plain::place;
use crate::arguments::{Arguments, flag, need, text};
use crate::source::{Ask, Given, Piece, PillarSource, Place, Sees};
use corpus_core::{Diagnostic, Map, Node, Pos, Value, glob, merge, python};
use corpus_render::{Engine, FileRoots, RenderCx};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct FileTree {
    root: PathBuf,
    follow_dir_links: bool,
    keep_newline: Keep,
    /// The render pipe of the files, if they are templates.
    template: Option<String>,
    engine: Engine,
    identity: String,
}

/// Which files keep the newline at their end.
enum Keep {
    All(bool),
    Matching(Vec<String>),
}

const NAMES: &[&str] = &[
    "root_dir",
    "follow_dir_links",
    "debug",
    "keep_newline",
    "render_default",
    "renderer_blacklist",
    "renderer_whitelist",
    "template",
];

/// Makes the source.
pub fn make(args: Arguments, identity: String) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let args = args.named(NAMES)?;
    let keep_newline = match args.get("keep_newline") {
        None | Some(Value::Null) => Keep::All(false),
        Some(Value::Bool(all)) => Keep::All(*all),
        Some(Value::List(globs)) => Keep::Matching(globs.iter().map(python::str).collect()),
        Some(_) => return Err(Diagnostic::error("keep_newline must be either True/False or a list of file globs")),
    };
    for list in ["renderer_blacklist", "renderer_whitelist"] {
        if args.get(list).is_some_and(Value::truthy) {
            return Err(Diagnostic::error(format!("`{list}` is not built; `render_default` names the only pipe")));
        }
    }
    let pipe = text(&args, "render_default")?.unwrap_or_else(|| "jinja|yaml".into());
    Ok(Arc::new(FileTree {
        root: need(&args, "root_dir")?.into(),
        follow_dir_links: flag(&args, "follow_dir_links"),
        keep_newline,
        // Salt: nothing but True itself.
        template: (args.get("template") == Some(&Value::Bool(true))).then_some(pipe),
        engine: Engine::new(FileRoots::default()),
        identity,
    }))
}

impl PillarSource for FileTree {
    fn name(&self) -> &str {
        "file_tree"
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        // A nodegroup may be made of anything.
        Sees::ALL
    }

    fn is_local(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let mut work = Work { source: self, ask, pieces: vec![] };
        let mut pillar = Map::new();
        for root in self.roots(ask)? {
            merge::update(&mut pillar, &work.root(&root)?, false);
        }
        Ok(Given { pillar, pieces: work.pieces, ..Given::default() })
    }
}

impl FileTree {
    /// A relative root is looked for in the pillar roots of the environment.
    fn roots(&self, ask: &Ask) -> Result<Vec<PathBuf>, Diagnostic> {
        if self.root.is_absolute() {
            return Ok(vec![self.root.clone()]);
        }
        let Some(env) = ask.pillarenv.as_deref() else {
            return Err(Diagnostic::error("root_dir is relative but pillarenv is not set"));
        };
        let roots = ask.opt("pillar_roots").and_then(|roots| roots.get(env)).and_then(Value::as_list);
        let Some(roots) = roots else {
            let message = format!("root_dir is relative but no pillar_roots are specified for pillarenv {env}");
            return Err(Diagnostic::error(message));
        };
        let mut dirs: Vec<PathBuf> = roots.iter().map(|root| Path::new(&python::str(root)).join(&self.root)).collect();
        dirs.dedup();
        Ok(dirs)
    }

    fn keeps_newline(&self, name: &str) -> bool {
        match &self.keep_newline {
            Keep::All(all) => *all,
            Keep::Matching(globs) => globs.iter().any(|pattern| glob::matches(pattern, name)),
        }
    }
}

/// One minion's tree.
struct Work<'a> {
    source: &'a FileTree,
    ask: &'a Ask,
    pieces: Vec<Piece>,
}

impl Work<'_> {
    fn root(&mut self, root: &Path) -> Result<Map, Diagnostic> {
        if !root.is_dir() {
            let message = format!("root_dir {} does not exist or is not a directory", root.display());
            return Err(Diagnostic::error(message));
        }
        let mut pillar = Map::new();
        let groups = self.ask.opt("nodegroups").and_then(Value::as_map).cloned().unwrap_or_default();
        for (name, path) in entries(&root.join("nodegroups")).unwrap_or_default() {
            if groups.contains(&name) && path.is_dir() && member(&name, &groups, self.ask)? {
                merge::update(&mut pillar, &self.folder(&path, ".", &mut vec![])?, false);
            }
        }
        let host = root.join("hosts").join(&*self.ask.data.id);
        // An id is no path: it must not lead elsewhere.
        let plain = !self.ask.data.id.contains('/') && !self.ask.data.id.starts_with('.');
        if plain && host.is_dir() {
            merge::update(&mut pillar, &self.folder(&host, ".", &mut vec![])?, false);
        } else if plain && host.exists() {
            return Err(Diagnostic::error(format!("{} exists, but is not a directory", host.display())));
        }
        Ok(pillar)
    }

    fn folder(&mut self, dir: &Path, prefix: &str, keys: &mut Vec<Value>) -> Result<Map, Diagnostic> {
        if keys.len() > 40 {
            return Err(Diagnostic::error(format!(
                "{} is nested too deeply: a link to a folder above?",
                dir.display()
            )));
        }
        let unreadable = |error| Diagnostic::error(format!("cannot read {}: {error}", dir.display()));
        let (mut pillar, mut files) = (Map::new(), vec![]);
        for (name, path) in entries(dir).map_err(unreadable)? {
            if !path.is_dir() {
                files.push((name, path));
                continue;
            }
            // Salt: a link that is not followed is an empty mapping.
            let followed = self.source.follow_dir_links || !path.is_symlink();
            keys.push(Value::str(&name));
            let inner = if prefix == "." { name.clone() } else { format!("{prefix}/{name}") };
            let below = if followed { self.folder(&path, &inner, keys)? } else { Map::new() };
            if self.ask.explain && below.is_empty() {
                let node = Node::from_value(&Value::map(Map::new()), Pos::default());
                let place = Place::File(path.display().to_string().into());
                self.pieces.push(Piece { node, under: keys.clone(), place });
            }
            keys.pop();
            pillar.insert(name, below);
        }
        for (name, path) in files {
            if !path.is_file() {
                tracing::error!("file_tree: {}: not a regular file", path.display());
                continue;
            }
            keys.push(Value::str(&name));
            let value = self.file(&path, &format!("{prefix}/{name}"), keys)?;
            keys.pop();
            pillar.insert(name, value);
        }
        Ok(pillar)
    }

    fn file(&mut self, path: &Path, name: &str, keys: &[Value]) -> Result<Value, Diagnostic> {
        let fail = |why: &dyn std::fmt::Display| Diagnostic::error(format!("cannot read {}: {why}", path.display()));
        let mut bytes = std::fs::read(path).map_err(|error| fail(&error))?;
        if bytes.ends_with(b"\n") && !self.source.keeps_newline(name) {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).map_err(|_| fail(&"it is not UTF-8 text"))?;
        let file: Arc<str> = path.display().to_string().into();
        let (node, place) = match self.source.template.as_deref() {
            None => (Node::from_value(&text.into(), Pos::new(1, 1)), Place::File(file)),
            Some(pipe) => {
                let cx = RenderCx::new(self.ask.data.clone(), self.ask.caller.clone());
                let first = text.lines().next().unwrap_or_default();
                let pipe = first.strip_prefix("#!").map_or(pipe, str::trim);
                if pipe == "jinja" {
                    let body = text.strip_prefix(first).filter(|_| first.starts_with("#!")).unwrap_or(&text);
                    let rendered = self.source.engine.render_text(body.trim_start_matches('\n'), &file, &file, &cx)?;
                    (Node::from_value(&rendered.into(), Pos::new(1, 1)), Place::File(file))
                } else {
                    let rendered = Arc::new(self.source.engine.render_source(&text, &file, pipe, &cx)?);
                    (rendered.node.clone(), place(&rendered))
                }
            }
        };
        let value = node.to_value();
        if self.ask.explain {
            self.pieces.push(Piece { node, under: keys.to_vec(), place });
        }
        Ok(value)
    }
}

/// The entries of a folder in the order of their names. A name that is not UTF-8 cannot be a key.
fn entries(dir: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        found.extend(entry.file_name().into_string().ok().map(|name| (name, entry.path())));
    }
    found.sort();
    Ok(found)
}
