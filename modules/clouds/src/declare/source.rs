//! A file that was read, and mappings laid on each other that know where each key was written.

use corpus_core::{Diagnostic, Map, Node, Pos, Span, Value, python};
use corpus_render::RenderedSls;
use std::path::Path;
use std::sync::Arc;

/// A file.
#[derive(Clone)]
pub struct Source {
    pub node: Node,
    place: Arc<Place>,
}

enum Place {
    Text { file: Arc<str>, text: String },
    Rendered(Box<RenderedSls>),
}

impl Source {
    /// Reads plain YAML.
    pub fn parse(text: &str, file: &str) -> Result<Self, Diagnostic> {
        match corpus_core::yaml::parse(text) {
            Ok(node) => Ok(Self { node, place: Arc::new(Place::Text { file: file.into(), text: text.to_owned() }) }),
            Err(error) => {
                let mut wrong = Diagnostic::error(error.message.clone()).at(Span::new(file, error.place(text)), "");
                wrong.hints.clone_from(&error.hints);
                Err(wrong.with_excerpts(&|_, line| excerpt(text, line)))
            }
        }
    }

    /// Reads a file of plain YAML.
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| Diagnostic::error(format!("cannot read {file}: {error}")))?;
        Self::parse(&text, &file)
    }

    /// Takes what the engine rendered.
    pub fn rendered(sls: RenderedSls) -> Self {
        Self { node: sls.node.clone(), place: Arc::new(Place::Rendered(Box::new(sls))) }
    }

    /// Returns a place in the user's file.
    pub fn span(&self, pos: Pos) -> Span {
        match &*self.place {
            Place::Text { file, .. } => Span::new(file.clone(), pos),
            Place::Rendered(sls) => sls.locate(pos),
        }
    }

    /// Makes an error at a place.
    pub fn wrong(&self, pos: Pos, message: impl Into<String>) -> Diagnostic {
        let error = Diagnostic::error(message).at(self.span(pos), "");
        match &*self.place {
            Place::Text { text, .. } => error.with_excerpts(&|_, line| excerpt(text, line)),
            Place::Rendered(sls) => error.with_excerpts(&|file, line| sls.source_line(file, line)),
        }
    }
}

fn excerpt(text: &str, line: u32) -> Option<Arc<str>> {
    text.lines().nth((line as usize).checked_sub(1)?).map(Into::into)
}

/// A value and where its key was written.
#[derive(Clone)]
pub struct Item {
    pub value: Value,
    pub source: Source,
    pub pos: Pos,
}

impl Item {
    /// Makes an error at it.
    pub fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        self.source.wrong(self.pos, message)
    }
}

/// Mappings on each other: the last that says a key wins.
#[derive(Clone, Default)]
pub struct Layers(pub Vec<(String, Item)>);

impl Layers {
    /// Lays the entries of a mapping on top; those that are null take away.
    pub fn lay(&mut self, source: &Source, node: &Node) {
        for (key, value) in node.as_map().unwrap_or_default() {
            let name = python::str(&key.to_value());
            self.put(&name, Item { value: value.to_value(), source: source.clone(), pos: key.pos });
        }
    }

    /// Lays others on top.
    pub fn lay_all(&mut self, other: &Self) {
        for (key, item) in &other.0 {
            self.put(key, item.clone());
        }
    }

    fn put(&mut self, key: &str, item: Item) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            // Salt: mappings of a profile and of a map file become one.
            Some((_, have)) => match (have.value.as_map_mut(), item.value.as_map()) {
                (Some(into), Some(from)) => {
                    corpus_core::merge::update(into, from, false);
                    (have.source, have.pos) = (item.source, item.pos);
                }
                _ => *have = item,
            },
            None => self.0.push((key.to_owned(), item)),
        }
    }

    /// Puts what the command line says.
    pub fn say(&mut self, kwargs: &Map, whose: &Source) {
        for (key, value) in kwargs {
            self.put(&python::str(key), Item { value: value.clone(), source: whose.clone(), pos: Pos::default() });
        }
    }

    /// Takes a key out.
    pub fn take(&mut self, key: &str) -> Option<Item> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1).filter(|item| !item.value.is_null())
    }

    /// Looks a key up.
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, item)| item)
    }
}
