//! Whether a type has named fields. What serde derives for those takes a list of values as well, in the order of the fields,
//! and nobody who sends a list means that.

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use std::fmt;

/// Whether values of this type are objects with fields that it names.
pub fn has_fields<T: DeserializeOwned>() -> bool {
    T::deserialize(Asked).is_err_and(|Answer { fields }| fields)
}

/// Has nothing to read, and learns what it is asked for.
struct Asked;

#[derive(Debug)]
struct Answer {
    fields: bool,
}

impl<'de> Deserializer<'de> for Asked {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer { fields: false })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer { fields: true })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl de::Error for Answer {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self { fields: false }
    }
}

impl std::error::Error for Answer {}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nothing to read")
    }
}
