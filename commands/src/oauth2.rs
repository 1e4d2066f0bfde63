//! The OAuth2 authorization server's use cases: codes, tokens, and what they let a client see.
//!
//! Codes and tokens name their grant, so that everything is decided on one stream of the log, read at its two ends.
//! Nothing is kept in memory: restarts and other nodes find what was issued, and what was revoked.

pub mod clients;
mod error;
mod text;

pub use error::{Error, Result};

use crate::{
    effects::Sensitive,
    execute::{self, Loaded},
    identity::{self, Identity},
    log::EventLog,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use clients::{Client, Clients};
use domain::{
    Metadata,
    grant::{self, Event, Flaw, Grant, Scope, Terms, Token, Tokens},
    ids::{ClientId, GrantId, UserId},
    user::{Role, Status},
};
use error::{UNKNOWN, refused, said_of};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use text::{Handle, Kind};
use uuid::Uuid;

/// How long a code waits for its exchange.
pub const CODE_LIFE: TimeDelta = TimeDelta::seconds(300);
/// How long an access token works.
pub const ACCESS_LIFE: TimeDelta = TimeDelta::hours(1);
/// How long a refresh token works. Each refresh gives a new one, so that a client in use never has to ask the person again.
pub const REFRESH_LIFE: TimeDelta = TimeDelta::days(30);

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct OAuth2 {
    /// Who may ask for codes and tokens.
    pub clients: Clients,
    log: Arc<dyn EventLog>,
    identity: Identity,
}

/// What a person agrees to.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Who may act.
    pub client: ClientId,
    /// For whom.
    pub user: UserId,
    /// What the client may see.
    pub scope: Scope,
    /// Where the code is sent.
    pub redirect_uri: String,
    /// Whether the client named that place itself.
    pub redirect_named: bool,
    /// The challenge as the method `S256` has it; see [`challenge_of`].
    pub challenge: Option<String>,
}

/// A code on its way back.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// The code.
    pub code: &'a str,
    /// Who brings it.
    pub client: &'a Client,
    /// Where the client says it was sent.
    pub redirect_uri: Option<&'a str>,
    /// What proves that the client is the one that asked.
    pub verifier: Option<&'a str>,
}

/// Tokens as they are handed out, once.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access: Sensitive,
    /// The refresh token, for clients that may refresh.
    pub refresh: Option<Sensitive>,
    /// What the access token lets the client see.
    pub scope: Scope,
}

/// The person behind a token.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Who.
    pub user: UserId,
    /// The name to show.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// Where to reach them.
    pub email: Option<String>,
}

/// A token that counts.
#[derive(Debug, Clone)]
pub struct Active {
    /// Whose.
    pub subject: Subject,
    /// Which client has it.
    pub client: ClientId,
    /// What it lets the client see.
    pub scope: Scope,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether it is an access token; a refresh token otherwise.
    pub access: bool,
}

/// The challenge that belongs to a verifier: its SHA-256, base64url. Challenges of the method `plain` are verifiers, and
/// are kept as this as well.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

impl OAuth2 {
    /// The use cases for these clients.
    pub fn new(clients: Clients, log: Arc<dyn EventLog>, identity: Identity) -> Self {
        Self { clients, log, identity }
    }

    /// Gives a client a code for somebody who is logged in and agrees.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn issue(
        &self,
        agreement: Agreement,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Sensitive> {
        let grant = GrantId(Uuid::now_v7());
        let code = text::mint(self.identity.keys(), Handle { kind: Kind::Code, grant, serial: 0 });
        let generation = match self.identity.account(&agreement.user).await {
            Ok(account) => Some(account.generation),
            Err(identity::Error::UnknownUser) => None,
            Err(error) => return Err(error.into()),
        };
        let terms = Terms {
            client: agreement.client,
            user: agreement.user,
            generation,
            scope: agreement.scope,
            redirect_uri: agreement.redirect_uri,
            redirect_named: agreement.redirect_named,
            challenge: agreement.challenge,
            code: code.digest(),
            expires_at: now + CODE_LIFE,
        };
        let issue = grant::Command::Issue(Box::new(terms));
        execute::execute::<Grant>(&*self.log, &grant, &issue, metadata).await.map_err(refused)?;
        Ok(code)
    }

