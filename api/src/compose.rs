//! Puts annals together: database, log, read models, people, runs.

use crate::{
    app::{App, Inner},
    config::Config,
    core::access::Access,
    datasource_search,
    desk::desk,
    feed::LogFeed,
    file_index::Files,
    first_start,
    library::Library,
    mcp::Mcp,
    models::Models,
    queues,
    skill_book::{self, SkillBooks},
    skill_shelf::SkillShelf,
    surroundings::{Backed, endpoint_of},
    tool_sources, undertaker,
};
use anyhow::{Context, Result};
use commands::{
    agents::tasks::Tasks,
    connections::Connections,
    effects::{
        fetch::{Fetcher, Reach},
        keys::{Keys, MasterKey},
        model::{
            offline::Offline,
            openai::{Limits, OpenAi},
        },
        passwords::Passwords,
        tools::{Toolbox, Tools, load_skill::LoadSkill},
        vault::Vault,
    },
    fans::Fans,
    identity::Identity,
    invites::Invites,
    jobs::Jobs,
    links::Links,
    llm_providers::Providers,
    log::{
        EventLog,
        eventstore::EventStoreLog,
        postgres::{PostgresLog, Settings},
    },
    mcp::McpServers,
    nodes::{self, Nodes},
    oauth2::OAuth2,
    posts::Posts,
    publish::{BrokerUrl, Publisher},
    reactors::{queue, reply::Reply},
    skill_learning::SkillLearning,
    skills::Skills,
    usage::Usage,
    versions::Releases,
    workspaces::Workspaces,
};
use domain::ids::NodeId;
use projections::{Projection, Projections};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

/// Connections for reads and read models; the log's writer has its own.
const CONNECTIONS: u32 = 24;
/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How long runs may take to get what was said into the log when the server goes down.
const DRAIN: Duration = Duration::from_secs(10);

/// Every read model, in the order in which they are listed.
pub fn read_models() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(projections::users::Users),
        Arc::new(projections::invites::Invites),
        Arc::new(projections::jobs::Jobs),
        Arc::new(projections::items::Items),
        Arc::new(projections::posts::Posts),
        Arc::new(projections::logins::Logins),
        Arc::new(projections::user_configs::UserConfigs),
        Arc::new(projections::usage::Usage),
        Arc::new(projections::usage_days::UsageDays),
        Arc::new(projections::agents::Agents),
        Arc::new(projections::agent_tasks::AgentTasks),
        Arc::new(projections::llm_providers::LlmProviders),
        Arc::new(projections::conversations::Conversations),
        Arc::new(projections::knowledge_bases::KnowledgeBases),
        Arc::new(projections::documents::Documents),
        Arc::new(projections::passages::Passages),
        Arc::new(projections::meanings::Meanings),
        Arc::new(projections::skills::Skills),
        Arc::new(projections::workspace_files::WorkspaceFiles),
        Arc::new(projections::todo_items::TodoItems),
        Arc::new(projections::mcp_servers::McpServers),
        Arc::new(projections::versions::Versions),
        Arc::new(projections::uploads::Uploads),
        Arc::new(projections::profiles::Profiles),
        Arc::new(projections::fans::Fans),
        Arc::new(projections::apps::Apps),
        Arc::new(projections::app_runs::AppRuns),
    ]
}

/// The database and what lies in it: all a subcommand needs.
pub struct Store {
    /// The read models' tables.
    pub db: PgPool,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// People.
    pub identity: Identity,
    /// The secret store.
    pub vault: Vault,
    /// Whether the log lies in this database, with the chain that proves it.
    pub chained: bool,
    server: Option<embedded::Server>,
}

/// Whether the data folder's database is ours alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// A server: owns the embedded database.
    Owner,
    /// A subcommand: uses the running server's database, or starts it for its own time.
    Guest,
}

impl Store {
    /// Opens the database, starting the embedded one if none is configured, and brings it up to date.
    ///
    /// # Errors
    /// With what a person can do about it.
    pub async fn open(config: &Config, tenancy: Tenancy) -> Result<Self> {
        let (server, url) = match &config.database_url {
            Some(url) => (None, url.expose().to_owned()),
            None => {
                let mut options = embedded::Options::new(&config.data);
                options.progress = Some(|line| eprintln!("{line}"));
                let server = match tenancy {
                    Tenancy::Owner => embedded::start(options).await?,
                    Tenancy::Guest => embedded::attach_or_start(options).await?,
                };
                let url = server.url().to_owned();
                (Some(server), url)
            }
        };
        match Self::connect(config, &url).await {
            Ok((db, log, identity, vault)) => {
                let chained = config.eventstore_url.is_none();
                Ok(Self { db, log, identity, vault, chained, server })
            }
            Err(error) => {
                if let Some(server) = server
                    && let Err(error) = server.stop().await
                {
                    tracing::warn!(%error, "the embedded database did not stop");
                }
                Err(error)
            }
        }
    }

