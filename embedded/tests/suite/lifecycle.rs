//! The life of a data folder: first start, warm start, refusals, crashes.

use std::time::{Duration, Instant};

use crate::folder::{Annals, Folder, connect, connect_when_up, kill};
use annals_embedded::{Error, Options, Shutdown, attach_or_start, start};
use anyhow::{Context, Result, ensure};
use sqlx::Row;

#[tokio::test]
async fn an_empty_folder_becomes_a_database_with_vectors_and_starts_again_quickly() -> Result<()> {
    let folder = Folder::durable("fresh")?;
    let server = start(folder.options()).await?;
    let mut db = connect(server.url()).await?;
    sqlx::raw_sql(
        "create extension vector; create table t (v vector(3)); insert into t values ('[1,2,3]')",
    )
    .execute(&mut db)
    .await?;
    let distance: f64 =
        sqlx::query_scalar("select v <-> '[1,2,5]' from t").fetch_one(&mut db).await?;
    assert_eq!(distance, 2.0);
    for (name, wanted) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
        ("max_connections", "100"),
    ] {
        let is: String =
            sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&mut db).await?;
        assert_eq!(is, wanted, "{name}");
    }
    let row = sqlx::query("select current_user::text, current_database()::text, lower('ÄÖ') , to_tsvector('simple', 'Ärger, groß')::text")
        .fetch_one(&mut db)
        .await?;
    assert_eq!(row.try_get::<String, _>(0)?, "annals");
    assert_eq!(row.try_get::<String, _>(1)?, "annals");
    assert_eq!(row.try_get::<String, _>(2)?, "äö");
    assert_eq!(row.try_get::<String, _>(3)?, "'groß':2 'ärger':1");
    drop(db);
    let first = server.pid();
    server.stop().await?;
    ensure!(!folder.path().join("postgres/postmaster.pid").exists(), "stopped cleanly");

    // The best of three: the machine may be busy with other tests.
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let again = Instant::now();
        let server = start(folder.options()).await?;
        fastest = fastest.min(again.elapsed());
        assert_ne!(server.pid(), first);
        server.stop().await?;
    }
    ensure!(fastest < Duration::from_secs(2), "a warm start took {fastest:?}");
    println!("warm start: {fastest:?}");

    let server = start(folder.options()).await?;
    let mut db = connect(server.url()).await?;
    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&mut db).await?;
    assert_eq!(rows, 1);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_second_owner_is_refused_and_a_subcommand_attaches() -> Result<()> {
    let folder = Folder::new("second")?;
    let server = start(folder.options()).await?;

    let refused = start(folder.options()).await.err().context("a second owner was let in")?;
    ensure!(matches!(refused, Error::InUse { holder: Some(pid), .. } if pid == std::process::id()));
    ensure!(refused.to_string().contains("in use by another annals"), "{refused}");

    let guest = attach_or_start(folder.options()).await?;
    assert_eq!((guest.url(), guest.pid(), guest.owned()), (server.url(), server.pid(), false));
    let not_mine = guest.restart(Shutdown::Fast).await;
    ensure!(matches!(not_mine, Err(Error::NotOwner)));
    guest.stop().await?;
    connect(server.url()).await.context("the guest must not stop its host's server")?;
    server.stop().await?;

    let alone = attach_or_start(folder.options()).await?;
    ensure!(alone.owned());
    connect(alone.url()).await?;
    alone.stop().await?;
    Ok(())
}

