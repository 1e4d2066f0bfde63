//! Which node delivers a persistent subscription: a lease in the database, by its clock.

use domain::subscription_group::GroupId;
use esdb::{Address, Claim, LEASE, Owners, Unknown};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{PgPool, postgres::types::PgInterval};
use std::net::SocketAddr;
use uuid::Uuid;

/// How often a claim is looked at again that is given back at that moment.
const TRIES: usize = 3;
/// What has lapsed for so long belongs to a group that nobody asks for.
const FORGET: &str = "1 hour";

/// The nodes on one database.
pub struct Leases {
    db: PgPool,
    node: Uuid,
    advertised: Option<Address>,
}

impl Leases {
    /// As this node.
    pub fn new(db: PgPool, node: Uuid) -> Self {
        Self { db, node, advertised: None }
    }

    /// Others are told that this node is reached there, not where it listens.
    #[must_use]
    pub fn advertising(self, advertised: Option<Address>) -> Self {
        Self { advertised, ..self }
    }

    async fn try_claim(&self, group: GroupId, at: SocketAddr) -> sqlx::Result<Option<Claim>> {
        let lease = PgInterval::try_from(LEASE).map_err(sqlx::Error::Encode)?;
        // Whoever listened where this node listens is gone: a lease of theirs is not waited for.
        let claimed: Option<bool> = sqlx::query_scalar(
            "insert into subscription_owners as held
                (group_id, node_id, host, port, held_until, advertised_host, advertised_port)
             values ($1, $2, $3, $4, now() + $5, $6, $7)
             on conflict (group_id) do update
                set node_id = excluded.node_id, host = excluded.host, port = excluded.port,
                    held_until = excluded.held_until, advertised_host = excluded.advertised_host,
                    advertised_port = excluded.advertised_port
                where held.node_id = excluded.node_id or held.held_until < now()
                   or (held.host = excluded.host and held.port = excluded.port)
             returning true",
        )
        .bind(group.0)
        .bind(self.node)
        .bind(at.ip().to_string())
        .bind(i32::from(at.port()))
        .bind(lease)
        .bind(self.advertised.as_ref().map(|address| &*address.host))
        .bind(self.advertised.as_ref().map(|address| i32::from(address.port)))
        .fetch_optional(&self.db)
        .await?;
        if claimed.is_some() {
            return Ok(Some(Claim::Ours));
        }
        let held: Option<(String, i32)> = sqlx::query_as(
            "select coalesce(advertised_host, host), coalesce(advertised_port, port)
                 from subscription_owners where group_id = $1",
        )
        .bind(group.0)
        .fetch_optional(&self.db)
        .await?;
        Ok(held.map(|(host, port)| Claim::Theirs(host, u16::try_from(port).unwrap_or_default())))
    }

    async fn give_back(&self, group: GroupId) -> sqlx::Result<()> {
        sqlx::query(
            "delete from subscription_owners
             where group_id = $1 and node_id = $2 or held_until < now() - $3::interval",
        )
        .bind(group.0)
        .bind(self.node)
        .bind(FORGET)
        .execute(&self.db)
        .await?;
        Ok(())
    }
}

impl Owners for Leases {
    fn claim(&self, group: GroupId, at: SocketAddr) -> BoxFuture<'_, Result<Claim, Unknown>> {
        let claimed = async move {
            for _ in 0..TRIES {
                match self.try_claim(group, at).await {
                    Ok(Some(claim)) => return Ok(claim),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, %group, "a persistent subscription is not claimed");
                        return Err(Unknown);
                    }
                }
            }
            Err(Unknown)
        };
        claimed.boxed()
    }

    fn release(&self, group: GroupId) -> BoxFuture<'_, ()> {
        let released = async move {
            if let Err(error) = self.give_back(group).await {
                tracing::warn!(%error, %group, "a persistent subscription is not given back");
            }
        };
        released.boxed()
    }
}
