//! Why a rendering stopped, and how that becomes a [`Diagnostic`]: Salt's head line, the place in the
//! template, the way there through includes, imports and macros, and what to do.

use crate::tree::Template;
use crate::value::{Near, Undef, Val};
use corpus_core::Diagnostic;
use std::sync::Arc;

/// What sort of error it is; Salt words its message by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Undefined,
    /// What Jinja itself refuses: syntax, unknown filters, `raise()`.
    Syntax,
    /// A function of `salt` failed.
    Salt,
    /// Any other exception.
    Error,
}

/// An error on its way up.
#[derive(Debug)]
pub struct Fail {
    pub kind: Kind,
    pub message: String,
    pub at: Option<(Arc<Template>, u32)>,
    /// Where it came through: macro calls, imports, includes; innermost first.
    pub chain: Vec<(Arc<Template>, u32, String)>,
    pub hints: Vec<String>,
    /// The file of an import or include that is not there, for `ignore missing`.
    pub not_found: bool,
    /// Words beside the place.
    pub label: String,
    /// The place is where an undefined value came about, and its use is not told yet.
    pub unused: bool,
}

pub type R<T> = Result<T, Box<Fail>>;

impl Fail {
    /// Makes an error.
    pub fn new(kind: Kind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind,
            message: message.into(),
            at: None,
            chain: vec![],
            hints: vec![],
            not_found: false,
            label: String::new(),
            unused: false,
        })
    }

    /// Adds a hint.
    pub fn hint(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.hints.push(text.into());
        self
    }

    /// Notes the place, unless one nearer to the cause is known.
    pub fn place(mut self: Box<Self>, template: &Arc<Template>, at: u32) -> Box<Self> {
        let Some((own, origin)) = &self.at else {
            self.at = Some((template.clone(), at));
            return self;
        };
        if std::mem::take(&mut self.unused)
            && (!Arc::ptr_eq(own, template) || own.pos(*origin).line != own.pos(at).line)
        {
            self.chain.push((template.clone(), at, "used here".to_owned()));
        }
        self
    }

    /// Returns Salt's words for it.
    pub fn words(&self) -> String {
        match self.kind {
            Kind::Undefined => format!("Jinja variable {}", self.message),
            Kind::Syntax => format!("Jinja syntax error: {}", self.message),
            Kind::Salt => format!("Problem running salt function in Jinja template: {}", self.message),
            Kind::Error => format!("Jinja error: {}", self.message),
        }
    }

    /// Makes the diagnostic; `head` goes before Salt's words.
    pub fn diagnostic(&self, head: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(format!("{head}{}", self.words()));
        let mut texts: Vec<&Arc<Template>> = vec![];
        if let Some((template, at)) = &self.at {
            diagnostic = diagnostic.at(template.span(*at), self.label.clone()).len(word_len(template, *at));
            texts.push(template);
        }
        // A deep recursion shows its two ends.
        let hops = self.chain.len();
        let mut last: Option<(&Arc<Template>, u32)> = None;
        for (i, (template, at, text)) in self.chain.iter().enumerate() {
            let again = last.is_some_and(|(before, place)| Arc::ptr_eq(before, template) && place == *at);
            last = Some((template, *at));
            if again || hops > 12 && (6..hops - 6).contains(&i) {
                continue;
            }
            diagnostic = diagnostic.at(template.span(*at), text.clone());
            texts.push(template);
        }
        for hint in &self.hints {
            diagnostic = diagnostic.hint(hint.clone());
        }
        diagnostic.with_excerpts(&|file, line| {
            let template = texts.iter().find(|t| *t.file == *file && t.line(line).is_some())?;
            template.line(line).map(Arc::from)
        })
    }
}

fn word_len(template: &Template, at: u32) -> usize {
    let rest = template.source.get(at as usize..).unwrap_or_default();
    let rest = rest.lines().next().unwrap_or_default();
    let closed = |from: usize, end: char| rest.get(from..)?.find(end).map(|i| rest[..from + i + 1].chars().count());
    let whole = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => closed(1, quote),
        Some('[') => closed(1, ']'),
        _ => None,
    };
    if let Some(whole) = whole {
        return whole;
    }
    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count().max(1)
}

/// Makes a Python error.
pub fn err<T>(message: impl Into<String>) -> R<T> {
    Err(Fail::new(Kind::Error, message))
}

/// Makes an error of Jinja's own.
pub fn refuse<T>(message: impl Into<String>) -> R<T> {
    Err(Fail::new(Kind::Syntax, message))
}

/// Makes the error of a use of an undefined value.
pub fn undefined(undef: &Undef) -> Box<Fail> {
    let mut fail = Fail::new(Kind::Undefined, undef.message.clone());
    fail.at = undef.origin.get().cloned();
    fail.unused = fail.at.is_some();
    let near: Vec<Arc<str>> = match &undef.near {
        Near::Nothing | Near::Lenient | Near::Hint(_) => vec![],
        Near::Scope(scope) => {
            scope.names().into_iter().chain(crate::globals::NAMES.iter().map(|n| Arc::from(*n))).collect()
        }
        Near::Functions(names) => names.iter().map(|name| Arc::from(&**name)).collect(),
        Near::Of(value) => {
            let keys = match value {
                Val::Dict(dict) => dict.keys(),
                _ => vec![],
            };
            let methods = crate::methods::names(value).iter().map(|n| Arc::from(*n));
            keys.iter().filter_map(Val::as_str).map(Arc::from).chain(methods).collect()
        }
    };
    let hint = corpus_core::suggest::did_you_mean(&undef.name, near.iter().map(|n| &**n));
    fail.hints.extend(hint.or_else(|| match &undef.near {
        Near::Hint(hint) => Some(hint.to_string()),
        Near::Functions(_) => Some("`corpus sys.list_functions` names those there are".into()),
        Near::Of(Val::Dict(dict)) => keys_there(&dict.keys()),
        _ => None,
    }));
    fail
}

/// Names the keys of a dict that has not the one asked for.
fn keys_there(keys: &[Val]) -> Option<String> {
    const SHOWN: usize = 8;
    let names: Vec<String> = keys.iter().filter_map(Val::as_str).take(SHOWN).map(|key| format!("`{key}`")).collect();
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    let default = "`.get(key, default)` does without it";
    Some(match names.is_empty() {
        true => format!("the dict is empty; {default}"),
        false => format!("the keys there are {}{more}; {default}", names.join(", ")),
    })
}

/// Refuses an undefined value.
pub fn defined(value: &Val) -> R<()> {
    match value {
        Val::Undef(undef) if !matches!(undef.near, Near::Lenient) => Err(undefined(undef)),
        _ => Ok(()),
    }
}
