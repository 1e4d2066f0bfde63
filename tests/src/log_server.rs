//! `annals log` as a process of its own: the log that other annals keep theirs in, over the EventStoreDB protocol.

use crate::{
    database::Database,
    process::{Folder, Server, Setup},
};
use anyhow::Result;
use commands::{
    effects::Sensitive,
    log::{
        EventLog,
        contract::Backend,
        eventstore::EventStoreLog,
        postgres::{self, Verified},
    },
};
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use sqlx::PgPool;
use std::{net::TcpListener, sync::Arc};

/// The password of its operator.
const PASSWORD: &str = "operating-always-operating";

/// A log in a process and a database of its own, at an address that survives the process.
pub struct LogServer {
    setup: Setup,
    server: Option<Server>,
    address: String,
    database: Database,
    _folder: Folder,
}

impl LogServer {
    /// Starts it; `settings` on top of the usual ones.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let (database, folder) = (Database::create().await?, Folder::new("log"));
        // Somebody else may take the port in between; nobody does on a machine that runs tests.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let setup = Setup::on(folder.path(), &database.url());
        let setup = setup.with("ANNALS_EVENTSTORE_LISTEN", &address);
        let setup = setup.with("ANNALS_EVENTSTORE_PASSWORD", PASSWORD);
        let setup = settings.iter().fold(setup, |setup, (name, value)| setup.with(name, value));
        let server = Some(setup.start_log().await?);
        Ok(Self { setup, server, address, database, _folder: folder })
    }

    /// How its operator reaches it, with these options behind the `?`.
    pub fn url(&self, options: &str) -> String {
        format!("esdb://annals:{PASSWORD}@{}?{options}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it has logged this.
    pub fn said(&self, text: &str) -> bool {
        self.server.as_ref().is_some_and(|server| server.said(text))
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Server::kill)
    }

    /// Starts it again at the same address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.server = Some(self.setup.start_log().await?);
        Ok(())
    }

    /// Ends it as SIGTERM does, recomputes the chain of its log, and removes the database.
    ///
    /// # Errors
    /// When it does not end, or the log is not what was written.
    pub async fn finish(mut self) -> Result<Verified> {
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        let db = PgPool::connect(&self.database.url()).await?;
        let verified = postgres::verify(&db, |_, _| ()).await?;
        db.close().await;
        self.database.remove().await?;
        Ok(verified)
    }
}

impl Backend for LogServer {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        let log = EventStoreLog::open(&Sensitive::from(self.url("tls=false")));
        ready(log.expect("a connection string") as Arc<dyn EventLog>).boxed()
    }
}
