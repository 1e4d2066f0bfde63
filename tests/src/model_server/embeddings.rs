//! Embeddings that are the same every time and close to each other where texts share words.

use axum::Json;
use serde_json::{Value, json};

/// Dimensions when the request names none.
const DIMENSIONS: usize = 384;

/// `POST /v1/embeddings`.
pub(super) async fn embed(Json(body): Json<Value>) -> Json<Value> {
    let dimensions = body["dimensions"].as_u64().and_then(|d| usize::try_from(d).ok());
    let dimensions = dimensions.unwrap_or(DIMENSIONS).clamp(1, 4_096);
    let texts: Vec<&str> = match &body["input"] {
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        text => text.as_str().into_iter().collect(),
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            json!({"object": "embedding", "index": index, "embedding": vector(text, dimensions)})
        })
        .collect();
    let words: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let usage = json!({"prompt_tokens": words, "total_tokens": words});
    Json(json!({"object": "list", "model": body["model"], "data": data, "usage": usage}))
}

/// The unit vector of a text: every word adds to the few dimensions that its hash names.
pub fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; dimensions];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
    {
        let mut hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        for _ in 0..4 {
            hash = mix(hash, 0x55);
            let place = usize::try_from(hash >> 33).unwrap_or_default() % dimensions;
            sum[place] += if hash & 0x100 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        sum[0] = 1.0;
        return sum;
    }
    sum.iter().map(|x| x / length).collect()
}

fn mix(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}
