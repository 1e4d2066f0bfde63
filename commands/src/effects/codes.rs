//! Codes that prove an e-mail address: one per address, kept as keyed hashes, so that they survive restarts and hold
//! on every node.

use super::{Sensitive, keys::Keys, secret::same};
use chrono::{DateTime, TimeDelta, Utc};
use domain::user::EmailAddress;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};

/// How long a code can be used.
pub const VALID_FOR: Duration = Duration::from_secs(300);
/// How long an address has to wait for its next code.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Wrong guesses that end a code.
const ATTEMPTS: i16 = 5;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The last one is too recent.
    #[error("the last code is too recent")]
    TooSoon(Duration),
    /// The database does not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The codes of this installation.
#[derive(Debug, Clone)]
pub struct Codes {
    pool: PgPool,
    keys: Arc<Keys>,
}

impl Codes {
    /// The codes in this database.
    pub fn new(pool: PgPool, keys: Arc<Keys>) -> Self {
        Self { pool, keys }
    }

    /// A new code of six digits for this address; the one before no longer counts.
    ///
    /// # Errors
    /// [`CodeError::TooSoon`] within [`RETRY_AFTER`] of the last one.
    pub async fn issue(
        &self,
        to: &EmailAddress,
        now: DateTime<Utc>,
    ) -> Result<Sensitive, CodeError> {
        let code = Sensitive::from(format!("{:06}", rand::random_range(0..1_000_000_u32)));
        let sent: Option<bool> = sqlx::query_scalar(
            "insert into verification_codes (address, digest, sent_at, expires_at)
             values ($1, $2, $3, $4)
             on conflict (address) do update set digest = excluded.digest,
               sent_at = excluded.sent_at, expires_at = excluded.expires_at, attempts = 0
             where verification_codes.sent_at <= $5
             returning true",
        )
        .bind(self.address(to))
        .bind(self.digest(to, &code))
        .bind(now)
        .bind(now + VALID_FOR)
        .bind(now - RETRY_AFTER)
        .fetch_optional(&self.pool)
        .await?;
        match sent {
            Some(_) => {
                self.sweep(now).await?;
                Ok(code)
            }
            None => Err(CodeError::TooSoon(self.wait(to, now).await?)),
        }
    }

    /// Whether this is the address's code. Every wrong guess counts, and the fifth ends the code.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify(
        &self,
        of: &EmailAddress,
        guess: &Sensitive,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        // Counted before it is compared: parallel guesses cannot pass the limit together.
        let kept: Option<String> = sqlx::query_scalar(
            "update verification_codes set attempts = attempts + 1
             where address = $1 and expires_at > $2 and attempts < $3 returning digest",
        )
        .bind(self.address(of))
        .bind(now)
        .bind(ATTEMPTS)
        .fetch_optional(&self.pool)
        .await?;
        Ok(kept.is_some_and(|kept| same(&kept, &self.digest(of, guess))))
    }

    /// Forgets the address's code: it was used, or could not be sent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget(&self, of: &EmailAddress) -> sqlx::Result<()> {
        sqlx::query("delete from verification_codes where address = $1")
            .bind(self.address(of))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn wait(&self, of: &EmailAddress, now: DateTime<Utc>) -> sqlx::Result<Duration> {
        let sent: Option<DateTime<Utc>> =
            sqlx::query_scalar("select sent_at from verification_codes where address = $1")
                .bind(self.address(of))
                .fetch_optional(&self.pool)
                .await?;
        let since = sent.map_or(TimeDelta::zero(), |sent| now - sent).to_std().unwrap_or_default();
        Ok(RETRY_AFTER.saturating_sub(since))
    }

    async fn sweep(&self, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query("delete from verification_codes where expires_at < $1")
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    fn address(&self, of: &EmailAddress) -> String {
        self.keys.lookup_hash("code address", of.as_str())
    }

    fn digest(&self, of: &EmailAddress, code: &Sensitive) -> String {
        self.keys.lookup_hash("code", &format!("{of}\0{}", code.expose()))
    }
}
