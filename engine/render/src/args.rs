//! Arguments of a call, and how functions of ours read them: by place or by name.

use crate::fail::{R, defined, err};
use crate::show;
use crate::value::Val;
use std::sync::Arc;

/// Evaluated arguments.
#[derive(Clone, Debug, Default)]
pub struct Args {
    pub pos: Vec<Val>,
    pub named: Vec<(Arc<str>, Val)>,
}

impl Args {
    /// Makes arguments without names.
    pub fn of(pos: Vec<Val>) -> Self {
        Self { pos, named: vec![] }
    }

    /// Returns an argument; an undefined one is refused.
    pub fn get(&self, place: usize, name: &str) -> R<Option<Val>> {
        let found = self.raw(place, name);
        if let Some(value) = &found {
            defined(value)?;
        }
        Ok(found)
    }

    /// Returns an argument, undefined ones too.
    pub fn raw(&self, place: usize, name: &str) -> Option<Val> {
        self.pos.get(place).or_else(|| self.named.iter().find(|(n, _)| **n == *name).map(|(_, v)| v)).cloned()
    }

    /// Returns an argument that must be there.
    pub fn need(&self, place: usize, name: &str) -> R<Val> {
        match self.get(place, name)? {
            Some(value) => Ok(value),
            None => err(format!("missing 1 required positional argument: '{name}'")),
        }
    }

    /// Returns a text argument.
    pub fn text(&self, place: usize, name: &str) -> R<Option<Arc<str>>> {
        match self.get(place, name)? {
            None | Some(Val::None) => Ok(None),
            Some(value) => show::text(&value).map(Some),
        }
    }

    /// Returns a text argument that must be there.
    pub fn need_text(&self, place: usize, name: &str) -> R<Arc<str>> {
        show::text(&self.need(place, name)?)
    }

    /// Returns a number.
    pub fn int(&self, place: usize, name: &str, default: i64) -> R<i64> {
        match self.get(place, name)? {
            None | Some(Val::None) => Ok(default),
            Some(value) => match value.as_int() {
                Some(i) => Ok(i),
                None => err(format!("'{}' object cannot be interpreted as an integer", value.type_name())),
            },
        }
    }

    /// Returns a flag.
    pub fn flag(&self, place: usize, name: &str, default: bool) -> R<bool> {
        Ok(self.get(place, name)?.map_or(default, |v| v.truthy()))
    }
}