    async fn connect(
        config: &Config,
        url: &str,
    ) -> Result<(PgPool, Arc<dyn EventLog>, Identity, Vault)> {
        let db = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .connect(url)
            .await
            .context("the database does not answer (DATABASE_URL)")?;
        migrations::bring_up_to_date(&db).await?;
        let keys = Arc::new(Keys::derive(&master_key(config)?));
        keys.confirm(&db).await?;
        let log: Arc<dyn EventLog> = match &config.eventstore_url {
            Some(url) => EventStoreLog::open(url).context("EVENTSTORE_URL")?,
            None => PostgresLog::open(db.clone(), Settings::default()).await?,
        };
        let vault = Vault::new(db.clone(), &keys);
        let identity = Identity::new(log.clone(), vault.clone(), Passwords::new()?, keys);
        Ok((db, log, identity, vault))
    }

    /// Lets go of the database; stops the embedded one if it was started here.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn close(self) -> Result<()> {
        drop((self.log, self.identity, self.vault));
        self.db.close().await;
        if let Some(server) = self.server {
            server.stop().await?;
        }
        Ok(())
    }
}

/// The master key of this configuration; made in the data folder where none is named.
pub(crate) fn master_key(config: &Config) -> Result<MasterKey> {
    Ok(match (&config.master_key, &config.master_key_file) {
        (Some(key), _) => MasterKey::parse(key.expose(), "ANNALS_MASTER_KEY")?,
        (None, Some(path)) => MasterKey::read(path)?,
        (None, None) => MasterKey::of_folder(&config.data)?,
    })
}

/// A running node: everything but the HTTP listener.
pub struct Node {
    /// What handlers reach.
    pub app: App,
    nodes: Arc<Nodes>,
    store: Store,
    background: Vec<AbortOnDropHandle<()>>,
    queues: AbortOnDropHandle<()>,
}

impl Node {
    /// Starts read models, run engine and heartbeat, and makes sure that somebody administers.
    ///
    /// # Errors
    /// With what a person can do about it.
    pub async fn start(config: Config) -> Result<Self> {
        Self::with_tools(config, vec![]).await
    }

