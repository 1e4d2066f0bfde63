//! An embedding model on this machine's disk: a table of token vectors, as Model2Vec and the static models of
//! Sentence Transformers have it. A text's vector is the mean of its tokens'.

use super::embedder::{Embedder, Error};
use futures::future::{BoxFuture, FutureExt};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};
use std::{fmt, fs, path::Path, sync::Arc};
use tokenizers::Tokenizer;
use tokio::task::spawn_blocking;

/// Tokens of a text that count.
const MAX_TOKENS: usize = 512;
/// Names under which the table is stored.
const TABLES: [&str; 2] = ["embeddings", "embedding.weight"];

/// The model. Cheap to clone.
#[derive(Clone)]
pub struct Static(Arc<Model>);

struct Model {
    name: String,
    tokenizer: Tokenizer,
    table: Vec<f32>,
    width: usize,
    /// What each token counts; all the same when empty.
    weights: Vec<f32>,
    /// The row of each token; its own number when empty.
    rows: Vec<usize>,
    unknown: Option<u32>,
}

impl fmt::Debug for Static {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Static").field("model", &self.0.name).finish_non_exhaustive()
    }
}

impl Static {
    /// Reads `model.safetensors` and `tokenizer.json` from a folder. The model is named after the folder and the
    /// file's digest, so that vectors of another edition are never compared with these.
    ///
    /// # Errors
    /// With what is wrong with which file.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let weights = folder.join("model.safetensors");
        let bytes = fs::read(&weights).map_err(|error| broken(&weights, error))?;
        let words = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&words).map_err(|error| broken(&words, error))?;
        let stem = folder.file_name().and_then(|name| name.to_str()).unwrap_or("model");
        let digest: String =
            Sha256::digest(&bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("static-{stem}-{digest}");
        Model::new(name, tokenizer, &bytes)
            .map(|model| Self(Arc::new(model)))
            .map_err(|why| broken(&weights, why))
    }
}

fn broken(path: &Path, why: impl fmt::Display) -> Error {
    Error::Refused(format!("{}: {why}", path.display()).into())
}

impl Model {
    fn new(name: String, tokenizer: Tokenizer, bytes: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let table = TABLES.iter().find_map(|name| tensors.tensor(name).ok());
        let table = table.ok_or_else(|| format!("holds none of {TABLES:?}"))?;
        let [height, width] = table.shape() else {
            return Err("its table is no table".to_owned());
        };
        let (height, width) = (*height, *width);
        let optional = |name| tensors.tensor(name).ok().map(|tensor| floats(&tensor)).transpose();
        let weights = optional("weights")?.unwrap_or_default();
        let rows = match tensors.tensor("mapping") {
            Ok(mapping) => whole(&mapping)?,
            Err(_) => Vec::new(),
        };
        if height == 0 || !(1..=16_000).contains(&width) || rows.iter().any(|row| *row >= height) {
            return Err("its table has an impossible shape".to_owned());
        }
        let unknown = ["[UNK]", "<unk>"].iter().find_map(|token| tokenizer.token_to_id(token));
        Ok(Self { name, tokenizer, table: floats(&table)?, width, weights, rows, unknown })
    }

    fn embed(&self, text: &str) -> Result<Vec<f32>, Error> {
        let tokens = self.tokenizer.encode_fast(text, false);
        let tokens = tokens.map_err(|error| Error::Refused(error.to_string().into()))?;
        let mut sum = vec![0.0_f32; self.width];
        let known = tokens.get_ids().iter().filter(|id| Some(**id) != self.unknown);
        for id in known.take(MAX_TOKENS) {
            let at = usize::try_from(*id).unwrap_or(usize::MAX);
            let row = if self.rows.is_empty() { Some(&at) } else { self.rows.get(at) };
            let place = row.and_then(|row| {
                let start = row.checked_mul(self.width)?;
                self.table.get(start..start.checked_add(self.width)?)
            });
            if let Some(place) = place {
                let weight = self.weights.get(at).copied().unwrap_or(1.0);
                sum.iter_mut().zip(place).for_each(|(sum, x)| *sum += weight * x);
            }
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|x| *x /= length);
        }
        Ok(sum)
    }
}

fn floats(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        #[expect(clippy::cast_possible_truncation, reason = "weights")]
        Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        other => return Err(format!("numbers of type {other:?} are not read")),
    })
}

fn whole(tensor: &TensorView<'_>) -> Result<Vec<usize>, String> {
    let data = tensor.data();
    let numbers: Vec<i64> = match tensor.dtype() {
        Dtype::I64 => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
        other => return Err(format!("row numbers of type {other:?} are not read")),
    };
    numbers
        .into_iter()
        .map(|n| usize::try_from(n).map_err(|_| "a row below 0".to_owned()))
        .collect()
}

impl Embedder for Static {
    fn model(&self) -> &str {
        &self.0.name
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.0.width)
    }

    /// Such models rank somewhat below BM25 on common test collections, and find other things.
    fn weight(&self) -> f32 {
        0.35
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>> {
        let model = self.0.clone();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        async move {
            let work = move || texts.iter().map(|text| model.embed(text)).collect();
            match spawn_blocking(work).await {
                Ok(vectors) => vectors,
                Err(_) => Err(Error::Refused("the local model broke off".into())),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::{collections::HashMap, path::PathBuf};

    const WORDS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null, "decoder": null, "model": {"type": "WordLevel",
        "vocab": {"[UNK]": 0, "cat": 1, "dog": 2, "car": 3}, "unk_token": "[UNK]"}}"#;

    /// A folder with four tokens in two dimensions, half precision.
    fn folder(words: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("annals-static-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        let numbers = [9.0, 9.0, 1.0, 0.0, 0.8, 0.6, 0.0, 1.0];
        let data: Vec<u8> = numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let table = TensorView::new(Dtype::F16, vec![4, 2], &data).unwrap();
        let tensors = HashMap::from([("embeddings", table)]);
        fs::write(folder.join("model.safetensors"), safetensors::serialize(tensors, None).unwrap())
            .unwrap();
        fs::write(folder.join("tokenizer.json"), words).unwrap();
        folder
    }

    #[tokio::test]
    async fn a_text_lies_in_the_middle_of_its_tokens() {
        let folder = folder(WORDS);
        let model = Static::open(&folder).unwrap();
        assert_eq!(model.dimensions(), Some(2));
        assert!(model.model().starts_with("static-annals-static-"));
        let vectors = model.embed(&["Cat", "cat CAR zebra", "zebra"]).await.unwrap();
        assert_eq!(vectors[0], [1.0, 0.0]);
        assert!((vectors[1][0] - vectors[1][1]).abs() < 1e-3, "{vectors:?}");
        assert_eq!(vectors[2], [0.0, 0.0]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_broken_is_named() {
        let folder = folder("{}");
        let told = |error: Error| error.to_string();
        assert!(told(Static::open(&folder).unwrap_err()).contains("tokenizer.json"));
        fs::write(folder.join("tokenizer.json"), WORDS).unwrap();
        fs::write(folder.join("model.safetensors"), "no tensors").unwrap();
        assert!(told(Static::open(&folder).unwrap_err()).contains("model.safetensors"));
        fs::remove_dir_all(folder).unwrap();
    }
}
