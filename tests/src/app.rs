//! annals in this process: a node with its listener on a free loopback port and a database of its own.

use crate::database::Database;
use anyhow::Result;
use api::{app::App, compose::Node, config::Config, serve};
use commands::{
    effects::{Sensitive, tools::Tools},
    identity::{Registration, mint_user_id},
};
use domain::{
    Metadata, Position,
    ids::UserId,
    user::{Role, Username},
};
use reqwest::{Client, Method, RequestBuilder};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long the read models may take; far more than they need.
const PATIENCE: Duration = Duration::from_secs(20);
/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery";
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A running node. [`TestApp::stop`] takes it down in order.
pub struct TestApp {
    /// `http://127.0.0.1:port`.
    pub base_url: String,
    /// What its handlers reach.
    pub app: App,
    database: Option<Database>,
    data: PathBuf,
    stop: CancellationToken,
    server: JoinHandle<Result<()>>,
}

impl TestApp {
    /// A node on a fresh database, with nothing configured: the offline provider answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// A node on a fresh database with these settings, for example `ANNALS_LLM_BASE_URL`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let database = Database::create().await?;
        let url = database.url();
        let app = Self::on(&url, settings).await?;
        Ok(Self { database: Some(database), ..app })
    }

    /// One more node on this database.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn on(database_url: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::on_with(database_url, settings, vec![]).await
    }

    /// A node on a fresh database with these settings, whose models may call these tools, too.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn with_tools(settings: &[(&str, &str)], tools: Vec<Arc<dyn Tools>>) -> Result<Self> {
        let database = Database::create().await?;
        let app = Self::on_with(&database.url(), settings, tools).await?;
        Ok(Self { database: Some(database), ..app })
    }

    async fn on_with(
        database_url: &str,
        settings: &[(&str, &str)],
        tools: Vec<Arc<dyn Tools>>,
    ) -> Result<Self> {
        let data = std::env::temp_dir().join(format!("annals-test-{}", Uuid::new_v4().simple()));
        let folder = data.to_string_lossy().into_owned();
        let mut values = BTreeMap::from([
            ("ANNALS_DATA", folder.as_str()),
            ("DATABASE_URL", database_url),
            ("ANNALS_MASTER_KEY", MASTER_KEY),
            ("ANNALS_ADMIN_PASSWORD", PASSWORD),
        ]);
        values.extend(settings.iter().copied());
        let pairs = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let node = Node::with_tools(Config::from_values(pairs)?, tools).await?;
        let app = node.app.clone();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve::run(listener, node, stop.clone().cancelled_owned()));
        Ok(Self { base_url, app, database: None, data, stop, server })
    }

    /// Where its database is, for another node or for statements.
    pub fn database_url(&self) -> String {
        let url = self.app.config.database_url.as_ref();
        url.map(|url| url.expose().to_owned()).unwrap_or_default()
    }

    /// Somebody new with the password [`PASSWORD`], and a client that calls as them.
    ///
    /// # Errors
    /// When the name is taken or the log does not answer.
    pub async fn user(&self, name: &str, role: Role) -> Result<Person> {
        let metadata = Metadata::system(Uuid::now_v7());
        let wanted = Registration {
            user: mint_user_id(),
            username: Username::parse(name, None)?,
            password: Sensitive::from(PASSWORD.to_owned()),
            email: None,
            phone: None,
            role,
        };
        let user = self.app.identity.register(wanted, &metadata).await?.user;
        let (token, _) = self.app.identity.issue_api_token(&user, &metadata).await?;
        self.settled().await?;
        let authorization = format!("Token {}", token.expose());
        Ok(Person { user, authorization, base_url: self.base_url.clone(), client: client()? })
    }

    /// A client that calls as nobody.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn nobody(&self) -> Result<Person> {
        let (user, authorization) = (UserId::anonymous(), String::new());
        Ok(Person { user, authorization, base_url: self.base_url.clone(), client: client()? })
    }

    /// Waits until all read models reflect everything written so far, and says up to where.
    ///
    /// # Errors
    /// When they do not get there.
    pub async fn settled(&self) -> Result<Position> {
        let head = self.app.log.head().await?;
        self.app.projections.wait_for_all(head, PATIENCE).await?;
        Ok(head)
    }

    /// Takes the node down as SIGTERM would, and removes its database if it was made for it.
    ///
    /// # Errors
    /// When it does not go down cleanly.
    pub async fn stop(self) -> Result<()> {
        let Self { app, database, data, stop, server, .. } = self;
        drop(app);
        stop.cancel();
        server.await??;
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        match database {
            Some(database) => database.remove().await,
            None => Ok(()),
        }
    }
}

/// Somebody with a client that calls as them.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// The `Authorization` header; empty for nobody.
    pub authorization: String,
    base_url: String,
    client: Client,
}

impl Person {
    /// A request as this person; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base_url));
        match self.authorization.as_str() {
            "" => request,
            value => request.header("authorization", value),
        }
    }

    /// A GET as this person.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST as this person.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Whoever this `Authorization` header lets in, at the server with this address.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn calling(base_url: &str, authorization: &str) -> Result<Self> {
        let (authorization, base_url) = (authorization.to_owned(), base_url.to_owned());
        Ok(Self { user: UserId::anonymous(), authorization, base_url, client: client()? })
    }

    /// The same person at another node of the same database.
    #[must_use]
    pub fn at(&self, node: &TestApp) -> Self {
        Self { base_url: node.base_url.clone(), ..self.clone() }
    }
}

fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}
