//! A mail server that takes mails, or refuses them, and tells what it was told.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

/// How long a mail may take to arrive; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Takes everything.
    Open,
    /// Takes mails of whoever logs in with this name and password.
    Login(String, String),
    /// Takes no recipient.
    Refusing,
}

/// A mail as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipient.
    pub to: String,
    /// Headers and body, decoded.
    pub text: String,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct SmtpServer {
    address: SocketAddr,
    taken: mpsc::UnboundedReceiver<Taken>,
    serving: JoinHandle<()>,
}

impl SmtpServer {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (arrived, taken) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manner, arrived) = (manner.clone(), arrived.clone());
                tokio::spawn(async move { serve(stream, &manner, &arrived).await });
            }
        });
        Ok(Self { address, taken, serving })
    }

    /// Its URL; `login` is empty or `name:password@`.
    pub fn url(&self, login: &str) -> String {
        format!("smtp://{login}{}", self.address)
    }

    /// The next mail.
    ///
    /// # Errors
    /// When none arrives.
    pub async fn next(&mut self) -> Result<Taken> {
        timeout(PATIENCE, self.taken.recv()).await?.context("the server ended")
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    stream: TcpStream,
    manner: &Manner,
    arrived: &mpsc::UnboundedSender<Taken>,
) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await?;
    let (mut from, mut to, mut known) = (String::new(), String::new(), false);
    while let Some(line) = lines.next_line().await? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-test\r\n250 AUTH PLAIN\r\n".to_owned(),
            "AUTH" => {
                let sent = line.split(' ').nth(2).unwrap_or_default();
                known = matches!(manner, Manner::Login(name, password)
                    if STANDARD.decode(sent)? == format!("\0{name}\0{password}").into_bytes());
                if known { "235 welcome\r\n" } else { "535 who?\r\n" }.to_owned()
            }
            "MAIL" if matches!(manner, Manner::Login(..)) && !known => "530 log in\r\n".to_owned(),
            "MAIL" => {
                from = address(&line);
                "250 ok\r\n".to_owned()
            }
            "RCPT" if *manner == Manner::Refusing => "550 nobody here\r\n".to_owned(),
            "RCPT" => {
                to = address(&line);
                "250 ok\r\n".to_owned()
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = Vec::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    text.push(line);
                }
                let text = decoded(&text);
                arrived.send(Taken { from: from.clone(), to: to.clone(), text })?;
                "250 taken\r\n".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n".to_owned(),
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn address(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

/// Headers as they came, and a base64 body decoded.
fn decoded(lines: &[String]) -> String {
    let border = lines.iter().position(String::is_empty).unwrap_or(lines.len());
    let (head, body) = (lines[..border].join("\n"), lines[border..].concat());
    let plain = STANDARD.decode(&body).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    format!("{head}\n\n{}", plain.unwrap_or(body))
}
