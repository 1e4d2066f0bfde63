//! Where secrets are kept: encrypted with AES-256-GCM under a data key of their subject (a person, usually), which is
//! itself encrypted under the master key. The log holds only the secrets' ids. Destroying a data key makes everything
//! of its subject unreadable for ever, wherever copies may lie.

use super::{
    Sensitive,
    keys::{Key, Keys},
};
use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use domain::ids::SecretId;
use sqlx::PgPool;
use std::fmt;
use zeroize::Zeroizing;

/// Version of the stored format; part of what is authenticated.
const VERSION: i16 = 1;
const NONCE: usize = 12;

/// Why a secret cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The subject's data key was destroyed; nothing is kept for it any more.
    #[error("the secrets of this subject were destroyed")]
    Destroyed,
    /// The stored bytes were changed, moved, or written under another master key.
    #[error("a stored secret is damaged or belongs to another master key")]
    Damaged,
    /// The database does not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A secret as it lies there: its name, the format, the sealed bytes, the wrapped key unless that was destroyed.
type Stored = (uuid::Uuid, i16, Vec<u8>, Option<Vec<u8>>);

/// The secret store.
#[derive(Clone)]
pub struct Vault {
    pool: PgPool,
    wrap: Aes256Gcm,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

impl Vault {
    /// The store in this database.
    pub fn new(pool: PgPool, keys: &Keys) -> Self {
        Self { pool, wrap: cipher(&keys.wrap) }
    }

    /// Keeps a secret. Its id is used once: secrets are never overwritten.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`] when the subject's key was destroyed; the database's error when the id is taken.
    pub async fn put(
        &self,
        subject: &str,
        id: SecretId,
        secret: &Sensitive,
    ) -> Result<(), VaultError> {
        let key = self.data_key(subject).await?;
        let sealed = seal(&cipher(&key), secret.expose().as_bytes(), &bound(id, subject))?;
        sqlx::query("insert into secrets (id, subject, version, sealed) values ($1, $2, $3, $4)")
            .bind(id.0)
            .bind(subject)
            .bind(VERSION)
            .bind(sealed)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The secret; `None` when it was discarded, destroyed with its subject, or never existed.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when what is stored is not what was put there under this id for this subject.
    pub async fn get(&self, subject: &str, id: SecretId) -> Result<Option<Sensitive>, VaultError> {
        let found: Option<(i16, Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(
            "select secrets.version, secrets.sealed, subject_keys.wrapped
             from secrets join subject_keys using (subject)
             where secrets.id = $1 and secrets.subject = $2",
        )
        .bind(id.0)
        .bind(subject)
        .fetch_optional(&self.pool)
        .await?;
        let Some((version, sealed, Some(wrapped))) = found else { return Ok(None) };
        if version != VERSION {
            return Err(VaultError::Damaged);
        }
        let key = self.unwrap(subject, &wrapped)?;
        let secret = open(&cipher(&key), &sealed, &bound(id, subject))?;
        let text = std::str::from_utf8(&secret).map_err(|_| VaultError::Damaged)?;
        Ok(Some(Sensitive::from(text.to_owned())))
    }

    /// All secrets of the subject; none when they were destroyed.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when what is stored is not what was put there.
    pub async fn all(&self, subject: &str) -> Result<Vec<(SecretId, Sensitive)>, VaultError> {
        let found: Vec<Stored> = sqlx::query_as(
            "select secrets.id, secrets.version, secrets.sealed, subject_keys.wrapped
             from secrets join subject_keys using (subject)
             where secrets.subject = $1",
        )
        .bind(subject)
        .fetch_all(&self.pool)
        .await?;
        let Some((.., Some(wrapped))) = found.first() else { return Ok(vec![]) };
        let cipher = cipher(&self.unwrap(subject, wrapped)?);
        let opened = found.iter().map(|(id, version, sealed, _)| {
            let id = SecretId(*id);
            let secret = match *version {
                VERSION => open(&cipher, sealed, &bound(id, subject))?,
                _ => return Err(VaultError::Damaged),
            };
            let text = std::str::from_utf8(&secret).map_err(|_| VaultError::Damaged)?;
            Ok((id, Sensitive::from(text.to_owned())))
        });
        opened.collect()
    }

    /// Forgets a secret that is no longer used.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn discard(&self, id: SecretId) -> Result<(), VaultError> {
        sqlx::query("delete from secrets where id = $1").bind(id.0).execute(&self.pool).await?;
        Ok(())
    }

    /// Destroys the data keys of the subject and of those below it (`subject/…`), and with them everything kept for them,
    /// for ever. The caller records the event that says so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn destroy(&self, subject: &str) -> Result<(), VaultError> {
        sqlx::query(
            "insert into subject_keys (subject, destroyed_at) values ($1, now())
             on conflict (subject) do update
             set wrapped = null, destroyed_at = coalesce(subject_keys.destroyed_at, now())",
        )
        .bind(subject)
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "update subject_keys set wrapped = null, destroyed_at = now()
             where starts_with(subject, $1 || '/') and destroyed_at is null",
        )
        .bind(subject)
        .execute(&self.pool)
        .await?;
        sqlx::query("delete from secrets where subject = $1 or starts_with(subject, $1 || '/')")
            .bind(subject)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The subject's data key, made when it is first needed; two nodes that make it at once end with the same.
    async fn data_key(&self, subject: &str) -> Result<Key, VaultError> {
        let mut fresh: Key = Zeroizing::new([0; 32]);
        rand::fill(fresh.as_mut_slice());
        let wrapped = seal(&self.wrap, fresh.as_slice(), &owned(subject))?;
        let kept: Option<Vec<u8>> = sqlx::query_scalar(
            "insert into subject_keys (subject, wrapped) values ($1, $2)
             on conflict (subject) do update set subject = excluded.subject
             returning wrapped",
        )
        .bind(subject)
        .bind(wrapped)
        .fetch_one(&self.pool)
        .await?;
        self.unwrap(subject, &kept.ok_or(VaultError::Destroyed)?)
    }

    fn unwrap(&self, subject: &str, wrapped: &[u8]) -> Result<Key, VaultError> {
        let key = open(&self.wrap, wrapped, &owned(subject))?;
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| VaultError::Damaged)?;
        Ok(Zeroizing::new(key))
    }
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(&(**key).into())
}

/// What a wrapped data key is bound to.
fn owned(subject: &str) -> Vec<u8> {
    [b"annals data key\0", &VERSION.to_be_bytes()[..], subject.as_bytes()].concat()
}

/// What a secret is bound to: moved to another row or subject, it cannot be opened.
fn bound(id: SecretId, subject: &str) -> Vec<u8> {
    let version = VERSION.to_be_bytes();
    [b"annals secret\0\0\0", &version[..], id.0.as_bytes(), subject.as_bytes()].concat()
}

/// Nonce, ciphertext and tag.
fn seal(cipher: &Aes256Gcm, plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce: [u8; NONCE] = rand::random();
    let payload = Payload { msg: plain, aad: bound };
    let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
    Ok([&nonce[..], &sealed].concat())
}

fn open(cipher: &Aes256Gcm, sealed: &[u8], bound: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Damaged)?;
    let payload = Payload { msg: sealed, aad: bound };
    let plain = cipher.decrypt(&Nonce::from(*nonce), payload);
    plain.map(Zeroizing::new).map_err(|_| VaultError::Damaged)
}
