//! The data value that crosses every border: YAML, templates, the wire, results.
//!
//! Containers are shared (`Arc`), so a clone costs nothing and a change copies only what is shared.
//! Mappings keep their order and take any scalar as key, as Python's `dict` does.

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An ordered mapping with [`Value`] keys; look-ups by `&str` do not allocate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(pub IndexMap<Value, Value, RandomState>);

/// A value as YAML, JSON and Python know it.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
}

impl Value {
    /// Makes a text.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(text.as_ref()))
    }

    /// Makes a list.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(items))
    }

    /// Makes a mapping.
    pub fn map(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }

    /// Returns the text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }

    /// Returns the items, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(l) = self { Some(l) } else { None }
    }

    /// Returns the mapping, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(m) = self { Some(m) } else { None }
    }

    /// Returns the whole number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(i) = self { Some(*i) } else { None }
    }

    /// Returns the boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// Returns the mapping for change, copying it first if somebody else holds it too.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(m) = self { Some(Arc::make_mut(m)) } else { None }
    }

    /// Returns the list for change, copying it first if somebody else holds it too.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Self::List(l) = self { Some(Arc::make_mut(l)) } else { None }
    }

    /// Returns the entry of a mapping, `None` for anything else.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Tells whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Tells whether Python would take this for true.
    pub fn truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.is_empty(),
        }
    }

    /// Names the type as Python does: `str`, `int`, `dict`…
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
        }
    }

    /// Follows a path of keys and list indices, `a:b:0`, as `pillar.get` does.
    pub fn traverse(&self, path: &str, delimiter: &str) -> Option<&Value> {
        // Salt: a key that itself contains the delimiter wins over the path.
        if let Some(found) = self.as_map().and_then(|m| m.get(path)) {
            return Some(found);
        }
        let mut at = self;
        for step in path.split(delimiter) {
            at = match at {
                Self::Map(m) => m.get(step).or_else(|| m.get_int(step.parse().ok()?))?,
                Self::List(l) => match step.parse::<i64>() {
                    Ok(i) => l.get(usize::try_from(if i < 0 { i + l.len() as i64 } else { i }).ok()?)?,
                    // Salt: a name on a list looks into the first mapping that has it.
                    Err(_) => l.iter().find_map(|item| item.as_map()?.get(step))?,
                },
                _ => return None,
            };
        }
        Some(at)
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(b) => Some(f64::from(*b)),
            Self::Int(i) => Some(*i as f64),
            Self::Float(x) => Some(*x),
            _ => None,
        }
    }
}

/// Equality is Python's: `1 == 1.0 == True`.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => Arc::ptr_eq(a, b) || a == b,
            (Self::Map(a), Self::Map(b)) => Arc::ptr_eq(a, b) || a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            _ => matches!((self.as_number(), other.as_number()), (Some(a), Some(b)) if a == b),
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, h: &mut H) {
        match self {
            Self::Str(s) => s.hash(h),
            Self::Null => 0u8.hash(h),
            // Containers are no keys in Python either; a constant keeps `Eq` and `Hash` in step.
            Self::List(_) => 1u8.hash(h),
            Self::Map(_) => 2u8.hash(h),
            number => number.as_number().unwrap_or_default().to_bits().hash(h),
        }
    }
}

impl Equivalent<Value> for str {
    fn equivalent(&self, key: &Value) -> bool {
        key.as_str() == Some(self)
    }
}

impl Map {
    /// Makes an empty mapping.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty mapping with room for so many entries.
    pub fn with_capacity(entries: usize) -> Self {
        Self(IndexMap::with_capacity_and_hasher(entries, RandomState::default()))
    }

    /// Returns the value of a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Returns the value of a whole-number key.
    pub fn get_int(&self, key: i64) -> Option<&Value> {
        self.0.get(&Value::Int(key))
    }

    /// Returns the value of any key.
    pub fn get_value(&self, key: &Value) -> Option<&Value> {
        self.0.get(key)
    }

