//! Which model answers whom, and how far it may be away.

use crate::config::Config;
use commands::{
    agents::Writer,
    effects::{
        fetch::Reach,
        model::{
            Endpoint, Model,
            offline::Offline,
            openai::{Limits, OpenAi},
            verify,
        },
        outbound,
    },
    llm_providers::{Opened, Providers},
    reactors::reply::{Choice, Unavailable},
};
use domain::{ids::UserId, run::ChosenProvider};
use projections::{
    llm_providers::{self, Row},
    users,
};
use serde_json::Map;
use sqlx::PgPool;
use std::sync::Arc;

/// Models of this installation and of its people. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    providers: Providers,
    db: PgPool,
    default: Option<Endpoint>,
    clients: Clients,
    verifiers: Clients,
    private_urls: bool,
}

/// The same client twice: for endpoints anywhere, and for public ones only.
#[derive(Clone)]
struct Clients {
    anywhere: Arc<OpenAi>,
    public: Arc<OpenAi>,
}

impl Clients {
    fn new(limits: Limits) -> Self {
        Self {
            anywhere: Arc::new(OpenAi::new(limits.clone())),
            public: Arc::new(OpenAi::guarded(limits)),
        }
    }

    fn of(&self, reach: Reach) -> Arc<OpenAi> {
        match reach {
            Reach::Anywhere => self.anywhere.clone(),
            Reach::Public => self.public.clone(),
        }
    }
}

impl Models {
    /// The models of this configuration; `default` is the operator's endpoint.
    pub fn new(
        config: &Config,
        db: PgPool,
        providers: Providers,
        default: Option<Endpoint>,
    ) -> Self {
        let once = Limits { tries: 1, first_byte: verify::WITHIN, ..Limits::default() };
        Self {
            providers,
            db,
            default,
            clients: Clients::new(Limits::default()),
            verifiers: Clients::new(once),
            private_urls: config.allow_private_urls,
        }
    }

    /// How far URLs of somebody may lead: an administrator's anywhere, because local models are common.
    pub fn reach(&self, admin: bool) -> Reach {
        if admin || self.private_urls { Reach::Anywhere } else { Reach::Public }
    }

    /// A client that calls once and waits no longer than a verification may take.
    ///
    /// # Errors
    /// When this URL may not be called with this reach.
    pub fn verifier(&self, base_url: &str, reach: Reach) -> Result<Arc<OpenAi>, outbound::Refused> {
        allowed(base_url, reach)?;
        Ok(self.verifiers.of(reach))
    }

    /// The model of a saved provider; `model` is another name than the saved one. Who owns the provider, and whether they
    /// administer, is looked up now: a former administrator's local one is not called.
    ///
    /// # Errors
    /// With words for the person who asked, who need not be the owner.
    pub async fn saved(
        &self,
        chosen: &ChosenProvider,
        model: Option<&str>,
    ) -> Result<Choice, Unavailable> {
        let opened = self.providers.open(&chosen.id, &chosen.owner).await.map_err(broken)?;
        let Some(Opened { config, key }) = opened else {
            return Err(Unavailable("the chosen model provider does not exist (any more)".into()));
        };
        let Some(key) = key else {
            return Err(Unavailable("the chosen model provider has lost its key".into()));
        };
        let owner = users::by_id(&self.db, &chosen.owner).await.map_err(broken)?;
        let reach = self.reach(owner.is_some_and(|owner| owner.role.is_admin()));
        allowed(&config.base_url, reach).map_err(|refused| {
            Unavailable(format!("the chosen model provider cannot be called: {refused}").into())
        })?;
        let model = model.map_or(config.model, str::to_owned);
        let endpoint = Endpoint { base_url: config.base_url, api_key: key, model };
        Ok(Choice { model: self.clients.of(reach), endpoint })
    }

    /// The provider that answers somebody's chats when neither request nor agent names one: their default provider, or,
    /// where the operator has none to offer, the first one they saved. `None` leaves it to the operator's model.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn preferred(&self, user: &UserId) -> sqlx::Result<Option<Row>> {
        match &self.default {
            Some(_) => llm_providers::default_of(&self.db, user).await,
            None => llm_providers::default_or_first_of(&self.db, user).await,
        }
    }

    /// The model that works for somebody outside of chats: their default provider or the first one they saved, else the
    /// operator's, else the offline one.
    ///
    /// # Errors
    /// As [`Models::saved`].
    pub async fn writer(&self, user: &UserId) -> Result<Writer, Unavailable> {
        let own = llm_providers::default_or_first_of(&self.db, user).await.map_err(broken)?;
        if let Some(own) = own {
            let choice = self.saved(&chosen(&own), None).await?;
            return Ok(Writer { choice, parameters: own.config.parameters() });
        }
        let choice = match &self.default {
            Some(endpoint) => {
                let (model, endpoint) = (self.clients.of(Reach::Anywhere), endpoint.clone());
                Choice { model, endpoint }
            }
            None => offline(),
        };
        Ok(Writer { choice, parameters: Map::new() })
    }
}

/// The provider in this row, as runs name it.
pub fn chosen(row: &Row) -> ChosenProvider {
    ChosenProvider { id: row.id(), owner: UserId(row.owner.clone()) }
}

fn offline() -> Choice {
    let model: Arc<dyn Model> = Arc::new(Offline::default());
    let endpoint = Endpoint { model: model.name().to_owned(), ..Endpoint::default() };
    Choice { model, endpoint }
}

fn allowed(base_url: &str, reach: Reach) -> Result<(), outbound::Refused> {
    match (outbound::check(base_url), reach) {
        (Err(outbound::Refused::NotPublic), Reach::Anywhere) => Ok(()),
        (checked, _) => checked.map(drop),
    }
}

/// The person who asked reads the reason, so it says nothing of the machine.
fn broken(error: impl std::fmt::Display) -> Unavailable {
    tracing::warn!(%error, "a model cannot be chosen");
    Unavailable("a part of the server does not answer".into())
}