    /// Takes a code for tokens. Of several that bring the same code one gets tokens, and the others end them.
    ///
    /// # Errors
    /// [`Error::Worthless`] or [`Error::VerifierMissing`], after which the code is burnt; a failure of the log, after
    /// which it may be.
    pub async fn exchange(
        &self,
        presented: Presented<'_>,
        now: DateTime<Utc>,
        metadata: impl Fn(UserId) -> Metadata,
    ) -> Result<Issued> {
        let handle = self.read(Kind::Code, presented.code)?;
        let mut grant = self.load(handle.grant).await?;
        let terms = grant.state().terms().cloned().ok_or(UNKNOWN)?;
        let code = digest(presented.code);
        let next = Handle { serial: 1, ..handle };
        let (access, access_kept) = self.mint(Kind::Access, next, now + ACCESS_LIFE);
        let may_refresh = presented.client.may_refresh;
        let refresh = may_refresh.then(|| self.mint(Kind::Refresh, next, now + REFRESH_LIFE));
        let (refresh, refresh_kept) = refresh.unzip();
        let command = match self.subject(&terms).await? {
            None => grant::Command::Burn(code, Flaw::PersonChanged),
            Some(_) => grant::Command::Exchange(grant::Exchange {
                code,
                client: presented.client.id.clone(),
                redirect_uri: presented.redirect_uri.map(str::to_owned),
                challenge: presented.verifier.map(challenge_of),
                now,
                access: access_kept,
                refresh: refresh_kept,
            }),
        };
        let news = grant.execute(&*self.log, &command, &metadata(terms.user)).await;
        match news.map_err(refused)?.events.pop() {
            Some(Event::CodeExchanged(tokens)) => {
                Ok(Issued { access, refresh, scope: tokens.scope })
            }
            Some(Event::CodeBurnt { flaw: Flaw::VerifierMissing }) => Err(Error::VerifierMissing),
            Some(Event::CodeBurnt { flaw }) => Err(Error::Worthless(said_of(flaw))),
            _ => Err(Error::Worthless("the code was used before")),
        }
    }

    /// Burns a code that came from somebody who could not prove which client they are. What is no code is ignored.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn burn(&self, code: &str, metadata: impl Fn(UserId) -> Metadata) -> Result<()> {
        let Ok(handle) = self.read(Kind::Code, code) else { return Ok(()) };
        let mut grant = self.load(handle.grant).await?;
        let Some(user) = grant.state().terms().map(|terms| terms.user.clone()) else {
            return Ok(());
        };
        let burn = grant::Command::Burn(digest(code), Flaw::Unproven);
        match grant.execute(&*self.log, &burn, &metadata(user)).await {
            Ok(_) | Err(execute::Error::Refused(_)) => Ok(()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Takes a refresh token for new tokens. A token that comes a second time ends all tokens of its grant.
    ///
    /// # Errors
    /// [`Error::Worthless`]; [`Error::ScopeTooWide`], after which the token still works; or a failure of the log.
    pub async fn refresh(
        &self,
        token: &str,
        client: &Client,
        scope: Option<Scope>,
        now: DateTime<Utc>,
        metadata: impl Fn(UserId) -> Metadata,
    ) -> Result<Issued> {
        let handle = self.read(Kind::Refresh, token)?;
        let mut grant = self.load(handle.grant).await?;
        let terms = grant.state().terms().cloned().ok_or(UNKNOWN)?;
        if self.subject(&terms).await?.is_none() {
            return Err(Error::Worthless(said_of(Flaw::PersonChanged)));
        }
        let next = Handle { serial: handle.serial.saturating_add(1), ..handle };
        let (access, access_kept) = self.mint(Kind::Access, next, now + ACCESS_LIFE);
        let (refresh, refresh_kept) = self.mint(Kind::Refresh, next, now + REFRESH_LIFE);
        let command = grant::Command::Refresh(grant::Refresh {
            token: digest(token),
            serial: handle.serial,
            client: client.id.clone(),
            scope,
            now,
            access: access_kept,
            next: refresh_kept,
        });
        let news = grant.execute(&*self.log, &command, &metadata(terms.user)).await;
        match news.map_err(refused)?.events.pop() {
            Some(Event::TokensRefreshed(tokens)) => {
                Ok(Issued { access, refresh: Some(refresh), scope: tokens.scope })
            }
            _ => Err(Error::Worthless("refresh_token revoked")),
        }
    }

    /// What an access token stands for, if it counts: neither expired nor revoked, its client still enabled, its person
    /// still active with the same password.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn access(&self, token: &str, now: DateTime<Utc>) -> Result<Option<Active>> {
        self.active(Kind::Access, token, now).await
    }

    /// What a token of either kind stands for, if it counts and is this client's.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn inspect(
        &self,
        token: &str,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<Option<Active>> {
        let mut found = None;
        for kind in [Kind::Access, Kind::Refresh] {
            found = found.or(self.active(kind, token, now).await?);
        }
        Ok(found.filter(|active| active.client == client.id))
    }

    /// Ends the grant of a token of either kind, if it is this client's. Anything else is no token, and needs no end.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn revoke(
        &self,
        token: &str,
        client: &Client,
        metadata: impl Fn(UserId) -> Metadata,
    ) -> Result<()> {
        let kinds = [Kind::Access, Kind::Refresh];
        let Some(handle) = kinds.into_iter().find_map(|kind| self.read(kind, token).ok()) else {
            return Ok(());
        };
        let mut grant = self.load(handle.grant).await?;
        let Some(terms) = grant.state().terms().filter(|terms| terms.client == client.id) else {
            return Ok(());
        };
        let metadata = metadata(terms.user.clone());
        grant.execute(&*self.log, &grant::Command::Revoke, &metadata).await.map_err(refused)?;
        Ok(())
    }