#[tokio::test]
async fn acknowledged_rows_survive_a_killed_server_and_the_watch_brings_it_back() -> Result<()> {
    let folder = Folder::durable("killed")?;
    let server = start(folder.options()).await?;
    let mut db = connect(server.url()).await?;
    sqlx::raw_sql("create table t (n int)").execute(&mut db).await?;
    for n in 0..100 {
        sqlx::query("insert into t values ($1)").bind(n).execute(&mut db).await?;
    }
    drop(db);
    let before = server.pid();
    kill(before)?;
    let mut db = connect_when_up(server.url()).await?;
    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&mut db).await?;
    assert_eq!(rows, 100);
    assert_ne!(server.pid(), before);

    let url = server.url().to_owned();
    server.restart(Shutdown::Immediate).await?;
    let mut db = connect(&url).await?;
    sqlx::query("insert into t values (100)").execute(&mut db).await?;
    server.restart(Shutdown::Fast).await?;
    let mut db = connect(&url).await?;
    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&mut db).await?;
    assert_eq!(rows, 101);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_killed_as_a_whole_starts_again_with_its_data() -> Result<()> {
    let folder = Folder::durable("crash")?;
    let annals = Annals::spawn(&folder)?;
    let mut db = connect(annals.url()).await?;
    sqlx::raw_sql("create table t (n int); insert into t values (7)").execute(&mut db).await?;
    let postmaster = annals.kill()?;
    // At once, while the old backends may still be leaving.
    kill(postmaster)?;
    let server = start(folder.options()).await?;
    let mut db = connect(server.url()).await?;
    let n: i32 = sqlx::query_scalar("select n from t").fetch_one(&mut db).await?;
    assert_eq!(n, 7);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_outlived_its_annals_is_taken_over() -> Result<()> {
    let folder = Folder::new("adopt")?;
    let annals = Annals::spawn(&folder)?;
    let mut db = connect(annals.url()).await?;
    sqlx::raw_sql("create table t (n int); insert into t values (7)").execute(&mut db).await?;
    let postmaster = annals.kill()?;

    let server = start(folder.options()).await?;
    assert_eq!(server.pid(), postmaster, "the running server goes on");
    // The session that was open all along still works.
    let n: i32 = sqlx::query_scalar("select n from t").fetch_one(&mut db).await?;
    assert_eq!(n, 7);
    server.stop().await?;
    ensure!(connect(&folder.url_guess()).await.is_err(), "an adopted server is stopped too");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_in_the_terminal_reaches_annals_and_not_the_server() -> Result<()> {
    let folder = Folder::new("terminal")?;
    let annals = Annals::spawn(&folder)?;
    let mut db = connect(annals.url()).await?;
    let postmaster = annals.interrupt_from_terminal()?;
    // A server that was told to stop would have cut this session off and not be there to take over.
    let server = start(folder.options()).await?;
    assert_eq!(server.pid(), postmaster);
    sqlx::raw_sql("select 1").execute(&mut db).await?;
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_left_over_server_without_its_socket_is_replaced() -> Result<()> {
    let folder = Folder::new("socket")?;
    let annals = Annals::spawn(&folder)?;
    let postmaster = annals.kill()?;
    std::fs::remove_file(folder.path().join("socket/.s.PGSQL.5432"))?;
    let server = start(folder.options()).await?;
    assert_ne!(server.pid(), postmaster);
    connect(server.url()).await?;
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_left_over_server_with_other_settings_is_replaced() -> Result<()> {
    let folder = Folder::new("settings")?;
    let annals = Annals::spawn(&folder)?;
    let postmaster = annals.kill()?;
    let server = start(Options { max_connections: 50, ..folder.options() }).await?;
    assert_ne!(server.pid(), postmaster);
    let mut db = connect(server.url()).await?;
    let most: String = sqlx::query_scalar("show max_connections").fetch_one(&mut db).await?;
    assert_eq!(most, "50");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn another_major_version_and_foreign_files_are_named() -> Result<()> {
    let folder = Folder::new("version")?;
    std::fs::create_dir(folder.path().join("postgres"))?;
    std::fs::write(folder.path().join("postgres/readme"), "not yours")?;
    let refused = start(folder.options()).await.err().context("foreign files were taken over")?;
    ensure!(refused.to_string().contains("is not empty but holds no database"), "{refused}");

    std::fs::write(folder.path().join("postgres/PG_VERSION"), "9\n")?;
    let refused = start(folder.options()).await.err().context("version 9 was started")?;
    ensure!(refused.to_string().contains("was made by PostgreSQL 9"), "{refused}");
    Ok(())
}
