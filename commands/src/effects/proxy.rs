//! A proxy on loopback for programs that fetch what people name. Wherever a URL redirects such a program to, and whatever a
//! name resolves to by then: nothing but public addresses is connected to.

use super::{fetch::Reach, outbound::is_public};
use reqwest::Url;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

/// Connections at a time.
const MOST: usize = 64;
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// How long a head, and a connection, may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may live: as long as the programs that use it.
const LIFE: Duration = Duration::from_secs(600);

/// A running proxy; dropped, it ends with all its connections.
#[derive(Debug)]
pub struct GuardedProxy {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl GuardedProxy {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(reach: Reach) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, reach)));
        Ok(Self { address, _serving: serving })
    }

    /// As programs are told of it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, reach: Reach) {
    let mut open = JoinSet::new();
    loop {
        if open.len() >= MOST {
            // Only for room: how one of them ended is its own business.
            let _ended = open.join_next().await;
        }
        if let Ok((client, _)) = listener.accept().await {
            open.spawn(async move {
                if let Ok(Err(error)) = timeout(LIFE, relay(client, reach)).await {
                    tracing::debug!(%error, "a connection of the proxy broke off");
                }
            });
        }
    }
}

async fn relay(mut client: TcpStream, reach: Reach) -> io::Result<()> {
    let Ok(asked) = timeout(PATIENCE, head(&mut client)).await else { return Ok(()) };
    let Some((head, rest)) = asked? else { return refuse(&mut client, "400 Bad Request").await };
    let Some(wish) = Wish::read(&head) else {
        return refuse(&mut client, "400 Bad Request").await;
    };
    let Some(mut server) = connect(&wish.host, wish.port, reach).await else {
        return refuse(&mut client, "403 Forbidden").await;
    };
    match &wish.head {
        None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
        Some(head) => server.write_all(head.as_bytes()).await?,
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The head of a request, and what came behind it; `None` when it is none.
async fn head(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    while bytes.len() < HEAD {
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(String::from_utf8(bytes).ok().map(|head| (head, rest)));
        }
    }
    Ok(None)
}

async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await
}

/// The address that was judged is the one that is connected to.
async fn connect(host: &str, port: u16, reach: Reach) -> Option<TcpStream> {
    let found = timeout(PATIENCE, lookup_host((host, port))).await.ok()?.ok()?;
    for address in found.filter(|found| reach == Reach::Anywhere || is_public(found.ip())) {
        if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}

/// What a client of the proxy wants.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    host: String,
    port: u16,
    /// What the server is told; `None` for a tunnel.
    head: Option<String>,
}

impl Wish {
    fn read(head: &str) -> Option<Self> {
        let (first, fields) = head.split_once("\r\n")?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        if method == "CONNECT" {
            let (host, port) = target.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            return Some(Self { host, port: port.parse().ok()?, head: None });
        }
        let url = Url::parse(target).ok().filter(|url| url.scheme() == "http")?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let place = format!("{}{query}", url.path());
        // One request per connection: the next one may be for another server.
        let mut told = format!("{method} {place} HTTP/1.1\r\nConnection: close\r\n");
        for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
            let name = field.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if !name.starts_with("proxy-") && name != "connection" && name != "keep-alive" {
                told.push_str(field);
                told.push_str("\r\n");
            }
        }
        told.push_str("\r\n");
        Some(Self { host, port: url.port_or_known_default()?, head: Some(told) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_on_as_to_a_server() {
        let head = "GET http://example.org:81/a?b=c HTTP/1.1\r\nHost: example.org:81\r\n\
                    Proxy-Connection: keep-alive\r\n\r\n";
        let told = "GET /a?b=c HTTP/1.1\r\nConnection: close\r\nHost: example.org:81\r\n\r\n";
        let wish = Wish { host: "example.org".to_owned(), port: 81, head: Some(told.to_owned()) };
        assert_eq!(Wish::read(head), Some(wish));
        let tunnel = Wish { host: "::1".to_owned(), port: 443, head: None };
        assert_eq!(Wish::read("CONNECT [::1]:443 HTTP/1.1\r\n\r\n"), Some(tunnel));
        for rubbish in ["GET /a HTTP/1.1\r\n\r\n", "GET file:///etc/passwd HTTP/1.1\r\n\r\n"] {
            assert_eq!(Wish::read(rubbish), None, "{rubbish}");
        }
    }

    #[tokio::test]
    async fn a_redirect_to_an_inner_address_ends_here() -> Result<(), Box<dyn std::error::Error>> {
        let inner = TcpListener::bind("127.0.0.1:0").await?;
        let address = inner.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = inner.accept().await {
                let mut request = [0; 1024];
                let _whatever = peer.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
                let _whoever = peer.write_all(answer).await;
            }
        });
        for (reach, expected) in [(Reach::Public, 403), (Reach::Anywhere, 200)] {
            let proxy = GuardedProxy::start(reach).await?;
            let client = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url())?);
            let answer = client.build()?.get(format!("http://{address}/")).send().await?;
            assert_eq!(answer.status(), expected);
        }
        Ok(())
    }
}