    /// Returns the value of a text key, for change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.get_mut(key)
    }

    /// Returns the text of a text key.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Tells whether the text key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Puts a value, keeping the place of an existing key.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(key.into(), value.into())
    }

    /// Takes a value out, keeping the order of the others.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(key)
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the entries in order.
    pub fn iter(&self) -> indexmap::map::Iter<'_, Value, Value> {
        self.0.iter()
    }

    /// Walks the keys in order.
    pub fn keys(&self) -> indexmap::map::Keys<'_, Value, Value> {
        self.0.keys()
    }

    /// Walks the values in order.
    pub fn values(&self) -> indexmap::map::Values<'_, Value, Value> {
        self.0.values()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Value, &'a Value);
    type IntoIter = indexmap::map::Iter<'a, Value, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = indexmap::map::IntoIter<Value, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        Self(items.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

macro_rules! from {
    ($($from:ty => $name:ident $make:expr;)*) => { $(
        impl From<$from> for Value { fn from($name: $from) -> Self { $make } }
    )* };
}
from! {
    bool => b Value::Bool(b);
    i64 => i Value::Int(i);
    i32 => i Value::Int(i.into());
    u32 => i Value::Int(i.into());
    u64 => i i64::try_from(i).map_or(Value::Float(i as f64), Value::Int);
    usize => i Value::from(i as u64);
    f64 => x Value::Float(x);
    &str => s Value::str(s);
    &String => s Value::str(s);
    String => s Value::Str(Arc::from(s));
    Arc<str> => s Value::Str(s);
    Map => m Value::map(m);
    Vec<Value> => l Value::list(l);
    Vec<String> => l Value::list(l.into_iter().map(Value::from).collect());
    Vec<&str> => l Value::list(l.into_iter().map(Value::from).collect());
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// The wire's form: formats that do not describe themselves need the kind written down.
#[derive(serde::Serialize, serde::Deserialize)]
enum Tagged {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return match self {
                Self::Null => Tagged::Null,
                Self::Bool(b) => Tagged::Bool(*b),
                Self::Int(i) => Tagged::Int(*i),
                Self::Float(x) => Tagged::Float(*x),
                Self::Str(t) => Tagged::Str(t.clone()),
                Self::List(l) => Tagged::List(l.to_vec()),
                Self::Map(m) => Tagged::Map(m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
            }
            .serialize(s);
        }
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(i) => s.serialize_i64(*i),
            Self::Float(x) => s.serialize_f64(*x),
            Self::Str(t) => s.serialize_str(t),
            Self::List(l) => {
                let mut seq = s.serialize_seq(Some(l.len()))?;
                for item in l.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Map(m) => m.serialize(s),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return self.0.iter().collect::<Vec<_>>().serialize(s);
        }
        let mut map = s.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(&crate::python::json_key(key), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return Ok(Self(Vec::<(Value, Value)>::deserialize(d)?.into_iter().collect()));
        }
        match Value::deserialize(d)? {
            Value::Map(m) => Ok(Arc::unwrap_or_clone(m)),
            other => Err(de::Error::custom(format!("expected a mapping, found {}", other.type_name()))),
        }
    }
}

/// How deep a value may nest on the wire; what comes from a machine must not be able to exhaust the stack.
const DEPTH: u32 = 200;

thread_local! {
    static LEVEL: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// One level of a value that is being read from the wire.
struct Level;

impl Level {
    fn enter<E: de::Error>() -> Result<Self, E> {
        let level = LEVEL.get();
        if level >= DEPTH {
            return Err(E::custom("the value nests too deeply"));
        }
        LEVEL.set(level + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        LEVEL.set(LEVEL.get() - 1);
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            let _level = Level::enter()?;
            return Ok(match Tagged::deserialize(d)? {
                Tagged::Null => Self::Null,
                Tagged::Bool(b) => Self::Bool(b),
                Tagged::Int(i) => Self::Int(i),
                Tagged::Float(x) => Self::Float(x),
                Tagged::Str(s) => Self::Str(s),
                Tagged::List(l) => Self::list(l),
                Tagged::Map(m) => Self::map(m.into_iter().collect()),
            });
        }
        d.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        Value::deserialize(d)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(b.into())
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(i.into())
    }
    fn visit_u64<E>(self, i: u64) -> Result<Value, E> {
        Ok(i.into())
    }
    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(x.into())
    }
    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(s.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::list(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = access.next_entry::<Value, Value>()? {
            map.0.insert(key, value);
        }
        Ok(Value::map(map))
    }
}
