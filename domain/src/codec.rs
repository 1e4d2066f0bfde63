//! Events to and from the two columns the log keeps: the type's name and the JSON of its fields.
//!
//! Events serialize as `{"Name":{…}}` (serde's default for enums), so the name and the fields are two slices of
//! one text and nothing is written twice. The only place where event payloads are coded.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The stored type and fields of an event. A variant without fields stores `{}`.
///
/// # Errors
/// When the event cannot be expressed as JSON, or is not an enum.
pub fn encode<E: Serialize>(event: &E) -> Result<(Box<str>, Box<RawValue>), serde_json::Error> {
    let text = serde_json::to_string(event)?;
    let inner = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    if let Some(name) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Ok((name.into(), RawValue::from_string("{}".to_owned())?));
    }
    // Variant names are identifiers: the first `":` ends the name.
    let Some(end) = text.find("\":") else {
        return Err(serde::ser::Error::custom("an event is an enum variant"));
    };
    let data = inner(end + 2, text.len() - 1).to_owned();
    Ok((inner(2, end).into(), RawValue::from_string(data)?))
}

/// The event of type `kind` with these fields.
///
/// # Errors
/// When the type is not a variant of `E`, or the fields do not fit it.
pub fn decode<E: DeserializeOwned>(kind: &str, data: &RawValue) -> Result<E, serde_json::Error> {
    let json = data.get();
    let mut text = String::with_capacity(kind.len() + json.len() + 5);
    text.push_str("{\"");
    text.push_str(kind);
    text.push_str("\":");
    text.push_str(json);
    text.push('}');
    serde_json::from_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Event {
        NameGiven { name: String },
        Closed {},
    }

    #[test]
    fn what_goes_in_comes_out() -> Result<(), serde_json::Error> {
        for event in [
            Event::NameGiven { name: "a\":{}\"é😀".to_owned() },
            Event::NameGiven { name: String::new() },
            Event::Closed {},
        ] {
            let (kind, data) = encode(&event)?;
            assert_eq!(decode::<Event>(&kind, &data)?, event);
        }
        Ok(())
    }

    #[test]
    fn the_type_is_the_variant_name() -> Result<(), serde_json::Error> {
        let (kind, data) = encode(&Event::NameGiven { name: "x".to_owned() })?;
        assert_eq!((&*kind, data.get()), ("NameGiven", r#"{"name":"x"}"#));
        Ok(())
    }

    #[test]
    fn an_unknown_type_is_an_error() -> Result<(), serde_json::Error> {
        let data = RawValue::from_string("{}".to_owned())?;
        assert!(decode::<Event>("Renamed", &data).is_err());
        Ok(())
    }
}