    /// Which client a genuine code or refresh token was issued to, for public clients that do not say who they are.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn bearer_of(&self, code_or_refresh_token: &str) -> Result<Option<&Client>> {
        let kinds = [Kind::Code, Kind::Refresh];
        let handle = kinds.into_iter().find_map(|kind| self.read(kind, code_or_refresh_token).ok());
        let Some(handle) = handle else { return Ok(None) };
        let grant = self.load(handle.grant).await?;
        let terms = grant.state().terms();
        Ok(terms.and_then(|terms| self.clients.enabled(terms.client.as_str())))
    }

    async fn active(&self, kind: Kind, token: &str, now: DateTime<Utc>) -> Result<Option<Active>> {
        let Ok(handle) = self.read(kind, token) else { return Ok(None) };
        let grant = self.load(handle.grant).await?;
        let digest = digest(token);
        let found = match kind {
            Kind::Access => grant.state().access(&digest, now),
            Kind::Refresh => grant.state().refresh(&digest, now),
            Kind::Code => None,
        };
        let Some((terms, tokens)) = found else { return Ok(None) };
        if self.clients.enabled(terms.client.as_str()).is_none() {
            return Ok(None);
        }
        let Some(subject) = self.subject(terms).await? else { return Ok(None) };
        Ok(Some(active(kind, subject, terms, tokens)))
    }

    /// The person, unless their account or password has changed so that nothing counts any more.
    async fn subject(&self, terms: &Terms) -> Result<Option<Subject>> {
        let user = terms.user.clone();
        match self.identity.standing_of(&user).await {
            Ok((account, role, status)) => {
                let same = terms.generation.is_none_or(|then| then == account.generation);
                Ok((same && status == Status::Active).then(|| Subject {
                    user,
                    username: account.username.to_string(),
                    role,
                    email: account.email.as_ref().map(ToString::to_string),
                }))
            }
            // Somebody a trusted proxy vouched for has no account; somebody who had one is gone.
            Err(identity::Error::UnknownUser) => Ok(terms.generation.is_none().then(|| Subject {
                username: user.to_string(),
                user,
                role: Role::Creator,
                email: None,
            })),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, kind: Kind, text: &str) -> Result<Handle> {
        text::read(self.identity.keys(), kind, text).ok_or(UNKNOWN)
    }

    fn mint(&self, kind: Kind, of: Handle, expires_at: DateTime<Utc>) -> (Sensitive, Token) {
        let token = text::mint(self.identity.keys(), Handle { kind, ..of });
        let kept = Token { digest: token.digest(), expires_at };
        (token, kept)
    }

    async fn load(&self, grant: GrantId) -> Result<Loaded<Grant>> {
        Ok(Loaded::load_ends(&*self.log, &grant).await?)
    }
}

fn active(kind: Kind, subject: Subject, terms: &Terms, tokens: &Tokens) -> Active {
    let access = kind == Kind::Access;
    let refresh = tokens.refresh.as_ref().filter(|_| !access);
    Active {
        subject,
        client: terms.client.clone(),
        scope: if access { tokens.scope.clone() } else { terms.scope.clone() },
        issued_at: tokens.issued_at,
        expires_at: refresh.unwrap_or(&tokens.access).expires_at,
        access,
    }
}

fn digest(text: &str) -> String {
    Sensitive::from(text.to_owned()).digest()
}
