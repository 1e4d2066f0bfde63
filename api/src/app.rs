//! What every handler can reach.

use crate::{
    config::Config, core::access::Access, library::Library, mcp::Mcp, metrics::Metrics,
    models::Models, skill_book::SkillBooks,
};
use commands::{
    agents,
    apps::Apps,
    chat::{self, Ask, AskError, Begun},
    connections::Connections,
    effects::{blobs::Blob, media::PictureType, tools::Tools, vault::Vault},
    execute::{self, Decided, Failure, Loaded},
    fans::Fans,
    genie_chat::{self, ChatError},
    identity::Identity,
    invites::Invites,
    jobs::Jobs,
    links::Links,
    llm_providers::Providers,
    log::EventLog,
    oauth2::OAuth2,
    posts::Posts,
    profiles,
    publish::Publisher,
    reactors::reply::Reply,
    skill_learning::SkillLearning,
    skills::Skills,
    taxonomy::Taxonomy,
    usage::Usage,
    versions::Releases,
    workspaces::Workspaces,
};
use domain::{
    Decider, Metadata, Position, agent,
    ids::{AgentId, NodeId, RunId, UserId},
    run::Interrupt,
};
use projections::Projections;
use sqlx::PgPool;
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a request waits for a read model before it answers from what it has.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Shared state of the server; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The parts.
pub struct Inner {
    /// Configuration.
    pub config: Config,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The read models' tables.
    pub db: PgPool,
    /// The read models' tasks.
    pub projections: Projections,
    /// Performs runs.
    pub reply: Arc<Reply>,
    /// People.
    pub identity: Identity,
    /// Skills that tasks call for.
    pub skill_book: Arc<SkillBooks>,
    /// What tasks call for together.
    pub skill_learning: SkillLearning,
    /// What was classified before.
    pub taxonomy: Arc<Taxonomy>,
    /// Registering with invitations.
    pub invites: Invites,
    /// Work that waits in queues.
    pub jobs: Jobs,
    /// Posts that wait for their time.
    pub posts: Posts,
    /// Fans of creators.
    pub fans: Fans,
    /// Accounts at platforms and their credentials.
    pub connections: Connections,
    /// What lets people in.
    pub access: Access,
    /// Codes and tokens of OAuth2 clients.
    pub oauth2: OAuth2,
    /// Counts billable work.
    pub usage: Usage,
    /// The secret store.
    pub vault: Vault,
    /// Model providers that people save.
    pub providers: Providers,
    /// Which model answers whom.
    pub models: Models,
    /// What models write in the background.
    pub tasks: agents::tasks::Tasks,
    /// Files and vectors.
    pub library: Library,
    /// Other people's tools.
    pub mcp: Mcp,
    /// Imports, edits and reads skills.
    pub skills: Skills,
    /// Files of people and their agents.
    pub workspaces: Workspaces,
    /// Files from links.
    pub links: Links,
    /// Releases of the desktop client.
    pub releases: Releases,
    /// What models and people may call.
    pub tools: Arc<dyn Tools>,
    /// Publishes the log to a broker; `None` without one.
    pub publisher: Option<Publisher>,
    /// What was counted since the start.
    pub metrics: Arc<Metrics>,
    /// This process.
    pub node: NodeId,
    /// Cancelled when the server goes down: streams end, resumably.
    pub draining: CancellationToken,
}

impl App {
    /// Puts the parts together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Waits until the read model `name` reflects everything up to `position`. On time-out the caller goes on with what is
    /// there: late is better than never, and the lag shows in `/readyz`.
    pub async fn caught_up(&self, name: &str, position: Option<Position>) {
        let Some(position) = position else { return };
        if let Err(lagging) = self.projections.wait_for(name, position, PATIENCE).await {
            tracing::warn!(%lagging, "answered from an old read model");
        }
    }

    /// Waits until the read model `name` reflects everything written before this call, on whatever node.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn settled(&self, name: &str) -> Result<(), crate::core::Error> {
        let head = self.head().await?;
        self.caught_up(name, Some(head)).await;
        Ok(())
    }

    /// Position of the last event there is, on whatever node it was written.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn head(&self) -> Result<Position, crate::core::Error> {
        Ok(self.log.head().await?)
    }
}

/// Commands, as handlers give them.
impl App {
    /// Runs a command on an aggregate.
    ///
    /// # Errors
    /// When the domain refuses or the machine fails.
    pub async fn execute<D: Decider>(
        &self,
        id: &D::Id,
        command: &D::Command,
        metadata: &Metadata,
    ) -> Result<Decided<D>, execute::Error<D::Refusal>> {
        execute::execute::<D>(&*self.log, id, command, metadata).await
    }

    /// An aggregate as it stands in the log.
    ///
    /// # Errors
    /// When the machine fails.
    pub async fn load<D: Decider>(&self, id: &D::Id) -> Result<Loaded<D>, Failure> {
        Loaded::load(&*self.log, id).await
    }

    /// The use cases of apps.
    pub fn apps(&self) -> Apps<'_> {
        Apps::new(&*self.log, &self.vault)
    }

    /// Shows a person with this picture from now on.
    ///
    /// # Errors
    /// As [`profiles::set_avatar`].
    pub async fn set_avatar(
        &self,
        user: &UserId,
        picture: &Blob,
        kind: PictureType,
        metadata: &Metadata,
    ) -> Result<profiles::Avatar, profiles::Error> {
        profiles::set_avatar(&*self.log, user, picture, kind, metadata).await
    }

    /// Creates an agent.
    ///
    /// # Errors
    /// As [`agents::create`].
    pub async fn create_agent(
        &self,
        owner: UserId,
        config: Box<agent::Config>,
        metadata: &Metadata,
    ) -> Result<agents::Created, execute::Error<agent::Refusal>> {
        agents::create(&*self.log, owner, config, metadata).await
    }

    /// Lets an agent work in another way.
    ///
    /// # Errors
    /// As [`agents::reconfigure`].
    pub async fn reconfigure_agent(
        &self,
        id: &AgentId,
        config: Box<agent::Config>,
        metadata: &Metadata,
    ) -> Result<Decided<agent::Agent>, execute::Error<agent::Refusal>> {
        agents::reconfigure(&*self.log, id, config, metadata).await
    }

    /// Begins a run on this node.
    ///
    /// # Errors
    /// As [`chat::ask`].
    pub async fn ask(&self, ask: Ask, metadata: &Metadata) -> Result<Begun, AskError> {
        chat::ask(&*self.log, &self.reply, self.node, ask, metadata).await
    }

    /// Lets the assistant answer a message, on this node.
    ///
    /// # Errors
    /// As [`genie_chat::begin`].
    pub async fn chat(
        &self,
        wish: genie_chat::Wish,
        metadata: &Metadata,
    ) -> Result<RunId, ChatError> {
        genie_chat::begin(&*self.log, &self.reply, self.node, wish, metadata).await
    }

    /// Stops a run.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn interrupt(
        &self,
        run: RunId,
        wish: Interrupt,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        chat::interrupt(&*self.log, run, wish, metadata).await
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
