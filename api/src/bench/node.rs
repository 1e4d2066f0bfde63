//! A whole node in this process, on a loopback port.

use super::scratch::Scratch;
use crate::{app::App, compose::Node, config::Config, serve};
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Metadata, ids::UserId};
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ADMIN: &str = "bench";

/// A node that serves until it is stopped or dropped.
pub(super) struct Served {
    /// What its handlers reach.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// Somebody with an account.
    pub user: UserId,
    /// The `Authorization` header that acts for them.
    pub authorization: String,
    stop: CancellationToken,
    server: JoinHandle<Result<()>>,
}

impl Served {
    /// Starts on this database; `provider` is the base URL of the chat provider, `None` for the offline one.
    pub async fn start(scratch: &Scratch, provider: Option<String>) -> Result<Self> {
        // Thrown away with the database.
        let key =
            STANDARD.encode([Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat());
        let mut values = vec![
            ("ANNALS_DATA", scratch.data.to_string_lossy().into_owned()),
            ("DATABASE_URL", scratch.url.clone()),
            ("ANNALS_MASTER_KEY", key),
            ("ANNALS_ADMIN_USERNAME", ADMIN.to_owned()),
            ("ANNALS_ADMIN_PASSWORD", Uuid::new_v4().to_string()),
        ];
        if let Some(url) = provider {
            values.push(("ANNALS_LLM_BASE_URL", url));
            values.push(("ANNALS_LLM_MODEL", "paced".to_owned()));
        }
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value));
        let node = Node::start(Config::from_values(values)?).await?;
        let app = node.app.clone();
        let (user, _) = app.identity.named(ADMIN).await?.context("the first user was not made")?;
        let metadata = Metadata::system(Uuid::now_v7());
        let (token, position) = app.identity.issue_api_token(&user, &metadata).await?;
        app.caught_up("users", position).await;
        let authorization = format!("Token {}", token.expose());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve::run(listener, node, stop.clone().cancelled_owned()));
        Ok(Self { app, address, user, authorization, stop, server })
    }

    /// Takes it down as SIGTERM would.
    pub async fn stop(self) -> Result<()> {
        let Self { app, stop, server, .. } = self;
        drop(app);
        stop.cancel();
        server.await?
    }
}
