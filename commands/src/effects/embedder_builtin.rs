//! The embedder that needs no model: hashed words, pairs of words and letter groups.
//!
//! It knows nothing of meaning, only of shared spelling, so its ranking counts for little beside the lexical one. The
//! same text gives the same vector on every machine and in every version; a change means a new model name.

use super::embedder::{Embedder, Error};
use domain::document::words;
use futures::future::{BoxFuture, FutureExt};

/// Length of its vectors.
pub const DIMENSIONS: usize = 1_024;
/// Texts between two looks at the scheduler.
const SLICE: usize = 16;

/// The built-in embedder.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

impl Embedder for Builtin {
    fn model(&self) -> &str {
        "builtin-ngrams-1024-v1"
    }

    fn dimensions(&self) -> Option<usize> {
        Some(DIMENSIONS)
    }

    /// On a public test collection it ranks worse than BM25 alone, and fusing the two as equals makes BM25 worse.
    fn weight(&self) -> f32 {
        0.15
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>> {
        async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for slice in texts.chunks(SLICE) {
                vectors.extend(slice.iter().map(|text| vector(text)));
                tokio::task::yield_now().await;
            }
            Ok(vectors)
        }
        .boxed()
    }
}

/// The vector of a text: of length 1, or all zero when the text holds no word.
fn vector(text: &str) -> Vec<f32> {
    let mut features = features(text);
    features.sort_unstable();
    let mut vector = vec![0.0_f32; DIMENSIONS];
    for group in features.chunk_by(|a, b| a.0 == b.0) {
        let (hash, weight) = group[0];
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = group.len() as f32;
        let value = f32::from(weight) * (1.0 + count.ln());
        let place = usize::try_from(hash % DIMENSIONS as u64).unwrap_or_default();
        // A bit that the place does not depend on decides the sign, so that collisions cancel out on average.
        vector[place] += if hash >> 63 == 0 { value } else { -value };
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// The number of every feature with its weight: whole words count most, groups of three letters least.
fn features(text: &str) -> Vec<(u64, u8)> {
    let mut features = Vec::new();
    let mut before: Option<String> = None;
    let mut spelled = String::new();
    words::for_each(text, |word| {
        features.push((spread(words::number(word)), 4));
        if let Some(before) = &before {
            features.push((spread(words::number(&format!("{before} {word}"))), 2));
        }
        if word.is_ascii() {
            spelled.clear();
            spelled.extend(["<", word, ">"]);
            for group in spelled.as_bytes().windows(3) {
                let group = std::str::from_utf8(group).unwrap_or_default();
                features.push((spread(words::number(group) ^ 0x5bd1_e995), 1));
            }
        }
        before = Some(word.to_owned());
    });
    features
}

/// Mixes all bits of a number into all others (the finalizer of MurmurHash3).
fn spread(mut n: u64) -> u64 {
    n = (n ^ (n >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    n = (n ^ (n >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    n ^ (n >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn every_vector_has_length_one_but_that_of_nothing() {
        assert!((similarity("知识库 upload", "知识库 upload") - 1.0).abs() < 1e-5);
        assert_eq!(vector(" ?! "), vec![0.0; DIMENSIONS]);
    }

    #[test]
    fn shared_spelling_is_similarity() {
        let near = similarity("uploading documents", "the document was uploaded");
        let far = similarity("uploading documents", "a quick brown fox");
        assert!(near > far + 0.1, "{near} {far}");
        let near = similarity("知识库上传文件", "文件上传失败");
        let far = similarity("知识库上传文件", "今天天气很好");
        assert!(near > far + 0.1, "{near} {far}");
    }

    #[test]
    fn a_vector_never_changes() {
        let vector = vector("annals");
        let places: Vec<_> = (0..DIMENSIONS).filter(|&at| vector[at] != 0.0).collect();
        assert_eq!(places.len(), 7, "{places:?}");
        let print =
            vector.iter().fold(0_u64, |print, x| print.rotate_left(5) ^ u64::from(x.to_bits()));
        assert_eq!(print, 0x1a06_69e1_94ac_87c1, "{print:#x}");
    }
}
