//! Vectors for texts: the port, the memo beside it, and what is done with both.

use futures::future::BoxFuture;
use std::{collections::HashMap, fmt, sync::Arc};

/// Turns texts into vectors that lie near each other when the texts mean similar things.
pub trait Embedder: Send + Sync {
    /// Name of the model. Vectors of different models are never compared.
    fn model(&self) -> &str;

    /// Length of its vectors; `None` until a model elsewhere has answered for the first time. Vectors of length 0 say
    /// nothing and are not remembered.
    fn dimensions(&self) -> Option<usize>;

    /// What its ranking is worth beside the lexical one when the two are fused: 0 is nothing, 0.5 is as much, 1 is all.
    fn weight(&self) -> f32;

    /// One vector for each text, in order, all of the same length.
    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>>;
}

/// Why there are no vectors. Holds neither keys nor texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Away, overloaded or too slow: trying later makes sense.
    #[error("the embedding service is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// It will say the same next time: wrong key, unknown model, an answer that makes no sense.
    #[error("the embedding service refused: {0}")]
    Refused(Arc<str>),
}

/// SHA-256 of a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextHash(pub [u8; 32]);

impl TextHash {
    /// The hash of this text's UTF-8.
    pub fn of(text: &str) -> Self {
        use sha2::{Digest, Sha256};
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Remembers vectors by model and text, so that nothing is paid for twice and a rebuild of the search calls nobody.
pub trait VectorMemo: Send + Sync {
    /// Which of these texts have a vector already.
    fn known<'a>(
        &'a self,
        model: &'a str,
        texts: &'a [TextHash],
    ) -> BoxFuture<'a, Result<Vec<TextHash>, MemoError>>;

    /// Remembers; what is remembered already stays.
    fn remember<'a>(
        &'a self,
        model: &'a str,
        vectors: Vec<(TextHash, Vec<f32>)>,
    ) -> BoxFuture<'a, Result<(), MemoError>>;
}

/// The memo cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the memo of vectors is unavailable: {0}")]
pub struct MemoError(pub Arc<str>);

/// Why [`ensure`] failed.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The embedder failed.
    #[error(transparent)]
    Embedder(#[from] Error),
    /// The memo failed.
    #[error(transparent)]
    Memo(#[from] MemoError),
}

/// Makes sure that the memo knows the vector of every text, and embeds only what is new to it.
///
/// # Errors
/// [`EnsureError`].
pub async fn ensure(
    embedder: &dyn Embedder,
    memo: &dyn VectorMemo,
    texts: &[String],
) -> Result<(), EnsureError> {
    if embedder.dimensions() == Some(0) {
        return Ok(());
    }
    let mut wanted: HashMap<TextHash, &str> =
        texts.iter().map(|text| (TextHash::of(text), text.as_str())).collect();
    let hashes: Vec<TextHash> = wanted.keys().copied().collect();
    for known in memo.known(embedder.model(), &hashes).await? {
        wanted.remove(&known);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut wanted: Vec<(TextHash, &str)> = wanted.into_iter().collect();
    wanted.sort_unstable_by_key(|(hash, _)| *hash);
    let texts: Vec<&str> = wanted.iter().map(|(_, text)| *text).collect();
    let vectors = embedder.embed(&texts).await?;
    let vectors = wanted.iter().map(|(hash, _)| *hash).zip(vectors).collect();
    memo.remember(embedder.model(), vectors).await?;
    Ok(())
}
