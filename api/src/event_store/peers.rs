//! Which nodes serve this log over the protocol: each says so in the database every few seconds, by its clock.

use esdb::{Address, Peer, Peers};
use sqlx::PgPool;
use std::time::Duration;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a node says that it serves.
const BEAT: Duration = Duration::from_secs(2);
/// Silence, in seconds, after which a node is not listed any more.
const SILENCE: f64 = 7.0;
/// Silence after which it is forgotten.
const FORGET: &str = "1 hour";
/// Nodes that are listed.
const MOST: i64 = 100;

/// The other nodes, as of the last beat.
pub struct Roster(watch::Receiver<Vec<Peer>>);

impl Roster {
    /// Tells the others where this node is reached, until `draining`. Without an address it only looks at them: what listens on every
    /// address of a machine does not know by which of them others find it.
    pub async fn join(
        db: PgPool,
        node: Uuid,
        reached: Option<Address>,
        draining: CancellationToken,
    ) -> Self {
        let (others, seen) = watch::channel(Vec::new());
        let beats = Beats { db, node, reached, others };
        beats.beat().await;
        tokio::spawn(beats.run(draining));
        Self(seen)
    }
}

impl Peers for Roster {
    fn others(&self) -> Vec<Peer> {
        self.0.borrow().clone()
    }
}

struct Beats {
    db: PgPool,
    node: Uuid,
    reached: Option<Address>,
    others: watch::Sender<Vec<Peer>>,
}

impl Beats {
    async fn run(self, draining: CancellationToken) {
        while draining.run_until_cancelled(tokio::time::sleep(BEAT)).await.is_some() {
            self.beat().await;
        }
        let gone = sqlx::query("delete from event_store_nodes where node_id = $1");
        // Who cannot say goodbye is missed soon.
        let _missed = timeout(BEAT, gone.bind(self.node).execute(&self.db)).await;
    }

    /// Who cannot ask knows of nobody: a list of the dead would lead clients astray.
    async fn beat(&self) {
        let others = match timeout(BEAT, self.exchange()).await {
            Ok(Ok(others)) => others,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the nodes that serve the log cannot be listed");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        self.others.send_replace(others);
    }

    async fn exchange(&self) -> sqlx::Result<Vec<Peer>> {
        if let Some(Address { host, port }) = &self.reached {
            sqlx::query(
                "insert into event_store_nodes (node_id, host, port) values ($1, $2, $3)
                 on conflict (node_id) do update set beat_at = now()",
            )
            .bind(self.node)
            .bind(host)
            .bind(i32::from(*port))
            .execute(&self.db)
            .await?;
        }
        sqlx::query("delete from event_store_nodes where beat_at < now() - $1::interval")
            .bind(FORGET)
            .execute(&self.db)
            .await?;
        // Whoever began last at an address is the one that is there.
        let rows: Vec<(Uuid, String, i32)> = sqlx::query_as(
            "select distinct on (host, port) node_id, host, port from event_store_nodes
             where node_id <> $1 and beat_at > now() - make_interval(secs => $2)
             order by host, port, started_at desc limit $3",
        )
        .bind(self.node)
        .bind(SILENCE)
        .bind(MOST)
        .fetch_all(&self.db)
        .await?;
        let peer = |(node, host, port): (Uuid, String, i32)| {
            let port = u16::try_from(port).ok()?;
            Some(Peer { node, address: Address { host, port } })
        };
        Ok(rows.into_iter().filter_map(peer).collect())
    }
}
