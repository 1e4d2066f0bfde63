//! SIGKILL of the server at random moments of slow streams: no line is lost, doubled or changed, every run ends, and
//! messages and index always agree.
//!
//! `ANNALS_CRASH_ROUNDS` says how often; `ANNALS_SEED` repeats the moments of another time.

#![expect(clippy::unwrap_used, reason = "tests")]

mod backup;
mod client;
mod eventstore;
mod ingest;
mod tools;
mod whole;
mod world;

use annals_tests::{
    audit::audit,
    chance::Chance,
    model_server::{ModelServer, Script},
    process::{Folder, Server, Setup, eventually},
};
use anyhow::Result;
use client::Client;
use std::{env, time::Duration};
use tokio::time::sleep;
use world::World;

/// People who talk at the same time.
const CLIENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_said_is_lost_or_doubled_or_changed() -> Result<()> {
    let rounds = rounds(6);
    let mut chance = Chance::seeded();
    let model = ModelServer::start(Script::default()).await?;
    let folder = Folder::new("crash");
    let setup = Setup::embedded(folder.path()).with_model(&model.base_url());
    let server = setup.start().await?;
    let kill = async |world: &World, server: Server| {
        world.down();
        server.kill()?;
        let server = setup.start().await?;
        world.up(server.admin().await?);
        Ok(server)
    };
    let (server, runs) = talk(server, rounds, &mut chance, kill).await?;

    let database = embedded::attach_or_start(embedded::Options::new(folder.path())).await?;
    let verified = audit(database.url()).await?;
    eprintln!("{rounds} kills, {runs} runs, {} events", verified.head);
    every_run_has_ended(database.url()).await?;
    database.stop().await?;
    // Beside the server, and alone once it has gone.
    setup.run(&["verify"]).await?;
    server.stop().await?;
    setup.run(&["verify"]).await?;
    Ok(())
}

/// How often to strike.
fn rounds(unless_told: u32) -> u32 {
    env::var("ANNALS_CRASH_ROUNDS").map_or(unless_told, |rounds| rounds.parse().unwrap())
}

/// Several people talk at the server, while `strike` does something to it at random moments. The server in the end, and how many
/// runs there were.
async fn talk(
    mut server: Server,
    rounds: u32,
    chance: &mut Chance,
    mut strike: impl AsyncFnMut(&World, Server) -> Result<Server>,
) -> Result<(Server, u64)> {
    let world = World::new(server.admin().await?);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client::new(world.clone(), number, chance.fork());
            tokio::spawn(client.talk())
        })
        .collect();
    for _ in 0..rounds {
        let lines = world.received() + chance.below(500);
        let seen = eventually("lines", async || {
            world.healthy()?;
            Ok((world.received() >= lines).then_some(()))
        });
        seen.await?;
        // Not to wait for anything: the moment shall not be one at which a line has just come.
        sleep(Duration::from_micros(chance.below(20_000))).await;
        server = strike(&world, server).await?;
    }
    world.finish();
    let mut runs = 0;
    for client in clients {
        runs += client.await??;
    }
    assert!(runs >= CLIENTS, "only {runs} runs");
    Ok((server, runs))
}

async fn every_run_has_ended(database_url: &str) -> Result<()> {
    let db = sqlx::PgPool::connect(database_url).await?;
    let unfinished: i64 = sqlx::query_scalar("select count(*) from runs where outcome is null")
        .fetch_one(&db)
        .await?;
    assert_eq!(unfinished, 0, "runs without an end");
    db.close().await;
    Ok(())
}
