//! The log over the EventStoreDB protocol: who may use it, beside a whole node and alone.

pub mod owners;
pub mod peers;

use crate::{
    compose::{Store, Tenancy},
    config::{Config, EventStoreListener},
    core::{Error, guesses::Guesses, tokens::Tokens},
    feed::LogFeed,
    serve::stop_signal,
};
use anyhow::{Context, Result};
use chrono::Utc;
use commands::{
    effects::Sensitive,
    identity::{self, Identity},
    log::EventLog,
};
use domain::{
    ids::UserId,
    user::{Role, Status},
};
use esdb::{Credentials, Denied, Door, Endpoint, Right};
use futures::{FutureExt, future::BoxFuture};
use owners::Leases;
use peers::Roster;
use projections::{
    Projections, logins,
    users::{self, Person},
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    fs,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The operator who is in no log, so that a log that is kept for others holds nothing but theirs.
const KEEPER: &str = "annals";
/// Credentials remembered as good.
const REMEMBERED: usize = 1_000;

/// Knows people by password, API token and access token.
pub struct People {
    db: PgPool,
    identity: Identity,
    tokens: Tokens,
    guesses: Guesses,
    /// Clients send their password with every call, and checking one is slow on purpose: digests, salted for this process, of
    /// what was right, with whose it was and how often they had set their password.
    good: Mutex<HashMap<String, (UserId, u32)>>,
    salt: Sensitive,
    /// Digest of what [`KEEPER`] brings, salted the same way.
    keeper: Option<String>,
}

impl People {
    /// The people of this installation.
    pub fn new(db: PgPool, identity: Identity) -> Self {
        let tokens = Tokens::new(identity.keys());
        let (guesses, good, salt) = (Guesses::default(), Mutex::default(), Sensitive::random(16));
        Self { db, identity, tokens, guesses, good, salt, keeper: None }
    }

    /// And the operator [`KEEPER`], if there is a password for them.
    fn with_keeper(mut self, password: Option<&Sensitive>) -> Self {
        self.keeper = password.map(|password| self.digest(KEEPER, password));
        self
    }

    /// What is remembered instead of a password.
    fn digest(&self, name: &str, password: &Sensitive) -> String {
        let salted = format!("{}\0{name}\0{}", self.salt.expose(), password.expose());
        Sensitive::from(salted).digest()
    }

    async fn who(
        &self,
        brought: Credentials,
        from: Option<IpAddr>,
    ) -> Result<(UserId, Role), Denied> {
        match brought {
            Credentials::Basic(name, password) => self.by_password(&name, &password, from).await,
            Credentials::Bearer(token) => self.by_token(&token).await,
        }
    }

    async fn by_password(
        &self,
        name: &str,
        password: &Sensitive,
        from: Option<IpAddr>,
    ) -> Result<(UserId, Role), Denied> {
        let digest = self.digest(name, password);
        if self.keeper.as_ref() == Some(&digest) {
            return Ok((KEEPER.into(), Role::Operator));
        }
        let remembered = self.good().get(&digest).cloned();
        if let Some((user, generation)) = remembered
            && let Some(person) = users::by_id(&self.db, &user).await.map_err(unavailable)?
            && u32::try_from(person.password_generation) == Ok(generation)
        {
            return active(person);
        }
        let throttled = |_: Error| Denied::Throttled;
        let guess = self.guesses.attempt(name, from).await.map_err(throttled)?;
        let who =
            self.identity.authenticate(name, password).await.map_err(|error| match error {
                identity::Error::BadCredentials | identity::Error::Suspended => Denied::Unknown,
                error => unavailable(error),
            })?;
        guess.forgive();
        let mut good = self.good();
        if good.len() >= REMEMBERED {
            good.clear();
        }
        good.insert(digest, (who.user.clone(), who.account.generation));
        Ok((who.user, who.role))
    }

    /// API tokens and access tokens look different, so each is only one of them.
    async fn by_token(&self, token: &Sensitive) -> Result<(UserId, Role), Denied> {
        let by_token = users::by_api_token(&self.db, &token.digest()).await;
        if let Some(person) = by_token.map_err(unavailable)? {
            return active(person);
        }
        let now = Utc::now();
        let ticket = self.tokens.read(token.expose(), now).map_err(|_| Denied::Unknown)?;
        match logins::session(&self.db, ticket.sid).await.map_err(unavailable)? {
            Some(session) if session.open && session.expires_at > now => active(session.person),
            _ => Err(Denied::Unknown),
        }
    }

    fn good(&self) -> std::sync::MutexGuard<'_, HashMap<String, (UserId, u32)>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door for People {
    fn admit(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
        right: Right,
    ) -> BoxFuture<'_, Result<UserId, Denied>> {
        let admitted = async move {
            let (user, role) = self.who(credentials, from).await?;
            let may = match right {
                Right::Read => matches!(role, Role::Administrator | Role::Operator),
                Right::Append => role == Role::Operator,
            };
            if may { Ok(user) } else { Err(Denied::Forbidden) }
        };
        admitted.boxed()
    }
}

