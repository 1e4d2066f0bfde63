//! A fresh database, an empty log, and the use cases on both.

use commands::{
    effects::{
        Sensitive,
        keys::{Keys, MasterKey},
        passwords::Passwords,
        vault::Vault,
    },
    identity::{self, Identity, Registration, mint_user_id},
    log::{EventLog, Filter, memory::MemoryLog},
};
use domain::{
    Metadata, Position,
    ids::UserId,
    name::NameHash,
    user::{EmailAddress, Role, Username},
};
use projections::Projection;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub const OTHER_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

pub struct World {
    pub pool: PgPool,
    pub log: Arc<MemoryLog>,
    pub keys: Arc<Keys>,
    pub vault: Vault,
    pub identity: Identity,
}

pub async fn world() -> World {
    let pool = PgPoolOptions::new().max_connections(8).connect(&database().await).await.unwrap();
    migrations::MIGRATOR.run(&pool).await.unwrap();
    let log = Arc::new(MemoryLog::new());
    let keys = keys(KEY);
    let vault = Vault::new(pool.clone(), &keys);
    let passwords = Passwords::new().unwrap();
    let identity = Identity::new(log.clone(), vault.clone(), passwords, keys.clone());
    World { pool, log, keys, vault, identity }
}

pub fn keys(master: &str) -> Arc<Keys> {
    Arc::new(Keys::derive(&MasterKey::parse(master, "test").unwrap()))
}

pub fn metadata() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

pub fn secret(text: &str) -> Sensitive {
    Sensitive::from(text.to_owned())
}

pub fn registration(name: &str, role: Role) -> Registration {
    Registration {
        user: mint_user_id(),
        username: Username::parse(name, None).unwrap(),
        password: secret("first password"),
        email: Some(EmailAddress::parse(&format!("{name}@example.org")).unwrap()),
        phone: None,
        role,
    }
}

/// Key of the reservation of a user name.
pub fn username_hash(name: &str) -> NameHash {
    NameHash(secret(name).digest())
}

impl World {
    /// Somebody with the password `first password` and the address `{name}@example.org`.
    pub async fn given(&self, name: &str, role: Role) -> UserId {
        self.register(registration(name, role)).await.unwrap()
    }

    pub async fn register(&self, wanted: Registration) -> identity::Result<UserId> {
        Ok(self.identity.register(wanted, &metadata()).await?.user)
    }

    /// Types of all events so far, in order.
    pub async fn facts(&self) -> Vec<String> {
        let page = self.log.read_all(Position::START, 10_000, &Filter::all()).await.unwrap();
        page.events.iter().map(|event| event.kind.to_string()).collect()
    }

    /// Everything the log holds, as text.
    pub async fn log_text(&self) -> String {
        let page = self.log.read_all(Position::START, 10_000, &Filter::all()).await.unwrap();
        let line = |event: &Arc<domain::Recorded>| {
            format!("{} {} {}\n", event.stream, event.data, event.metadata)
        };
        page.events.iter().map(line).collect()
    }

    /// Fills empty tables of a read model with everything so far.
    pub async fn fold(&self, projection: &dyn Projection) {
        let categories = Filter::categories(projection.categories());
        let page = self.log.read_all(Position::START, 10_000, &categories).await.unwrap();
        let mut db = self.pool.begin().await.unwrap();
        for table in projection.tables() {
            let empty = sqlx::AssertSqlSafe(format!("delete from {table}"));
            sqlx::query(empty).execute(&mut *db).await.unwrap();
        }
        for event in &page.events {
            projection.apply(&mut db, event).await.unwrap();
        }
        db.commit().await.unwrap();
    }
}

async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = embedded::testing::server_url().await.unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("identity_{}_{number}", std::process::id());
    let mut db = PgConnection::connect(&server).await.unwrap();
    for statement in [format!("drop database if exists {name}"), format!("create database {name}")]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let host = base.rsplit_once('/').unwrap().0;
    format!("{host}/{name}?{query}")
}