    /// As [`Node::start`], with tools from further places.
    ///
    /// # Errors
    /// With what a person can do about it.
    pub async fn with_tools(config: Config, more: Vec<Arc<dyn Tools>>) -> Result<Self> {
        let store = Store::open(&config, Tenancy::Owner).await?;
        let node = NodeId(Uuid::now_v7());
        let alone = store.server.is_some();
        let nodes = Arc::new(Nodes::register(store.db.clone(), node, alone).await?);
        let feed = Arc::new(LogFeed(store.log.clone()));
        let projections = Projections::start(store.db.clone(), feed, read_models())?;
        let library = Library::open(&config)?;
        let openai = Arc::new(OpenAi::default());
        let providers = Providers::new(store.log.clone(), store.vault.clone());
        let endpoint = Backed::endpoint(&config);
        let models = Models::new(&config, store.db.clone(), providers.clone(), endpoint.clone());
        let reach = if config.allow_private_urls { Reach::Anywhere } else { Reach::Public };
        let mcp = Mcp::new(
            McpServers::new(store.log.clone(), store.vault.clone()),
            store.log.clone(),
            store.db.clone(),
            projections.clone(),
            config.allow_private_urls,
        );
        let usage = Usage::new(store.log.clone(), config.tier_limits.clone());
        let jobs = Jobs::new(store.log.clone(), usage.clone());
        let skill_book = Arc::new(SkillBooks::open(config.genie_skills.clone()));
        let taxonomy = Arc::default();
        let flows = config.genie_flows.as_deref();
        let surroundings = Arc::new(Backed {
            desk: desk(&store, &projections, flows, (&skill_book, &jobs, &taxonomy))?,
            hosted: config.genie_admin_llm.as_ref().map(endpoint_of),
            log: store.log.clone(),
            db: store.db.clone(),
            projections: projections.clone(),
            nodes: nodes.clone(),
            vault: store.vault.clone(),
            library: library.clone(),
            offline: Arc::new(Offline { pace: config.offline_pace }),
            guarded: match config.allow_private_urls {
                true => openai.clone(),
                false => Arc::new(OpenAi::guarded(Limits::default())),
            },
            openai,
            endpoint,
            models: models.clone(),
            workshop: datasource_search::workshop(reach, &library, &store.db, &store.vault),
            mcp: mcp.clone(),
        });
        let skills = Skills::new(store.log.clone(), library.blobs.clone(), Fetcher::new(reach));
        let shelf = Arc::new(SkillShelf(store.db.clone()));
        let index = Files {
            log: store.log.clone(),
            db: store.db.clone(),
            projections: projections.clone(),
        };
        let workspaces = Workspaces::new(store.log.clone(), library.blobs.clone(), Arc::new(index));
        let mut sources = tool_sources::builtin(&config, &store, &workspaces, &library);
        sources.push(Arc::new(LoadSkill::new(skills.clone(), shelf, workspaces.clone())));
        sources.push(Arc::new(mcp.tools()));
        let tools = Toolbox::new(sources);
        let tools: Arc<dyn Tools> = Arc::new(tools.with(more));
        let reply = Reply::new(store.log.clone(), node, surroundings, tools.clone());
        let publisher = config.nats_url.as_ref().map(|url| {
            let broker = BrokerUrl(url.expose().to_owned());
            Publisher::start(store.log.clone(), store.db.clone(), broker)
        });
        let app = App::new(Inner {
            log: store.log.clone(),
            db: store.db.clone(),
            projections,
            reply: reply.clone(),
            access: Access::new(store.db.clone(), store.identity.keys(), config.mail.clone()),
            usage: usage.clone(),
            oauth2: OAuth2::new(
                config.oauth2_clients.clone(),
                store.log.clone(),
                store.identity.clone(),
            ),
            skill_book,
            skill_learning: SkillLearning::new(store.log.clone()),
            taxonomy,
            invites: Invites::new(store.log.clone(), store.identity.clone()),
            posts: Posts::new(store.log.clone(), usage, jobs.clone()),
            jobs,
            fans: Fans::new(store.log.clone(), store.identity.keys().clone()),
            connections: Connections::new(
                store.log.clone(),
                store.vault.clone(),
                store.identity.keys().clone(),
                config.credentials_key.clone(),
            ),
            identity: store.identity.clone(),
            vault: store.vault.clone(),
            providers,
            models,
            tasks: Tasks::new(store.log.clone(), node),
            library: library.clone(),
            mcp,
            skills,
            workspaces,
            links: Links::new(reach),
            releases: Releases::new(&config.releases_url, reach),
            tools,
            publisher,
            metrics: Arc::default(),
            node,
            draining: CancellationToken::new(),
            config,
        });
        first_start::bootstrap(&app).await?;
        let head = store.log.head().await?;
        app.caught_up("conversations", Some(head)).await;
        app.caught_up("documents", Some(head)).await;
        let background = vec![
            spawn(reply.clone().listen(head)),
            spawn(library.ingest(app.clone(), nodes.clone(), head)),
            spawn(undertaker::watch(app.clone(), nodes.clone())),
            spawn(queues::publish(app.clone(), head)),
            spawn(skill_book::watch(app.clone(), head)),
            spawn(async move {
                loop {
                    if let Err(unavailable) = reply.take_over_orphans().await {
                        tracing::warn!(%unavailable, "heartbeat failed");
                    }
                    tokio::time::sleep(nodes::BEAT).await;
                }
            }),
        ];
        let queues = spawn(queues::work(app.clone()));
        Ok(Self { app, nodes, store, background, queues })
    }

    /// Goes down so that nothing is lost: runs are let go, streams end resumably, read models stop at a transaction's
    /// border, the lease is given back, the embedded database stops.
    ///
    /// # Errors
    /// When the database does not stop.
    pub async fn stop(self) -> Result<()> {
        let Self { app, nodes, store, background, queues } = self;
        drop(background);
        // Jobs that are going on may end.
        if tokio::time::timeout(queue::GRACE + DRAIN, queues).await.is_err() {
            tracing::warn!("the queues did not stop in time");
        }
        if let Some(publisher) = &app.publisher {
            publisher.shutdown().await;
        }
        app.projections.shutdown().await;
        if let Err(error) = nodes.leave().await {
            tracing::warn!(%error, "the lease could not be given back");
        }
        drop((app, nodes));
        store.close().await
    }

    /// First half of going down, while HTTP still serves: no new runs, what was said is recorded, streams end.
    pub async fn drain(&self) {
        self.app.reply.drain(DRAIN).await;
        self.app.draining.cancel();
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}
