//! Listeners with real sockets: limits, slow and hostile clients, TLS, stopping.
//!
//! Waits are for a state (bytes, end of file); only the limits under test are shortened.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::{CertificateNames, DeviceCertificate, HealthReport, health};

/// More than the socket buffers of both sides hold together, so that a client that does not read holds it up.
static LARGE: [u8; 32 << 20] = [b'x'; 32 << 20];
/// A stop that takes longer has waited for the grace, of which no test here may need anything.
const AT_ONCE: Duration = Duration::from_secs(30);

/// A served port.
struct Bench {
    address: SocketAddr,
    cancel: CancellationToken,
    served: JoinHandle<()>,
    /// Lets `/held` reply.
    release: Arc<Notify>,
    /// Requests that `/held` has begun.
    held: Arc<AtomicUsize>,
}

impl Bench {
    fn start(policy: ListenPolicy) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "tested.port").unwrap();
        let (address, cancel) = (listener.address(), CancellationToken::new());
        let (release, held) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let router = routes(&release, &held);
        let served = tokio::spawn(serve(listener, router, policy, cancel.clone()));
        Self { address, cancel, served, release, held }
    }

    fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut policy = ListenPolicy::loopback("tested");
        change(&mut policy.limits);
        Self::start(policy)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until `/held` has begun `count` requests.
    async fn wait_held(&self, count: usize) {
        while self.held.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

fn routes(release: &Arc<Notify>, held: &Arc<AtomicUsize>) -> Router {
    let (release, held) = (Arc::clone(release), Arc::clone(held));
    let hold = async move || {
        held.fetch_add(1, Ordering::SeqCst);
        release.notified().await;
        "held"
    };
    let endless = async || {
        Body::from_stream(futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from(vec![
            b'x';
            65536
        ]))))
    };
    let info = async |info: ConnectionInfo| format!("{} {}", info.peer.ip(), info.tls);
    let upload = async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| match body {
        Ok(body) => body.len().to_string(),
        Err(_) => "stalled".to_owned(),
    };
    Router::new()
        .route("/ok", get(async || "ok"))
        .route("/held", get(hold))
        .route("/endless", get(endless))
        .route("/large", get(async || Bytes::from_static(&LARGE)))
        .route("/info", get(info))
        .route("/upload", post(upload))
        .route("/panic-in-body", get(async || Body::from_stream(futures_util::stream::poll_fn(panicking))))
        .merge(health::route("tested", HealthReport::healthy))
}

fn panicking(_: &mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Bytes, io::Error>>> {
    panic!("in the middle of a reply")
}

/// Sends `request` and reads one reply of known length.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    read_reply(stream).await
}

/// Reads one reply: its headers, then as many bytes as they say.
async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await?);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(head + &String::from_utf8(body).unwrap())
}

fn get_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: tested\r\n\r\n")
}

/// Waits until the other side has closed, whatever comes before.
async fn wait_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; 65536];
    while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {}
}

#[tokio::test]
async fn a_connection_is_kept_for_more_requests_one_after_another_and_at_once() {
    let bench = Bench::with(|_| {});
    let mut stream = bench.connect().await;
    for _ in 0..3 {
        let reply = exchange(&mut stream, &get_of("/ok")).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("\r\n\r\nok"), "{reply}");
    }
    stream.write_all(get_of("/ok").repeat(3).as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert!(read_reply(&mut stream).await.unwrap().ends_with("ok"));
    }
    assert!(exchange(&mut stream, &get_of("/info")).await.unwrap().ends_with("127.0.0.1 false"));
}

