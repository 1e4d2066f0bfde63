//! annals with scripted tools, as a process that can be killed. Configured by the environment, as `annals` is.

use annals_tests::tools::Scripted;
use anyhow::Result;
use api::{compose::Node, config::Config, serve};
use std::{env, sync::Arc};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let ours = |(name, _): &(String, String)| name.starts_with("ANNALS_") || name == "DATABASE_URL";
    let config = Config::from_values(env::vars().filter(ours))?;
    let listener = TcpListener::bind(config.listen).await?;
    let node = Node::with_tools(config, vec![Arc::new(Scripted::default())]).await?;
    eprintln!("annals is serving http://{}", listener.local_addr()?);
    serve::run(listener, node, std::future::pending()).await
}
