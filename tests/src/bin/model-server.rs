//! The scripted model provider as a process of its own, for crash tests and benchmarks.
//!
//! `model-server [--listen 127.0.0.1:0] [--deltas N] [--delay-ms D] [--script JSON]` prints its base URL on one line and
//! serves until it is stopped. `PUT /admin/script` changes the script, `GET /admin/calls` shows the calls.

use annals_tests::model_server::{ModelServer, Script};
use anyhow::{Context, bail};
use std::{io::Write, net::SocketAddr};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut script = Script::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = value.parse().context("--listen wants ADDRESS:PORT")?,
            "--script" => script = serde_json::from_str(&value).context("--script wants JSON")?,
            "--deltas" => script.deltas = value.parse().context("--deltas wants a number")?,
            "--delay-ms" => script.delay_ms = value.parse().context("--delay-ms wants a number")?,
            _ => bail!("unknown argument {name}"),
        }
    }
    let server = ModelServer::listen(listen, script).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", server.base_url())?;
    out.flush()?;
    drop(out);
    server.forever().await;
    Ok(())
}
