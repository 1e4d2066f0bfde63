//! Logins on their way through an upstream provider: begun by a browser, finished once by the same browser. They lie in
//! the database, so they survive restarts and may end on another node than they began on.

use super::{Sensitive, keys::Keys};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use std::sync::Arc;

/// How long somebody may take to log in at the provider.
pub const LIFE: TimeDelta = TimeDelta::minutes(10);

/// The flows of this installation.
#[derive(Debug, Clone)]
pub struct Flows {
    pool: PgPool,
    keys: Arc<Keys>,
}

/// What the callback has to know of the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Which provider.
    pub provider: String,
    /// Where the provider was told to send the browser.
    pub redirect_uri: String,
    /// Where on this site the person wants to go then.
    pub next: String,
}

/// What only this installation can know of a flow; all follows from its state.
#[derive(Debug, Clone)]
pub struct Proofs {
    /// Goes to the provider and comes back.
    pub state: Sensitive,
    /// Has to stand in the ID token.
    pub nonce: Sensitive,
    /// The PKCE verifier.
    pub verifier: Sensitive,
}

impl Flows {
    /// The flows in this database.
    pub fn new(pool: PgPool, keys: Arc<Keys>) -> Self {
        Self { pool, keys }
    }

    /// Begins a flow of the browser that keeps this random secret.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(
        &self,
        browser: &Sensitive,
        flow: &Flow,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Proofs> {
        let state = Sensitive::random(32);
        sqlx::query("delete from upstream_flows where expires_at <= $1")
            .bind(now)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "insert into upstream_flows (state, browser, provider, redirect_uri, next, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(state.digest())
        .bind(browser.digest())
        .bind(&flow.provider)
        .bind(&flow.redirect_uri)
        .bind(&flow.next)
        .bind(now + LIFE)
        .execute(&self.pool)
        .await?;
        Ok(self.proofs(state))
    }

    /// Ends the flow of this state; `None` when there is none, it is over, or another browser began it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn finish(
        &self,
        browser: &Sensitive,
        state: Sensitive,
        provider: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Flow, Proofs)>> {
        let found: Option<(String, String, String)> = sqlx::query_as(
            "delete from upstream_flows
             where state = $1 and browser = $2 and provider = $3 and expires_at > $4
             returning provider, redirect_uri, next",
        )
        .bind(state.digest())
        .bind(browser.digest())
        .bind(provider)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(provider, redirect_uri, next)| {
            (Flow { provider, redirect_uri, next }, self.proofs(state))
        }))
    }

    fn proofs(&self, state: Sensitive) -> Proofs {
        let derived = |purpose| Sensitive::from(self.keys.lookup_hash(purpose, state.expose()));
        Proofs { nonce: derived("upstream nonce"), verifier: derived("upstream pkce"), state }
    }
}
