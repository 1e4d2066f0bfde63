//! The server that all tests share.

use annals_embedded::testing::server_url;
use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};

/// Prints the URL for the test below, which runs this one in several processes at once.
#[tokio::test]
async fn the_shared_server_is_up_with_vectors_and_without_fsync() -> Result<()> {
    let url = server_url().await?;
    let mut db = PgConnection::connect(&url).await?;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&mut db).await?;
    let vectors: i64 =
        sqlx::query_scalar("select count(*) from pg_available_extensions where name = 'vector'")
            .fetch_one(&mut db)
            .await?;
    if std::env::var_os("DATABASE_URL").is_none() {
        assert_eq!(fsync, "off");
    }
    assert_eq!(vectors, 1);
    assert_eq!(url, server_url().await?, "the address stays");
    let started: String =
        sqlx::query_scalar("select pg_postmaster_start_time()::text").fetch_one(&mut db).await?;
    println!("shared: {url} {started}");
    Ok(())
}

#[tokio::test]
async fn test_programs_that_run_at_once_share_one_server() -> Result<()> {
    let program = std::env::current_exe()?;
    let others: Vec<_> = (0..4)
        .map(|_| {
            std::process::Command::new(&program)
                .args(["the_shared_server_is_up", "--nocapture"])
                .stdout(std::process::Stdio::piped())
                .spawn()
        })
        .collect::<Result<_, _>>()?;
    let mut seen = Vec::new();
    for other in others {
        let output = other.wait_with_output()?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        let start = text.find("shared: ").context("no address")?;
        seen.push(text[start..].lines().next().context("no line")?.to_owned());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    Ok(())
}
