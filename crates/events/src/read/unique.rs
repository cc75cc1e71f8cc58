//! JSON in which no object has a key twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::rejection::{Rejection, duplicate_key};

/// Why a text is no JSON value that can be taken.
#[derive(Debug)]
pub enum NotUnique {
    /// An object in it has a key twice. Readers of JSON differ in which value counts, so evidence
    /// must not depend on it.
    Duplicate(Rejection),
    /// It is not JSON.
    Malformed(serde_json::Error),
}

/// The JSON value that a text holds.
///
/// # Errors
/// [`NotUnique`] when it is not JSON, or an object in it has a key twice.
pub fn parse_unique(text: &[u8]) -> Result<Value, NotUnique> {
    let duplicate = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Unique(&duplicate).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    match (duplicate.into_inner(), value) {
        (Some(rejection), _) => Err(NotUnique::Duplicate(rejection)),
        (None, value) => value.map_err(NotUnique::Malformed),
    }
}

/// Adds a member to an object.
///
/// # Errors
/// The refusal of the object, with the code `duplicate_key`, when it has the key already.
pub fn insert_unique(
    object: &mut Map<String, Value>,
    key: String,
    value: Value,
) -> Result<(), Rejection> {
    match object.entry(key) {
        Entry::Occupied(member) => Err(duplicate_key(member.key())),
        Entry::Vacant(member) => {
            member.insert(value);
            Ok(())
        }
    }
}

/// Makes a value; the refusal of a key that an object has twice is put into the cell, and is an error.
#[derive(Clone, Copy)]
struct Unique<'d>(&'d RefCell<Option<Rejection>>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if let Err(rejection) = insert_unique(&mut object, key, value) {
                self.0.replace(Some(rejection));
                return Err(A::Error::custom("a key is given twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_given_twice_is_found_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":[{"c":{"a":1,"x":2,"\u0061":3}}]}"#,
        ] {
            match parse_unique(text.as_bytes()) {
                Err(NotUnique::Duplicate(rejection)) => assert_eq!(rejection, duplicate_key("a")),
                other => panic!("{text}: {other:?}"),
            }
        }
        let siblings = br#"[{"a":1},{"a":{"a":2}}]"#;
        assert!(parse_unique(siblings).is_ok());
    }

    /// Any text is read as `serde_json` reads it, or has a key twice.
    fn agrees(text: &str) {
        let plain = serde_json::from_str::<Value>(text);
        match (parse_unique(text.as_bytes()), plain) {
            (Ok(value), Ok(plain)) => assert_eq!(value, plain),
            (Err(NotUnique::Malformed(error)), Err(plain)) => {
                assert_eq!(error.to_string(), plain.to_string());
            }
            (Err(NotUnique::Duplicate(_)), _) => {}
            (other, plain) => panic!("{text}: {other:?}, {plain:?}"),
        }
    }

    #[test]
    fn what_is_not_json_is_told_as_before() {
        let deep = "[".repeat(200);
        for text in [
            "",
            "{",
            "{\"a\":1} x",
            "1e999",
            "-0",
            "18446744073709551616",
            &deep,
        ] {
            agrees(text);
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_as_serde_json_reads_them(text in r#"[\[\]{}:,"ab0-9.eE\-\\ ntrue]{0,24}"#) {
            agrees(&text);
        }
    }
}
