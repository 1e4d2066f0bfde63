//! Databases of their own for tests.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{PostgresLog, Settings};
use crate::log::{EventLog, contract::Backend};
use anyhow::Context;
use bytes::BytesMut;
use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use uuid::Uuid;

/// A fresh, empty log.
pub(super) struct Fresh {
    pub(super) options: PgConnectOptions,
}

impl Fresh {
    /// In a new database of the shared server.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let options: PgConnectOptions = embedded::testing::server_url().await?.parse()?;
        Self::on(options).await
    }

    /// In a new database of this server.
    pub(super) async fn on(server: PgConnectOptions) -> anyhow::Result<Self> {
        let name = format!("log_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect_with(&server).await?;
        let create = format!("create database {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
        connection.close().await?;
        let fresh = Self { options: server.database(&name) };
        let pool = fresh.pool();
        migrations::MIGRATOR.run(&pool).await?;
        pool.close().await;
        Ok(fresh)
    }

    /// A new pool on it.
    pub(super) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(8).connect_lazy_with(self.options.clone())
    }

    /// One more node on it.
    pub(super) async fn node(&self) -> anyhow::Result<Arc<PostgresLog>> {
        Ok(PostgresLog::open(self.pool(), Settings::default()).await?)
    }

    /// A node that reaches it only through `cutter`, and gives up soon.
    pub(super) async fn node_behind(&self, cutter: &Cutter) -> anyhow::Result<Arc<PostgresLog>> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(cutter.port)
            .ssl_mode(PgSslMode::Disable)
            .username(self.options.get_username())
            .database(self.options.get_database().unwrap_or_default());
        let pool = PgPoolOptions::new().connect_lazy_with(options);
        let settings = Settings { patience: Duration::from_secs(2), ..Settings::default() };
        Ok(PostgresLog::open(pool, settings).await?)
    }
}

impl Backend for Fresh {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        async {
            let log: Arc<dyn EventLog> = self.node().await.unwrap();
            log
        }
        .boxed()
    }
}

/// A way to the database that can be cut.
pub(super) struct Cutter {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: PathBuf,
    armed: AtomicBool,
    cuts: AtomicU64,
    open: watch::Sender<bool>,
}

impl Cutter {
    /// In front of the server of `options`, which is reached over its unix socket.
    pub(super) async fn before(options: &PgConnectOptions) -> anyhow::Result<Self> {
        let folder = options.get_socket().context("no unix socket")?;
        let upstream = folder.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (armed, cuts) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { upstream, armed, cuts, open: watch::Sender::new(true) });
        tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { port, shared })
    }

    /// The next batch is committed, and its answer never arrives.
    pub(super) fn cut_next_answer(&self) {
        self.shared.armed.store(true, SeqCst);
    }

    /// How often that has happened.
    pub(super) fn cuts(&self) -> u64 {
        self.shared.cuts.load(SeqCst)
    }

    /// Cuts all connections and lets no new one through.
    pub(super) fn close(&self) {
        self.shared.open.send_replace(false);
    }

    /// Lets them through again.
    pub(super) fn open(&self) {
        self.shared.open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if *shared.open.borrow() {
            tokio::spawn(relay(client, shared.clone()));
        }
    }
}

async fn relay(mut client: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut server = UnixStream::connect(&shared.upstream).await?;
    let mut open = shared.open.subscribe();
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    let mut doomed = false;
    loop {
        // Room for a whole message, so that none is looked at in pieces.
        up.reserve(64 << 10);
        tokio::select! {
            _ = open.changed() => return Ok(()),
            read = client.read_buf(&mut up) => {
                if read? == 0 {
                    return Ok(());
                }
                // Only a batch holds an event's type.
                let batch = up.windows(8).any(|bytes| bytes == b"Happened");
                doomed |= batch && shared.armed.swap(false, SeqCst);
                server.write_all(&up.split()).await?;
            }
            read = server.read_buf(&mut down) => {
                if read? == 0 {
                    return Ok(());
                }
                if !doomed {
                    client.write_all(&down.split()).await?;
                } else if down.ends_with(b"Z\0\0\0\x05I") {
                    // Ready for the next query: the batch is committed.
                    shared.cuts.fetch_add(1, SeqCst);
                    return Ok(());
                }
            }
        }
    }
}

mod contract {
    crate::log_contract!(super::Fresh::new().await.unwrap());
}
