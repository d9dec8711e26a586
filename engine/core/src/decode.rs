//! From a chunk's arguments to a state's struct. Lenient as Python is: a number serves as text, `'True'`
//! as a boolean, `'22'` as a number.

use crate::python;
use crate::value::{Map, Value};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::cell::Cell;
use std::fmt;

/// Why arguments could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The argument at fault, if one is.
    pub arg: Option<String>,
    /// The argument is required and not given.
    pub missing: bool,
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.arg {
            Some(arg) if !self.missing => write!(f, "argument `{arg}`: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { arg: None, missing: false, message: message.to_string() }
    }
    fn missing_field(field: &'static str) -> Self {
        Self { arg: Some(field.into()), missing: true, message: format!("Missing parameter {field}") }
    }
}

/// Reads a struct from a mapping of arguments.
pub fn from_map<T: DeserializeOwned>(args: &Map) -> Result<T, DecodeError> {
    // Deserialize entry by entry, so that an error knows its argument.
    let current = Cell::new(None::<&str>);
    let entries = args
        .iter()
        .filter_map(|(k, v)| Some((k.as_str()?, v)))
        .map(|(k, v)| (Noted { key: k, current: &current }, De(v)));
    T::deserialize(MapDeserializer::new(entries)).map_err(|mut error| {
        if error.arg.is_none() {
            error.arg = current.get().map(str::to_owned);
        }
        error
    })
}

/// Reads any type from a value.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    T::deserialize(De(value))
}

/// Names the fields of a struct (aliases included), without a value of it.
pub fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let seen = Cell::new(&[][..]);
    let _ = T::deserialize(FieldSpy(&seen));
    seen.get()
}

struct Noted<'a, 'c> {
    key: &'a str,
    current: &'c Cell<Option<&'a str>>,
}

impl<'de, 'a, 'c> IntoDeserializer<'de, DecodeError> for Noted<'a, 'c> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Noted<'_, '_> {
    type Error = DecodeError;
    fn deserialize_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        self.current.set(Some(self.key));
        v.visit_str(self.key)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct FieldSpy<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldSpy<'_> {
    type Error = DecodeError;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("only looking"))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.set(fields);
        Err(de::Error::custom("only looking"))
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A value as serde's source.
#[derive(Clone, Copy)]
pub struct De<'a>(pub &'a Value);

impl<'de, 'a> IntoDeserializer<'de, DecodeError> for De<'a> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl De<'_> {
    fn wrong(self, wanted: &str) -> DecodeError {
        de::Error::custom(format!("expected {wanted}, found {} ({})", self.0.type_name(), python::repr(self.0)))
    }

    fn number<T: std::str::FromStr + TryFrom<i64>>(self) -> Result<T, DecodeError> {
        let found = match self.0 {
            Value::Int(i) => T::try_from(*i).ok(),
            Value::Bool(b) => T::try_from(i64::from(*b)).ok(),
            Value::Float(x) if x.fract() == 0.0 => T::try_from(*x as i64).ok(),
            Value::Str(s) => s.trim().parse().ok(),
            _ => None,
        };
        found.ok_or_else(|| self.wrong("a whole number"))
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty;)*) => { $(
        fn $method<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
            v.$visit(self.number::<$type>()?)
        }
    )* };
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => v.visit_unit(),
            Value::Bool(b) => v.visit_bool(*b),
            Value::Int(i) => v.visit_i64(*i),
            Value::Float(x) => v.visit_f64(*x),
            Value::Str(s) => v.visit_str(s),
            Value::List(l) => v.visit_seq(SeqDeserializer::new(l.iter().map(De))),
            Value::Map(m) => v.visit_map(MapDeserializer::new(m.iter().map(|(k, x)| (De(k), De(x))))),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Bool(b) => v.visit_bool(*b),
            Value::Int(i) => v.visit_bool(*i != 0),
            Value::Null => v.visit_bool(false),
            Value::Str(s) => match s.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => v.visit_bool(true),
                "false" | "no" | "off" | "0" | "" | "none" => v.visit_bool(false),
                _ => Err(self.wrong("true or false")),
            },
            _ => Err(self.wrong("true or false")),
        }
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16; deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64; deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32; deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Float(x) => v.visit_f64(*x),
            Value::Int(i) => v.visit_f64(*i as f64),
            Value::Str(s) => v.visit_f64(s.trim().parse().map_err(|_| self.wrong("a number"))?),
            _ => Err(self.wrong("a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(v)
    }

    fn deserialize_string<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::List(_) | Value::Map(_) | Value::Null => Err(self.wrong("text")),
            scalar => v.visit_string(python::str(scalar)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(v)
    }

    fn deserialize_option<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        if self.0.is_null() { v.visit_none() } else { v.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, v: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::List(l) => v.visit_seq(SeqDeserializer::new(l.iter().map(De))),
            _ => Err(self.wrong("a list")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, v: V) -> Result<V::Value, DecodeError> {
        v.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Str(s) => v.visit_enum((**s).into_deserializer()),
            _ => Err(self.wrong("a word")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// One thing or a list of them: `text: one line` and `text: [a, b]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        match &value {
            Value::Null => Ok(Self(vec![])),
            Value::List(items) => items.iter().map(from_value).collect::<Result<_, _>>().map(Self),
            one => from_value(one).map(|item| Self(vec![item])),
        }
        .map_err(de::Error::custom)
    }
}

/// Permission bits as Salt reads them: `644`, `'0644'` and `0o644` are the same; `keep` keeps the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Keep,
    Bits(u32),
}

impl Mode {
    /// Returns the bits, unless they are the source's.
    pub fn bits(self) -> Option<u32> {
        if let Self::Bits(bits) = self { Some(bits) } else { None }
    }

    /// Returns the bits as Salt shows them, `0644`.
    pub fn show(bits: u32) -> String {
        format!("{bits:04o}")
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        let text = python::str(&value);
        if text == "keep" {
            return Ok(Self::Keep);
        }
        let digits = text.trim_start_matches("0o");
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .map(Self::Bits)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no file mode; write it as '0644' or 644")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        name: String,
        #[serde(default)]
        port: u16,
        mode: Option<Mode>,
        #[serde(default, alias = "texts")]
        text: OneOrMany<String>,
    }

    fn args(entries: &[(&str, Value)]) -> Map {
        entries.iter().map(|(k, v)| (*k, v.clone())).collect()
    }

    #[test]
    fn reads_leniently_and_names_the_argument() {
        let good = args(&[("name", 7.into()), ("port", "22".into()), ("mode", 644.into()), ("text", "a".into())]);
        let sample: Sample = from_map(&good).expect("these arguments are good");
        assert_eq!(sample.name, "7");
        assert_eq!((sample.port, sample.mode), (22, Some(Mode::Bits(0o644))));
        assert_eq!(sample.text.0, ["a"]);
        let bad = from_map::<Sample>(&args(&[("name", "x".into()), ("port", "ssh".into())])).expect_err("port");
        assert_eq!(bad.to_string(), "argument `port`: expected a whole number, found str ('ssh')");
        let missing = from_map::<Sample>(&Map::new()).expect_err("name");
        assert_eq!(missing.to_string(), "Missing parameter name");
    }

    #[test]
    fn names_the_fields_with_their_aliases() {
        assert_eq!(fields::<Sample>(), ["name", "port", "mode", "text", "texts"]);
    }
}
