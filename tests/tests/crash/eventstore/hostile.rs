//! Bytes that nobody who means well sends to the endpoint.

use annals_tests::{chance::Chance, log_server::LogServer};
use anyhow::{Context, Result, ensure};
use commands::log::contract::{Backend, some, stream};
use domain::{Expected, Revision};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Connections on which nothing is ever said.
const IDLE: usize = 1_000;
/// Connections with noise.
const NOISY: u64 = 200;
/// How long an answer to noise is read for.
const MOMENT: Duration = Duration::from_millis(50);
/// How long somebody who means well may wait beside all that.
const PATIENCE: Duration = Duration::from_secs(30);

/// What noise begins with, so that it gets some way in.
const BEGINNINGS: [&[u8]; 5] = [
    b"",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    // An empty SETTINGS frame after it, and the head of a HEADERS frame.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\x01\0\x01\x05\0\0\0\x01",
    b"POST /event_store.client.streams.Streams/Append HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_and_silence_disturb_nobody() -> Result<()> {
    let (server, mut chance) = (LogServer::start(&[]).await?, Chance::seeded());
    let mut silent = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        silent.push(TcpStream::connect(server.address()).await?);
    }
    for n in 0..NOISY {
        let mut noisy = TcpStream::connect(server.address()).await?;
        let beginning = BEGINNINGS[usize::try_from(n)? % BEGINNINGS.len()];
        let noise: Vec<u8> = (0..chance.below(2_000)).map(|_| chance.below(256) as u8).collect();
        // It may have hung up already, as it should.
        let _ = noisy.write_all(&[beginning, &noise].concat()).await;
        let _ = timeout(MOMENT, noisy.read(&mut [0; 4_096])).await;
    }
    let log = server.open().await;
    let answer = log.append(some(&stream("thing"), Expected::NoStream, 1));
    let answer = timeout(PATIENCE, answer).await.context("no answer beside noise")??;
    ensure!(answer.revision == Revision(0));
    ensure!(!server.said("panicked"), "a panic");
    drop(silent);
    server.finish().await?;
    Ok(())
}
