//! Vectors as a model would make them, without a model: every word has a direction of its own.

use commands::effects::embedder::{Embedder, Error};
use futures::future::{BoxFuture, FutureExt, ready};

/// Length of the vectors, that of common small models.
const DIMENSIONS: usize = 384;

/// Sums its words' directions, long words (rare ones, in the made-up language) counting more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projection;

impl Embedder for Projection {
    fn model(&self) -> &str {
        "bench-projection-384"
    }

    fn dimensions(&self) -> Option<usize> {
        Some(DIMENSIONS)
    }

    fn weight(&self) -> f32 {
        0.5
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>> {
        ready(Ok(texts.iter().map(|text| vector(text)).collect())).boxed()
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let weight = word.len() as f32;
        let mut direction = super::corpus::Scatter(seed(word));
        for part in vector.chunks_mut(64) {
            let bits = direction.next();
            for (bit, value) in part.iter_mut().enumerate() {
                *value += if bits >> bit & 1 == 0 { weight } else { -weight };
            }
        }
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// FNV-1a.
fn seed(word: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    word.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_common_words_lie_nearer() {
        let near =
            |a: &str, b: &str| -> f32 { vector(a).iter().zip(vector(b)).map(|(a, b)| a * b).sum() };
        let question = "resume a stream";
        assert!(near(question, "to resume the stream") > near(question, "bake some bread") + 0.3);
    }
}