fn active(person: Person) -> Result<(UserId, Role), Denied> {
    match person.status {
        Status::Active => Ok((person.id, person.role)),
        Status::Suspended => Err(Denied::Unknown),
    }
}

fn unavailable(error: impl std::fmt::Display) -> Denied {
    tracing::warn!(%error, "credentials could not be checked");
    Denied::Unavailable
}

/// Serves `log` until `draining`. Nobody appends to the categories in `closed`.
///
/// # Errors
/// When nothing can listen there, or the certificate cannot be read.
pub async fn listen(
    listener: &EventStoreListener,
    log: Arc<dyn EventLog>,
    people: People,
    closed: &'static [&'static str],
    node: Uuid,
    draining: CancellationToken,
) -> Result<JoinHandle<()>> {
    let EventStoreListener { address, advertised, tls, password } = listener;
    let people = people.with_keeper(password.as_ref());
    let identity = match tls {
        Some((certificate, key)) => {
            let read = |path: &PathBuf| {
                fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
            };
            Some(esdb::Identity { certificate: read(certificate)?, key: read(key)? })
        }
        None => None,
    };
    if identity.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "the log is served without TLS: passwords can be read on the way");
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (ANNALS_EVENTSTORE_LISTEN)"))?;
    let (address, advertised) = (listener.local_addr()?, advertised.clone());
    eprintln!("annals is serving its log on esdb://{address}");
    let owners = Leases::new(people.db.clone(), node).advertising(advertised.clone());
    let reached = advertised.clone().or_else(|| address.try_into().ok());
    let peers = Roster::join(people.db.clone(), node, reached, draining.clone()).await;
    let (door, owners, peers) = (Arc::new(people), Arc::new(owners), Arc::new(peers));
    let endpoint =
        Endpoint { log, door, owners, closed, node, advertised, peers, identity, draining };
    Ok(tokio::spawn(async move {
        if let Err(error) = esdb::serve(listener, endpoint).await {
            tracing::error!(%error, "the log is not served any more");
        }
    }))
}

/// Serves the log alone, for annals elsewhere to keep theirs in: no read models but those that tell who calls, no runs.
///
/// # Errors
/// With what a person can do about it.
pub async fn serve_alone(config: Config) -> Result<()> {
    let listener = config.eventstore.clone();
    let listener =
        listener.context("ANNALS_EVENTSTORE_LISTEN has to say where to serve the log")?;
    let stopped = stop_signal()?;
    let store = Store::open(&config, Tenancy::Owner).await?;
    let feed = Arc::new(LogFeed(store.log.clone()));
    let needed: Vec<Arc<dyn projections::Projection>> =
        vec![Arc::new(users::Users), Arc::new(logins::Logins)];
    let read_models = Projections::start(store.db.clone(), feed, needed)?;
    let draining = CancellationToken::new();
    let people = People::new(store.db.clone(), store.identity.clone());
    let node = Uuid::now_v7();
    let served = listen(&listener, store.log.clone(), people, &[], node, draining.clone()).await?;
    stopped.await;
    draining.cancel();
    served.await?;
    read_models.shutdown().await;
    store.close().await
}
