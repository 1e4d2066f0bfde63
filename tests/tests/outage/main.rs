//! The database goes away under load: what cannot be done is refused cleanly or waits, what was acknowledged stays.

#![expect(clippy::unwrap_used, reason = "tests")]

mod load;

use annals_tests::{
    app::Person,
    audit::audit,
    chance::Chance,
    model_server::{ModelServer, Script},
    process::{Folder, Server, Setup, eventually},
    proxy::Proxy,
};
use anyhow::{Context, Result};
use embedded::{Options, Shutdown};
use load::{Load, Working};
use sqlx::PgPool;

struct Ground {
    _model: ModelServer,
    server: Server,
    admin: Person,
    proxy: Proxy,
    database: embedded::Server,
    _folder: Folder,
}

impl Ground {
    async fn lay() -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let folder = Folder::new("outage");
        let database = embedded::start(Options::new(folder.path().join("shared"))).await?;
        let proxy = Proxy::start(database.url(), &folder.path().join("proxy"))?;
        let setup = Setup::on(&folder.path().join("annals"), proxy.url());
        let server = setup.with_model(&model.base_url()).start().await?;
        let admin = server.admin().await?;
        Ok(Self { _model: model, server, admin, proxy, database, _folder: folder })
    }

    /// Ends the work, and looks whether everything is there and at its end.
    async fn end(self, working: Working) -> Result<u64> {
        let runs = working.end(&self.admin).await.with_context(|| self.server.last_words())?;
        self.server.ready().await?;
        let db = PgPool::connect(self.database.url()).await?;
        eventually("the end of every run", async || {
            let going_on: i64 =
                sqlx::query_scalar("select count(*) from runs where outcome is null")
                    .fetch_one(&db)
                    .await?;
            Ok((going_on == 0).then_some(()))
        })
        .await
        .with_context(|| self.server.last_words())?;
        db.close().await;
        audit(self.database.url()).await?;
        self.server.stop().await?;
        self.database.stop().await?;
        Ok(runs)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_database_restarts() -> Result<()> {
    let mut chance = Chance::seeded();
    let ground = Ground::lay().await?;
    let script = Script { deltas: 60, delay_ms: 10, ..Script::default() };
    let working = Load::new(ground.admin.clone(), script, false).begin().await?;
    for round in 0..4 {
        let more = working.more(100 + chance.below(200)).await;
        more.with_context(|| ground.server.last_words())?;
        let how = if round % 2 == 0 { Shutdown::Fast } else { Shutdown::Immediate };
        ground.database.restart(how).await?;
    }
    assert!(ground.end(working).await? >= 4, "hardly any runs");
    Ok(())
}

/// Longer than the log lets a writer wait for its answer: nobody knows then whether the write was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_outage_longer_than_anybody_waits_leaves_nothing_half_done() -> Result<()> {
    let mut chance = Chance::seeded();
    let ground = Ground::lay().await?;
    // Short runs, so that many of them are about to begin or to end.
    let script = Script { deltas: 3, delay_ms: 1, ..Script::default() };
    let working = Load::new(ground.admin.clone(), script, true).begin().await?;
    working.more(100 + chance.below(50)).await?;
    ground.proxy.cut();
    let given_up = eventually("a write that is given up", async || {
        Ok(ground.server.said("no answer from the database in time").then_some(()))
    });
    let given_up = given_up.await;
    ground.proxy.mend();
    given_up.with_context(|| ground.server.last_words())?;
    working.more(200).await.with_context(|| ground.server.last_words())?;
    assert!(ground.end(working).await? >= 4, "hardly any runs");
    Ok(())
}
