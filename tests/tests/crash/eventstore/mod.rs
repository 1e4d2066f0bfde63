//! The log in another process, `annals log`, reached over the EventStoreDB protocol: it and the node are killed at random moments.

mod backend;
mod hostile;
mod walk;

use super::{every_run_has_ended, rounds, talk, world::World};
use annals_tests::{
    chance::Chance,
    database::Database,
    log_server::LogServer,
    model_server::{ModelServer, Script},
    process::{Folder, Server, Setup},
};
use anyhow::Result;
use std::time::Duration;
use tokio::{sync::Mutex, time::sleep, try_join};

/// A node that is killed is an excuse for whoever talks with it. A log that is killed is none: nobody but the node may notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_said_is_lost_when_the_log_is_killed_or_the_node() -> Result<()> {
    let mut chance = Chance::seeded();
    let model = ModelServer::start(Script::default()).await?;
    let log = LogServer::start(&[]).await?;
    let (folder, database) = (Folder::new("node"), Database::create().await?);
    let setup = Setup::on(folder.path(), &database.url())
        .with_model(&model.base_url())
        .with("EVENTSTORE_URL", &log.url("tls=false"));
    let server = setup.start().await?;
    let (log, mut moments, mut round) = (Mutex::new(log), chance.fork(), 0);
    let strike = async |world: &World, server: Server| {
        let mut log = log.lock().await;
        round += 1;
        if round % 3 == 1 {
            log.kill()?;
            sleep(Duration::from_millis(moments.below(1_000))).await;
            log.restart().await?;
            return Ok(server);
        }
        world.down();
        if round % 3 == 2 {
            server.kill()?;
        } else {
            log.kill()?;
            sleep(Duration::from_micros(moments.below(20_000))).await;
            server.kill()?;
        }
        let back = async { if round % 3 == 2 { Ok(()) } else { log.restart().await } };
        let (server, ()) = try_join!(setup.start(), back)?;
        world.up(server.admin().await?);
        Ok(server)
    };
    let (server, runs) = talk(server, rounds(6), &mut chance, strike).await?;

    setup.run(&["verify"]).await?;
    every_run_has_ended(&database.url()).await?;
    server.stop().await?;
    setup.run(&["verify"]).await?;
    database.remove().await?;
    let verified = log.into_inner().finish().await?;
    eprintln!("{runs} runs, {} events", verified.head);
    Ok(())
}
