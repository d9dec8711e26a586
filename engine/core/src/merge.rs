//! Merging of mappings as `salt.utils.dictupdate` does it: for pillar, `slsutil.merge`, `defaults.merge` and
//! `pillar.get … merge=True`.

use crate::value::{Map, Value};
use std::sync::Arc;

/// How two mappings become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As `Recurse`; Salt lets the `yamlex` renderer, which we do not have, choose `Aggregate`.
    #[default]
    Smart,
    /// Mappings are merged at all depths, anything else is replaced.
    Recurse,
    /// Without `yamlex`'s marks this joins nothing below the first level: later keys replace earlier ones.
    Aggregate,
    /// Keys of the second replace those of the first, whole.
    Overwrite,
    /// Environments are not merged; within one, as `Recurse`, but lists are always replaced.
    None,
    /// Values of keys that both have become a list of the two; keys of the second alone are dropped.
    List,
}

impl Strategy {
    /// Returns the strategy of Salt's word. For an unknown one Salt warns and takes `Recurse`.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "smart" => Self::Smart,
            "recurse" => Self::Recurse,
            "aggregate" => Self::Aggregate,
            "overwrite" => Self::Overwrite,
            "none" => Self::None,
            "list" => Self::List,
            _ => return None,
        })
    }
}

/// Merges the second mapping into the first: `dictupdate.update`.
///
/// With `merge_lists`, a list is followed by those items of the other that it does not hold yet.
pub fn update(base: &mut Map, over: &Map, merge_lists: bool) {
    for (key, value) in over {
        let merged = match (base.0.get_mut(key), value) {
            (Some(Value::Map(mine)), Value::Map(theirs)) => {
                update(Arc::make_mut(mine), theirs, merge_lists);
                continue;
            }
            (Some(Value::List(mine)), Value::List(theirs)) if merge_lists => {
                let new: Vec<_> = theirs.iter().filter(|item| !mine.contains(item)).cloned().collect();
                Arc::make_mut(mine).extend(new);
                continue;
            }
            _ => value.clone(),
        };
        base.0.insert(key.clone(), merged);
    }
}

/// Merges two mappings: `dictupdate.merge`.
pub fn merge(mut base: Map, over: &Map, strategy: Strategy, merge_lists: bool) -> Map {
    match strategy {
        Strategy::Smart | Strategy::Recurse => update(&mut base, over, merge_lists),
        Strategy::None => update(&mut base, over, false),
        Strategy::Overwrite | Strategy::Aggregate => {
            for (key, value) in over {
                base.0.insert(key.clone(), value.clone());
            }
        }
        Strategy::List => {
            for (key, value) in &mut base.0 {
                if let Some(theirs) = over.get_value(key) {
                    *value = Value::list(vec![std::mem::take(value), theirs.clone()]);
                }
            }
        }
    }
    base
}

/// Merges two values: mappings as [`merge`] does, anything else by taking the second.
pub fn merge_values(base: Value, over: &Value, strategy: Strategy, merge_lists: bool) -> Value {
    match (base, over) {
        (Value::Map(base), Value::Map(over)) => {
            Value::map(merge(Arc::unwrap_or_clone(base), over, strategy, merge_lists))
        }
        (_, over) => over.clone(),
    }
}
