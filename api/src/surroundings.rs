//! What the run engine needs, backed by the read models, the secret store and the configuration.

use crate::{
    config::{self, Config},
    library::Library,
    mcp::Mcp,
    models::Models,
    team,
};
use commands::{
    app_runs::Workshop,
    effects::{
        Sensitive,
        model::{Endpoint, Model, Passage, offline::Offline, openai::OpenAi},
        tools::{Place, Tools},
        vault::Vault,
    },
    genie_chat::Desk,
    log::EventLog,
    nodes::Nodes,
    reactors::reply::{Choice, Delegate, Surroundings, Unavailable},
};
use domain::{
    ids::{ConversationId, KnowledgeBaseId, NodeId, RunId, UserId},
    message::Message,
    run::{Memory, Request, Settings},
};
use futures::future::BoxFuture;
use projections::{Projections, conversations, knowledge_bases, retrieval::Hit, users};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};

/// How long a run waits for the read model before it goes on with an older history.
const PATIENCE: Duration = Duration::from_secs(5);

/// Passages looked up for one question.
const PASSAGES: usize = 8;

/// See the module.
pub struct Backed {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The read models' tables.
    pub db: PgPool,
    /// The read models' tasks.
    pub projections: Projections,
    /// Who is alive.
    pub nodes: Arc<Nodes>,
    /// Keys of models named in requests.
    pub vault: Vault,
    /// The search in knowledge bases.
    pub library: Library,
    /// The provider without a network.
    pub offline: Arc<Offline>,
    /// The provider for the default endpoint.
    pub openai: Arc<OpenAi>,
    /// The provider for endpoints named in requests.
    pub guarded: Arc<OpenAi>,
    /// The default endpoint.
    pub endpoint: Option<Endpoint>,
    /// The models of providers that people saved.
    pub models: Models,
    /// What the steps of apps work with.
    pub workshop: Workshop,
    /// Connections to MCP servers.
    pub mcp: Mcp,
    /// What the assistant of chats works with.
    pub desk: Desk,
    /// The model of administrators' chats, where they have one of their own.
    pub hosted: Option<Endpoint>,
}

impl Backed {
    /// The default endpoint of this configuration.
    pub fn endpoint(config: &Config) -> Option<Endpoint> {
        config.llm.as_ref().map(endpoint_of)
    }

    async fn settled(&self) -> Result<(), Unavailable> {
        let head = self.log.head().await.map_err(unavailable)?;
        if let Err(lagging) = self.projections.wait_for("conversations", head, PATIENCE).await {
            tracing::warn!(%lagging, "a run works with an old history");
        }
        Ok(())
    }
}

/// A configured endpoint, as models are called.
pub fn endpoint_of(llm: &config::Endpoint) -> Endpoint {
    Endpoint {
        base_url: llm.base_url.clone(),
        api_key: llm.api_key.clone(),
        model: llm.model.clone(),
    }
}

/// The person who asked reads the reason in the stream, so it says nothing of the machine.
fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    tracing::warn!(%error, "a run cannot get what it needs");
    Unavailable("a part of the server does not answer".into())
}

impl Surroundings for Backed {
    fn history<'a>(
        &'a self,
        conversation: ConversationId,
        run: RunId,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Message>, Unavailable>> {
        Box::pin(async move {
            self.settled().await?;
            conversations::history(&self.db, conversation, run, limit).await.map_err(unavailable)
        })
    }

    fn passages<'a>(
        &'a self,
        owner: &'a UserId,
        bases: &'a [KnowledgeBaseId],
        query: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Passage>, Unavailable>> {
        Box::pin(async move {
            // An agent may name any knowledge base; only the asking person's own are read.
            let own = knowledge_bases::owned_among(&self.db, bases, owner).await;
            let own = own.map_err(unavailable)?;
            let hits = self.library.retrieve(&self.db, &own, query, None, PASSAGES).await;
            let passage = |hit: Hit| Passage {
                title: if hit.heading.is_empty() { hit.title.clone() } else { hit.heading },
                text: hit.text,
                document: hit.title,
            };
            Ok(hits.map_err(unavailable)?.into_iter().map(passage).collect())
        })
    }

