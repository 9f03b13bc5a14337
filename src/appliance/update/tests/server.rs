//! A static web server with ranges, and servers that mean no good.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::update::UpdateUrl;

/// How a server behaves.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// As it should.
    Ranges,
    /// It sends everything always.
    NoRanges,
    /// It sends another part than was asked for.
    WrongRange,
    /// It hangs up after so many bytes of each reply.
    Breaks(usize),
    /// It never ends, and does not say how long it is.
    Endless,
    /// It says that it is that long.
    Claims(u64),
    /// It answers with these words.
    Says(String),
    /// It takes the request and says nothing.
    Silent,
}

/// A server of one file, on every path. Ends with the runtime.
pub(crate) struct Server {
    address: SocketAddr,
    /// The first byte of each request's range.
    pub(crate) asked: Arc<Mutex<Vec<u64>>>,
}

impl Server {
    pub(crate) async fn start(file: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u64>>>::default());
        let (file, kept) = (Arc::new(file), asked.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (file, manner, asked) = (file.clone(), manner.clone(), kept.clone());
                // A client that has enough hangs up.
                tokio::spawn(async move { serve(stream, &file, &manner, &asked).await.ok() });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> UpdateUrl {
        format!("http://{}/x.bundle", self.address).parse().unwrap()
    }
}

async fn serve(mut stream: TcpStream, file: &[u8], manner: &Manner, asked: &Mutex<Vec<u64>>) -> std::io::Result<()> {
    let first = first_asked(&mut stream).await?;
    asked.lock().unwrap().push(first.unwrap_or(0));
    let from = usize::try_from(first.unwrap_or(0)).unwrap().min(file.len());
    let part = |from: usize, told: usize| {
        let (rest, total) = (file.len() - from, file.len());
        match first {
            None => format!("HTTP/1.1 200 OK\r\nContent-Length: {rest}\r\n\r\n"),
            Some(_) => format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {rest}\r\nContent-Range: bytes {told}-{}/{total}\r\n\r\n",
                total - 1
            ),
        }
    };
    match manner {
        Manner::Ranges => send(&mut stream, &part(from, from), &file[from..]).await,
        Manner::NoRanges => {
            send(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len()), file).await
        }
        Manner::WrongRange => send(&mut stream, &part(from, from + 1), &file[from..]).await,
        Manner::Breaks(after) => {
            let rest = &file[from..];
            send(&mut stream, &part(from, from), &rest[..rest.len().min(*after)]).await
        }
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[0; 64 * 1024]).await?;
            }
        }
        Manner::Claims(bytes) => {
            send(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n"), file).await
        }
        Manner::Says(words) => send(&mut stream, words, b"").await,
        Manner::Silent => std::future::pending().await,
    }
}

async fn send(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

/// The beginning of the range in a request, if it has one.
async fn first_asked(stream: &mut TcpStream) -> std::io::Result<Option<u64>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
    Ok(range.map(|range| range.trim_end_matches('-').parse().unwrap()))
}
