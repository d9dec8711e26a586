//! Hash tables with a fast hash, seeded anew in each process. Names and IDs of a run are looked up by the ten thousand.

use foldhash::fast::RandomState;

/// A hash table.
pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A hash set.
pub type HashSet<T> = std::collections::HashSet<T, RandomState>;
/// A hash table that keeps the order of insertion.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;
/// A hash set that keeps the order of insertion.
pub type IndexSet<T> = indexmap::IndexSet<T, RandomState>;
