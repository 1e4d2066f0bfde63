//! How far a job has come: told by whoever does it as often as they like, recorded now and then.

use crate::jobs::Jobs;
use domain::{
    Metadata,
    ids::{JobId, NodeId},
    job::Command,
};
use std::{future::pending, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// What is recorded at once, in percent.
const STEP: u8 = 5;
/// When less than that is.
const PAUSE: Duration = Duration::from_secs(2);

/// Where somebody who does a job tells how far it is.
#[derive(Debug)]
pub struct Progress(watch::Sender<u8>);

impl Progress {
    /// For one attempt, and where it is heard.
    pub(super) fn new() -> (Self, watch::Receiver<u8>) {
        let (tell, heard) = watch::channel(0);
        (Self(tell), heard)
    }

    /// So many percent are done. Only the end of the job says that all of it is.
    pub fn tell(&self, percent: f64) {
        let percent = percent.clamp(0.0, 99.0) as u8;
        self.0.send_if_modified(|known| {
            let news = percent > *known;
            *known = percent.max(*known);
            news
        });
    }
}

/// Records what is heard for as long as it is polled.
pub(super) async fn record(
    jobs: &Jobs,
    (id, node, attempt): (JobId, NodeId, u32),
    mut heard: watch::Receiver<u8>,
    metadata: &Metadata,
) {
    let (mut last, mut at) = (0, Instant::now());
    while heard.changed().await.is_ok() {
        let enough = last + STEP;
        tokio::select! {
            () = sleep_until(at + PAUSE) => {}
            _ = async { heard.wait_for(|percent| *percent >= enough).await.map(drop) } => {}
        }
        let percent = *heard.borrow_and_update();
        let progress = Command::Progress { node, attempt, percent };
        if let Err(error) = jobs.execute(id, &progress, metadata).await {
            tracing::debug!(job = %id, %error, "how far a job is was not recorded");
        }
        (last, at) = (percent, Instant::now());
    }
    pending().await
}