    fn model<'a>(&'a self, settings: &'a Settings) -> BoxFuture<'a, Result<Choice, Unavailable>> {
        Box::pin(async move {
            let hosted = settings.chat.as_ref().is_some_and(|chat| chat.hosted);
            if let Some(endpoint) = self.hosted.clone().filter(|_| hosted) {
                return Ok(Choice { model: self.openai.clone(), endpoint });
            }
            if let (None, Some(chosen)) = (&settings.base_url, &settings.provider) {
                return self.models.saved(chosen, settings.model.as_deref()).await;
            }
            let default = self.endpoint.clone().unwrap_or_default();
            let api_key = match (&settings.base_url, settings.api_key) {
                // The default key goes to the default endpoint only.
                (None, None) => default.api_key,
                (Some(_), None) => Sensitive::default(),
                (_, Some(secret)) => {
                    let subject = format!("run-model-{secret}");
                    let key = self.vault.get(&subject, secret).await.map_err(unavailable)?;
                    key.unwrap_or_default()
                }
            };
            let base_url = settings.base_url.clone().unwrap_or(default.base_url);
            let model = settings.model.clone().unwrap_or(default.model);
            if base_url.is_empty() {
                let model: Arc<dyn Model> = self.offline.clone();
                let endpoint = Endpoint { model: model.name().to_owned(), ..Endpoint::default() };
                return Ok(Choice { model, endpoint });
            }
            let named = settings.base_url.is_some();
            let provider = if named { self.guarded.clone() } else { self.openai.clone() };
            Ok(Choice { model: provider, endpoint: Endpoint { base_url, api_key, model } })
        })
    }

    fn place<'a>(
        &'a self,
        request: &'a Request,
        run: RunId,
    ) -> BoxFuture<'a, Result<Place, Unavailable>> {
        Box::pin(async move {
            let Request { owner, conversation, session_id, agent_id, settings, .. } = request;
            let person = users::by_id(&self.db, owner).await.map_err(unavailable)?;
            let bases = &settings.knowledge_bases;
            let knowledge_bases = match bases.is_empty() {
                true => vec![],
                false => knowledge_bases::owned_among(&self.db, bases, owner)
                    .await
                    .map_err(unavailable)?,
            };
            Ok(Place {
                owner: owner.clone(),
                admin: person.is_some_and(|person| person.role.is_admin()),
                agent: agent_id.clone(),
                conversation: Some(*conversation),
                session_id: session_id.clone(),
                run: Some(run),
                knowledge_bases,
                skills: settings.skills.clone(),
            })
        })
    }

    fn team<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<Delegate>, Unavailable>> {
        Box::pin(async move { team::of(&self.db, request).await.map_err(unavailable) })
    }

    fn run_tools<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Tools>>, Unavailable>> {
        Box::pin(async move {
            let Request { owner, settings, .. } = request;
            if settings.mcp_servers.is_empty() {
                return Ok(None);
            }
            let tools = self.mcp.of_run(&self.vault, owner, &settings.mcp_servers).await;
            let tools: Arc<dyn Tools> = Arc::new(tools.map_err(unavailable)?);
            Ok(Some(tools))
        })
    }

    fn remembered<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        Box::pin(async move {
            if request.settings.memory == Memory::Session {
                return Ok(vec![]);
            }
            let Request { owner, conversation, .. } = request;
            let titles = conversations::other_titles(&self.db, owner, *conversation).await;
            titles.map_err(unavailable)
        })
    }

    fn workshop(&self) -> Option<Workshop> {
        Some(self.workshop.clone())
    }

    fn desk(&self) -> Option<Desk> {
        Some(self.desk.clone())
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<(RunId, NodeId)>, Unavailable>> {
        Box::pin(async move {
            let mut others = self.nodes.beat().await.map_err(unavailable)?;
            others.retain(|node| *node != self.nodes.me());
            conversations::orphans(&self.db, &others).await.map_err(unavailable)
        })
    }
}
