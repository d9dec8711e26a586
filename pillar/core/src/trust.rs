//! Which grains may decide what a pillar holds. A minion tells its grains itself: what it may see must not follow from them,
//! unless the operator says so.

use corpus_core::{Label, Map, glob};

/// The grains that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Globs over their names; without a list all count, and nothing is asked about them.
    pub names: Option<Vec<String>>,
    /// The operator gave the list: others are not seen at all.
    pub strict: bool,
}

impl Trust {
    /// Tells whether a grain is trusted.
    pub fn of(&self, grain: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|name| glob::matches(name, grain)))
    }
}

/// What a minion has because of a grain that is not trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct ByGrain {
    pub sls: String,
    pub env: String,
    pub grain: String,
    /// Where the top file says so.
    pub place: Option<Label>,
    pub values: Map,
}
