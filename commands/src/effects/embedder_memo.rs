//! The memo of vectors in PostgreSQL (table `vector_memo`), and one in memory for tests.

use super::embedder::{MemoError, TextHash, VectorMemo};
use futures::future::{BoxFuture, FutureExt, ready};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The memo in PostgreSQL. No read model owns its table: a rebuild reads it and never empties it.
#[derive(Debug, Clone)]
pub struct PostgresMemo(pub PgPool);

impl VectorMemo for PostgresMemo {
    fn known<'a>(
        &'a self,
        model: &'a str,
        texts: &'a [TextHash],
    ) -> BoxFuture<'a, Result<Vec<TextHash>, MemoError>> {
        async move {
            let hashes: Vec<&[u8]> = texts.iter().map(|hash| &hash.0[..]).collect();
            let found: Vec<Vec<u8>> = sqlx::query_scalar(
                "select hash from vector_memo where model = $1 and hash = any($2)",
            )
            .bind(model)
            .bind(hashes)
            .fetch_all(&self.0)
            .await
            .map_err(unavailable)?;
            Ok(found.into_iter().filter_map(|hash| Some(TextHash(hash.try_into().ok()?))).collect())
        }
        .boxed()
    }

    fn remember<'a>(
        &'a self,
        model: &'a str,
        vectors: Vec<(TextHash, Vec<f32>)>,
    ) -> BoxFuture<'a, Result<(), MemoError>> {
        async move {
            let hashes: Vec<&[u8]> = vectors.iter().map(|(hash, _)| &hash.0[..]).collect();
            // Arrays of arrays have to be rectangular, so the vectors travel as text.
            let texts: Vec<String> = vectors.iter().map(|(_, vector)| literal(vector)).collect();
            sqlx::query(
                "insert into vector_memo (model, hash, embedding)
                 select $1, hash, embedding::real[] from unnest($2::bytea[], $3::text[]) as new (hash, embedding)
                 order by hash on conflict do nothing",
            )
            .bind(model)
            .bind(hashes)
            .bind(texts)
            .execute(&self.0)
            .await
            .map_err(unavailable)?;
            Ok(())
        }
        .boxed()
    }
}

fn unavailable(error: sqlx::Error) -> MemoError {
    MemoError(error.to_string().into())
}

/// A vector as PostgreSQL writes an array.
fn literal(vector: &[f32]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(vector.len() * 11 + 2);
    text.push('{');
    for (n, x) in vector.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{x}");
    }
    text.push('}');
    text
}

/// A memo that ends with its process.
#[derive(Debug, Clone, Default)]
pub struct MemoryMemo(Arc<Mutex<Vectors>>);

/// By model and text.
type Vectors = HashMap<(String, TextHash), Vec<f32>>;

impl MemoryMemo {
    /// How many vectors it holds.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl VectorMemo for MemoryMemo {
    fn known<'a>(
        &'a self,
        model: &'a str,
        texts: &'a [TextHash],
    ) -> BoxFuture<'a, Result<Vec<TextHash>, MemoError>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            texts.iter().filter(|hash| held.contains_key(&(model.to_owned(), **hash))).copied();
        ready(Ok(known.collect())).boxed()
    }

    fn remember<'a>(
        &'a self,
        model: &'a str,
        vectors: Vec<(TextHash, Vec<f32>)>,
    ) -> BoxFuture<'a, Result<(), MemoError>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, vector) in vectors {
            held.entry((model.to_owned(), hash)).or_insert(vector);
        }
        ready(Ok(())).boxed()
    }
}
