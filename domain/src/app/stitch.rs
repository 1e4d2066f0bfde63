//! How pieces of an output become one: the rule that clients and server share.

use serde_json::Value;

/// What `piece` makes of `whole`. Texts grow, objects and arrays grow member by member, nothing changes what is there, and
/// of all else the new one counts unless it is false, zero or empty.
pub fn stitch(whole: &mut Value, piece: Value) {
    match (whole, piece) {
        (_, Value::Null) => {}
        (whole @ Value::Null, piece) => *whole = piece,
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                stitch(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(more)) => {
            for (place, value) in more.into_iter().enumerate() {
                match items.get_mut(place) {
                    Some(item) => stitch(item, value),
                    None => items.push(value),
                }
            }
        }
        (whole, piece) => {
            if is_truthy(&piece) {
                *whole = piece;
            }
        }
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stitched(pieces: &[Value]) -> Value {
        let mut whole = Value::Null;
        pieces.iter().for_each(|piece| stitch(&mut whole, piece.clone()));
        whole
    }

    #[test]
    fn texts_grow_wherever_they_are() {
        let pieces = [
            json!({"choices": [{"role": "assistant", "content": null}]}),
            json!({"choices": [{"content": "Thir"}]}),
            json!({"choices": [{"content": "ty"}, {"content": "x"}]}),
        ];
        let whole =
            json!({"choices": [{"role": "assistant", "content": "Thirty"}, {"content": "x"}]});
        assert_eq!(stitched(&pieces), whole);
    }

    #[test]
    fn what_is_no_text_is_replaced_by_what_says_something() {
        assert_eq!(stitched(&[json!(1), json!(2)]), json!(2));
        assert_eq!(stitched(&[json!(1), json!(0)]), json!(1));
        assert_eq!(stitched(&[json!(true), json!(false)]), json!(true));
        assert_eq!(stitched(&[json!("a"), json!(3)]), json!(3));
        assert_eq!(stitched(&[json!({"a": 1}), json!(null)]), json!({"a": 1}));
    }
}
