//! Something between a server and its database that can be cut and mended.

use anyhow::{Context, Result};
use std::{path::Path, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// How long a cut line lets a newcomer wait before it hangs up, so that nobody spins.
const REFUSAL: Duration = Duration::from_millis(20);

/// Forwards connections to the unix socket of an embedded database.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    open: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Forwards to the database of this URL, from a socket in the folder `at`.
    ///
    /// # Errors
    /// When the URL names no unix socket, or the new one cannot be made.
    pub fn start(database_url: &str, at: &Path) -> Result<Self> {
        let query = database_url.split_once('?').context("a socket in the query")?.1;
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.clone().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let (host, port) = (value("host").context("host")?, value("port"));
        let folder = host.replace("%2F", "/");
        let name = format!(".s.PGSQL.{}", port.as_deref().unwrap_or("5432"));
        let target = Path::new(&folder).join(&name);
        std::fs::create_dir_all(at)?;
        let listener = UnixListener::bind(at.join(&name))?;
        let url = database_url.replace(&host, &at.to_string_lossy());
        let open = watch::Sender::new(true);
        let state = open.subscribe();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (state, target) = (state.clone(), target.clone());
                tokio::spawn(async move { forward(client, &target, state).await });
            }
        });
        Ok(Self { url, open, serving })
    }

    /// The URL that goes through here.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks every connection, whatever is on its way, and lets nobody through until mended.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(mut client: UnixStream, target: &Path, mut open: watch::Receiver<bool>) {
    if !*open.borrow_and_update() {
        sleep(REFUSAL).await;
        return;
    }
    let Ok(mut server) = UnixStream::connect(target).await else { return };
    tokio::select! {
        // However it ends, both sides are hung up on.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