#[tokio::test]
async fn binding_a_port_in_use_names_port_and_setting() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap(), "a.port").unwrap();
    let error = Listener::bind(first.address(), "api_gateway.port").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BindError::InUse { .. }));
    assert!(
        text.contains(&format!("port {}", first.address().port())) && text.contains("`api_gateway.port`"),
        "{text}"
    );
    let error = Listener::bind("203.0.113.7:8080".parse().unwrap(), "a.listen").unwrap_err();
    assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_handed_over_serves() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::from_std(socket).unwrap();
    let address = listener.address();
    let router = Router::new().route("/ok", get(async || "ok"));
    tokio::spawn(serve(listener, router, ListenPolicy::loopback("tested"), CancellationToken::new()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(exchange(&mut stream, &get_of("/ok")).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let bench = Bench::with(|_| {});
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
    let header = format!("GET /ok HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET /ok HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
    let garbage: [&[u8]; 7] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\xff\xfe\xfd",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        long.as_bytes(),
        header.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in garbage {
        let mut stream = bench.connect().await;
        // The server may close before it has taken everything.
        let _closed_early = stream.write_all(bytes).await;
        let _closed_early = stream.shutdown().await;
        let mut reply = Vec::new();
        let _reset = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    let mut stream = bench.connect().await;
    assert!(exchange(&mut stream, &get_of("/ok")).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn a_port_without_a_certificate_hangs_up_on_tls() {
    let bench = Bench::with(|_| {});
    let mut stream = bench.connect().await;
    stream.write_all(&[0x16, 3, 1, 0, 200]).await.unwrap();
    wait_closed(&mut stream).await;
}

#[tokio::test]
async fn slow_clients_are_cut_in_every_phase() {
    let bench = Bench::with(|limits| {
        limits.opening_ms = 100;
        limits.header_read_ms = 100;
        limits.idle_ms = 100;
    });
    let mut silent = bench.connect().await;
    wait_closed(&mut silent).await;
    let mut half = bench.connect().await;
    half.write_all(b"GET /ok HTTP/1.1\r\nHost: t").await.unwrap();
    wait_closed(&mut half).await;
    let mut idle = bench.connect().await;
    exchange(&mut idle, &get_of("/ok")).await.unwrap();
    wait_closed(&mut idle).await;
}

#[tokio::test]
async fn a_trickle_of_header_bytes_does_not_prolong_the_time() {
    let bench = Bench::with(|limits| limits.header_read_ms = 200);
    let (mut read, mut write) = bench.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while write.write_all(b"X").await.is_ok() {
            ticks.tick().await;
        }
    });
    wait_closed(&mut read).await;
    trickle.await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let bench = Bench::with(|limits| limits.write_stall_ms = 100);
    let mut stream = bench.connect().await;
    stream.write_all(get_of("/endless").as_bytes()).await.unwrap();
    // Written to until the server has cut it; it never reads.
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_body_that_stalls_fails_its_handler() {
    let bench = Bench::with(|limits| limits.body_stall_ms = 100);
    let mut stream = bench.connect().await;
    let head = "POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhalf";
    assert!(exchange(&mut stream, head).await.unwrap().ends_with("stalled"));
    wait_closed(&mut stream).await;
    let mut stream = bench.connect().await;
    let whole = "POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nfull";
    assert!(exchange(&mut stream, whole).await.unwrap().ends_with('4'));
}

#[tokio::test]
async fn ten_thousand_idle_connections_lock_nobody_out() {
    let bench = Bench::with(|_| {});
    let mut idle = Vec::new();
    for _ in 0..10_000 {
        // The server's side of those beyond the limit is closed again; ours stays open, as an attacker's would.
        idle.push(bench.connect().await);
    }
    let mut stream = bench.connect().await;
    assert!(exchange(&mut stream, &get_of("/ok")).await.unwrap().ends_with("ok"));
    let mut buffer = [0; 1];
    let mut cut = 0;
    for stream in &idle {
        cut +=
            usize::from(!matches!(stream.try_read(&mut buffer), Err(error) if error.kind() == ErrorKind::WouldBlock));
    }
    assert!(cut >= 10_000 - Limits::default().connections_max, "only {cut} were cut");
}

#[tokio::test]
async fn a_slow_loris_attack_locks_nobody_out_and_spares_requests_in_progress() {
    let bench = Bench::with(|limits| limits.connections_max = 50);
    let mut victim = bench.connect().await;
    victim.write_all(get_of("/held").as_bytes()).await.unwrap();
    bench.wait_held(1).await;
    let mut attackers = Vec::new();
    for _ in 0..500 {
        let mut stream = bench.connect().await;
        // A connection may be cut before this is written.
        let _cut = stream.write_all(b"GET /ok HTTP/1.1\r\nX: ").await;
        attackers.push(stream);
    }
    let mut stream = bench.connect().await;
    assert!(exchange(&mut stream, &get_of("/ok")).await.unwrap().ends_with("ok"));
    bench.release.notify_one();
    assert!(read_reply(&mut victim).await.unwrap().ends_with("held"));
}

#[tokio::test]
async fn a_panic_in_a_reply_stream_ends_its_own_connection_only() {
    let bench = Bench::with(|_| {});
    let mut stream = bench.connect().await;
    stream.write_all(get_of("/panic-in-body").as_bytes()).await.unwrap();
    wait_closed(&mut stream).await;
    let mut stream = bench.connect().await;
    assert!(exchange(&mut stream, &get_of("/ok")).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_idle_connections() {
    let bench = Bench::with(|_| {});
    let mut busy = bench.connect().await;
    busy.write_all(get_of("/held").as_bytes()).await.unwrap();
    let mut idle = bench.connect().await;
    exchange(&mut idle, &get_of("/ok")).await.unwrap();
    let mut silent = bench.connect().await;
    bench.wait_held(1).await;
    bench.cancel.cancel();
    wait_closed(&mut idle).await;
    wait_closed(&mut silent).await;
    while TcpStream::connect(bench.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    bench.release.notify_one();
    let reply = read_reply(&mut busy).await.unwrap();
    assert!(reply.ends_with("held") && reply.contains("connection: close"), "{reply}");
    wait_closed(&mut busy).await;
    bench.served.await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_no_half_sent_head() {
    let bench = Bench::with(|limits| limits.grace_ms = 60_000);
    let mut half = bench.connect().await;
    half.write_all(b"GET /ok HTTP/1.1\r\nHost: t").await.unwrap();
    let mut second_half = bench.connect().await;
    exchange(&mut second_half, &get_of("/ok")).await.unwrap();
    second_half.write_all(b"GET /ok HT").await.unwrap();
    // An answer on a connection made later means that the earlier ones were accepted.
    let mut later = bench.connect().await;
    exchange(&mut later, &get_of("/ok")).await.unwrap();
    bench.cancel.cancel();
    tokio::time::timeout(AT_ONCE, bench.served).await.expect("no grace for half a head").unwrap();
    for stream in [&mut half, &mut second_half] {
        wait_closed(stream).await;
    }
}

#[tokio::test]
async fn stopping_lets_a_slow_client_have_the_rest_of_its_reply() {
    let bench = Bench::with(|limits| limits.grace_ms = 60_000);
    let mut slow = bench.connect().await;
    slow.write_all(get_of("/large").as_bytes()).await.unwrap();
    let mut first = [0; 64];
    slow.read_exact(&mut first).await.unwrap();
    bench.cancel.cancel();
    // The listener has seen the stop once it refuses connections.
    while TcpStream::connect(bench.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200") && rest.len() > LARGE.len(), "{} bytes came", rest.len());
    tokio::time::timeout(AT_ONCE, bench.served).await.expect("the reply was all there was to wait for").unwrap();
}

#[tokio::test]
async fn stopping_cuts_what_does_not_finish_in_time() {
    let bench = Bench::with(|limits| limits.grace_ms = 50);
    let mut busy = bench.connect().await;
    busy.write_all(get_of("/held").as_bytes()).await.unwrap();
    bench.wait_held(1).await;
    bench.cancel.cancel();
    bench.served.await.unwrap();
    wait_closed(&mut busy).await;
}

/// A LAN port with a certificate, and a client that trusts its authority.
fn tls_bench(limits: impl FnOnce(&mut Limits)) -> (Bench, tokio_rustls::TlsConnector, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now();
    let names = CertificateNames::new("lucid", []);
    let certificate = DeviceCertificate::open(&dir.path().join("tls"), &names, now, now).unwrap();
    let mut policy = ListenPolicy::lan("tested", certificate.server_config());
    limits(&mut policy.limits);
    let connector = crate::certificate::tests::client(&certificate);
    (Bench::start(policy), connector, dir)
}

#[tokio::test]
async fn one_port_speaks_tls_and_plain_http_by_the_first_byte() {
    let (bench, connector, _dir) = tls_bench(|_| {});
    let mut plain = bench.connect().await;
    assert!(exchange(&mut plain, &get_of("/info")).await.unwrap().ends_with("127.0.0.1 false"));
    let name = rustls::pki_types::ServerName::try_from("lucid.local").unwrap();
    let mut tls = connector.connect(name, bench.connect().await).await.unwrap();
    for _ in 0..2 {
        assert!(exchange(&mut tls, &get_of("/info")).await.unwrap().ends_with("127.0.0.1 true"));
    }
}

#[tokio::test]
async fn broken_and_endless_handshakes_end() {
    let (bench, connector, _dir) = tls_bench(|limits| limits.opening_ms = 5_000);
    let mut half = bench.connect().await;
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).await.unwrap();
    wait_closed(&mut half).await;
    let mut garbage = bench.connect().await;
    garbage.write_all(&[0x16; 4096]).await.unwrap();
    wait_closed(&mut garbage).await;
    let name = rustls::pki_types::ServerName::try_from("elsewhere.example").unwrap();
    assert!(connector.connect(name, bench.connect().await).await.is_err());
    let name = rustls::pki_types::ServerName::try_from("lucid.local").unwrap();
    let mut tls = connector.connect(name, bench.connect().await).await.unwrap();
    assert!(exchange(&mut tls, &get_of("/ok")).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn stopping_waits_for_no_half_sent_head_over_tls() {
    let (bench, connector, _dir) = tls_bench(|limits| limits.grace_ms = 60_000);
    let name = rustls::pki_types::ServerName::try_from("lucid.local").unwrap();
    let mut tls = connector.connect(name, bench.connect().await).await.unwrap();
    exchange(&mut tls, &get_of("/ok")).await.unwrap();
    tls.write_all(b"GET /ok HTTP/1.1\r\nHost: t").await.unwrap();
    tls.flush().await.unwrap();
    bench.cancel.cancel();
    tokio::time::timeout(AT_ONCE, bench.served).await.expect("no grace for half a head").unwrap();
    wait_closed(&mut tls).await;
}

#[tokio::test]
async fn a_tls_client_that_does_not_read_is_cut() {
    let (bench, connector, _dir) = tls_bench(|limits| limits.write_stall_ms = 100);
    let name = rustls::pki_types::ServerName::try_from("lucid.local").unwrap();
    let mut tls = connector.connect(name, bench.connect().await).await.unwrap();
    tls.write_all(get_of("/endless").as_bytes()).await.unwrap();
    while tls.write_all(b"x").await.and(tls.flush().await).is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
