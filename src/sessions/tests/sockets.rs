//! Over real sockets: bodies larger than the usual limit, of unknown length, and connections that break.

use std::net::SocketAddr;

use lucid_http::{ListenPolicy, Listener, serve};
use lucid_ports::SessionId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{CHUNK, Running, World, stream_of, until};

/// The routes on a port of this machine.
struct Port {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Port {
    fn open(running: &Running) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "test").unwrap();
        let (address, stop) = (listener.address(), CancellationToken::new());
        let policy = ListenPolicy::loopback("session-api");
        let served = tokio::spawn(serve(listener, running.client.0.clone(), policy, stop.clone()));
        Self { address, stop, served }
    }

    async fn close(self) {
        self.stop.cancel();
        self.served.await.unwrap();
    }

    /// A connection on which the head of an upload with a chunked body was sent.
    async fn upload(&self, id: SessionId, offset: u64, complete: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "PATCH /api/sessions/{id}/stream HTTP/1.1\r\nHost: lucid\r\nAuthorization: Bearer alice.user\r\n\
             Content-Type: application/partial-upload\r\nUpload-Offset: {offset}\r\nUpload-Complete: {complete}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket
    }
}

/// Sends bytes as parts of a body of unknown length.
async fn send(socket: &mut TcpStream, bytes: &[u8]) {
    for part in bytes.chunks(40_000) {
        socket.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await.unwrap();
        socket.write_all(part).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
}

/// The head of the reply, in lower case.
async fn reply(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_unknown_length_may_be_long() {
    let mut world = World::new();
    world.config.chunk_bytes = 300_000;
    let running = world.start();
    let port = Port::open(&running);
    let id = running.client.create("alice.user", "").await;
    // Several times what a body may have on other routes.
    let stream = stream_of(1, 3_500_000);
    let mut socket = port.upload(id, 0, "?1").await;
    send(&mut socket, &stream).await;
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let head = reply(&mut socket).await;
    assert!(head.starts_with("http/1.1 204 ") && head.contains("upload-offset: 3500000\r\n"), "{head}");
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    drop(socket);
    port.close().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_resumed_from_the_last_acknowledged_byte() {
    let world = World::new();
    let running = world.start();
    let port = Port::open(&running);
    let id = running.client.create("alice.user", "").await;
    let stream = stream_of(2, 30 * CHUNK);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut offset = 0;
    for _ in 0..5 {
        let end = (offset + rng.usize(1..7 * CHUNK)).min(stream.len());
        let mut socket = port.upload(id, offset as u64, "?1").await;
        until("it is attached", || running.uploads.running() == 1).await;
        send(&mut socket, &stream[offset..end]).await;
        // Gone without the end of the body, sometimes with a reset.
        if rng.bool() {
            socket.set_zero_linger().unwrap();
        }
        drop(socket);
        let (durable, complete) = running.client.offset("alice.user", id).await;
        assert_eq!(complete, "?0");
        offset = durable as usize;
        assert!(offset <= end);
        // Or the next round takes this upload's last moment for its own beginning.
        until("the former one has ended", || running.uploads.running() == 0).await;
    }
    let mut socket = port.upload(id, offset as u64, "?1").await;
    send(&mut socket, &stream[offset..]).await;
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(reply(&mut socket).await.starts_with("http/1.1 204 "));
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    drop(socket);
    port.close().await;
    running.stop().await;
}

/// The replaced connection is told, although it sends nothing and its body has no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_that_was_replaced_is_answered() {
    let world = World::new();
    let running = world.start();
    let port = Port::open(&running);
    let id = running.client.create("alice.user", "").await;
    let mut silent = port.upload(id, 0, "?0").await;
    send(&mut silent, &[1; 2 * CHUNK]).await;
    running.durable(id, 2 * CHUNK as u64).await;
    let mut second = port.upload(id, 2 * CHUNK as u64, "?1").await;
    let head = reply(&mut silent).await;
    assert!(head.starts_with("http/1.1 409 "), "{head}");
    second.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(reply(&mut second).await.starts_with("http/1.1 204 "));
    drop((silent, second));
    port.close().await;
    running.stop().await;
}

/// A body that is no chunked body is a broken one: it does not complete the recording.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_body_completes_nothing() {
    let world = World::new();
    let running = world.start();
    let port = Port::open(&running);
    let id = running.client.create("alice.user", "").await;
    for garbage in [&b"xyz\r\n"[..], b"5\r\nabc", b"ffffffffffffffffff\r\n", b"3\r\nabcdef\r\n0\r\n\r\n"] {
        let (offset, _) = running.client.offset("alice.user", id).await;
        let mut socket = port.upload(id, offset, "?1").await;
        send(&mut socket, b"good").await;
        socket.write_all(garbage).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Whether there is a reply on a connection that is garbled is the server's choice; a 204 is not.
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
        until("the upload has ended", || running.uploads.running() == 0).await;
        assert_eq!(running.client.offset("alice.user", id).await.1, "?0");
    }
    port.close().await;
    running.stop().await;
}
