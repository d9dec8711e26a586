//! Lists and dicts: shared, mutable, and opened only when somebody looks inside.

use crate::compare::{equal, number};
use crate::value::Val;
use corpus_core::value::{Map as CoreMap, Value as Core};
use indexmap::{Equivalent, IndexMap};
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

/// A fast hasher for short keys; template data is not a place for crafted collisions.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// A dict's key: hashed and compared as Python does.
#[derive(Clone, Debug)]
pub struct Key(pub Val);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}
impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, h: &mut H) {
        match &self.0 {
            Val::Str(s) => (**s).hash(h),
            Val::Tuple(items) => items.iter().for_each(|item| Key(item.clone()).hash(h)),
            other => match number(other) {
                Some(x) => (x + 0.0).to_bits().hash(h),
                None => 0u64.hash(h),
            },
        }
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.0, Val::Str(s) if **s == *self)
    }
}

pub type Entries = IndexMap<Key, Val, BuildHasherDefault<KeyHasher>>;

/// A dict.
#[derive(Debug)]
pub struct Dict(RefCell<DictState>);

#[derive(Debug)]
enum DictState {
    Lazy(Arc<CoreMap>),
    Own(Entries),
}

impl Dict {
    /// Wraps outside data.
    pub fn wrap(map: &Arc<CoreMap>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(DictState::Lazy(map.clone()))))
    }

    /// Makes a dict of entries.
    pub fn new(entries: Entries) -> Rc<Self> {
        Rc::new(Self(RefCell::new(DictState::Own(entries))))
    }

    /// Works on the entries, opening the dict if it still wraps outside data.
    pub fn with<T>(&self, work: impl FnOnce(&mut Entries) -> T) -> T {
        let mut state = self.0.borrow_mut();
        if let DictState::Lazy(map) = &*state {
            let own = map.iter().map(|(k, v)| (Key(Val::from_core(k)), Val::from_core(v))).collect();
            *state = DictState::Own(own);
        }
        match &mut *state {
            DictState::Own(entries) => work(entries),
            DictState::Lazy(_) => work(&mut Entries::default()),
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &Val) -> Option<Val> {
        match key {
            Val::Str(s) => self.get_str(s),
            _ => self.with(|entries| entries.get(&Key(key.clone())).cloned()),
        }
    }

    /// Returns the value of a text key.
    pub fn get_str(&self, key: &str) -> Option<Val> {
        let scalar = match &*self.0.borrow() {
            DictState::Own(entries) => return entries.get(key).cloned(),
            DictState::Lazy(map) => match map.get(key)? {
                Core::List(_) | Core::Map(_) => None,
                scalar => Some(Val::from_core(scalar)),
            },
        };
        // A container must be the same object each time: open this level.
        scalar.or_else(|| self.with(|entries| entries.get(key).cloned()))
    }

    /// Tells whether the key is there.
    pub fn contains(&self, key: &Val) -> bool {
        if let (Val::Str(s), DictState::Lazy(map)) = (key, &*self.0.borrow()) {
            return map.contains(s);
        }
        self.with(|entries| entries.contains_key(&Key(key.clone())))
    }

    /// Puts a value.
    pub fn insert(&self, key: Val, value: Val) {
        self.with(|entries| entries.insert(Key(key), value));
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        match &*self.0.borrow() {
            DictState::Own(entries) => entries.len(),
            DictState::Lazy(map) => map.len(),
        }
    }

    /// Returns the keys of now.
    pub fn keys(&self) -> Vec<Val> {
        match &*self.0.borrow() {
            DictState::Own(entries) => entries.keys().map(|k| k.0.clone()).collect(),
            DictState::Lazy(map) => map.keys().map(Val::from_core).collect(),
        }
    }

    /// Returns the entries of now.
    pub fn items(&self) -> Vec<(Val, Val)> {
        self.with(|entries| entries.iter().map(|(k, v)| (k.0.clone(), v.clone())).collect())
    }

    /// Returns the values of now.
    pub fn values(&self) -> Vec<Val> {
        self.with(|entries| entries.values().cloned().collect())
    }

    pub fn unopened(&self) -> Option<Arc<CoreMap>> {
        if let DictState::Lazy(map) = &*self.0.borrow() { Some(map.clone()) } else { None }
    }
}

/// A list.
#[derive(Debug)]
pub struct List(RefCell<ListState>);

#[derive(Debug)]
enum ListState {
    Lazy(Arc<Vec<Core>>),
    Own(Vec<Val>),
}

impl List {
    /// Makes a list.
    pub fn new(items: Vec<Val>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(ListState::Own(items))))
    }

    /// Wraps outside data.
    pub fn wrap(items: &Arc<Vec<Core>>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(ListState::Lazy(items.clone()))))
    }

    /// Works on the items, opening the list if it still wraps outside data.
    pub fn with<T>(&self, work: impl FnOnce(&mut Vec<Val>) -> T) -> T {
        let mut state = self.0.borrow_mut();
        if let ListState::Lazy(items) = &*state {
            let own = items.iter().map(Val::from_core).collect();
            *state = ListState::Own(own);
        }
        match &mut *state {
            ListState::Own(items) => work(items),
            ListState::Lazy(_) => work(&mut vec![]),
        }
    }

    /// Returns the items of now.
    pub fn items(&self) -> Vec<Val> {
        self.with(|items| items.clone())
    }

    /// Returns how many items there are.
    pub fn len(&self) -> usize {
        match &*self.0.borrow() {
            ListState::Own(items) => items.len(),
            ListState::Lazy(items) => items.len(),
        }
    }

    pub fn unopened(&self) -> Option<Arc<Vec<Core>>> {
        if let ListState::Lazy(items) = &*self.0.borrow() { Some(items.clone()) } else { None }
    }
}
