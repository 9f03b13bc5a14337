//! One accepted connection, from its first byte to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::gate::ConnectionInfo;
use super::registry::{Activity, Phase};
use super::watched::{TimedBody, WatchedBody, WatchedStream};
use super::{Limits, ListenPolicy};

/// First byte of a TLS record that starts a handshake (RFC 8446, section 5.1). No HTTP method starts with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What all connections of a listener have in common.
pub(super) struct Shared {
    app: Router,
    policy: ListenPolicy,
    acceptor: Option<TlsAcceptor>,
    stop: CancellationToken,
}

/// Why a connection ended without a reply having failed.
enum End {
    Closed,
    Broken(hyper::Error),
    TimedOut(Phase),
}

impl Shared {
    pub(super) fn new(app: Router, policy: ListenPolicy, stop: CancellationToken) -> Self {
        let acceptor = policy.tls.clone().map(TlsAcceptor::from);
        Self { app, policy, acceptor, stop }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.policy.limits
    }

    pub(super) fn service(&self) -> &'static str {
        self.policy.service
    }
}

/// Serves one connection to its end. Failures are the client's affair: they are logged at debug level only.
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, activity: Arc<Activity>) {
    let stop = shared.stop.clone();
    // Nothing has been asked yet: on stop such a connection is simply closed.
    match stop.run_until_cancelled(open(stream, &shared)).await {
        None => {}
        Some(Err(error)) => tracing::debug!(%peer, %error, "connection not opened"),
        Some(Ok(Opened::Tls(stream))) => {
            // The handshake proves a live client: it may wait with its request, as browsers do that connect ahead.
            activity.enter(Phase::Idle);
            serve_http(stream, ConnectionInfo { peer, tls: true }, shared, activity).await;
        }
        Some(Ok(Opened::Plain(stream))) => {
            activity.enter(Phase::Headers);
            serve_http(stream, ConnectionInfo { peer, tls: false }, shared, activity).await;
        }
    }
}

/// A connection whose kind is known.
enum Opened {
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Plain(TcpStream),
}

/// Looks at the first byte and does the TLS handshake if it asks for one.
async fn open(stream: TcpStream, shared: &Shared) -> io::Result<Opened> {
    let limit = Duration::from_millis(shared.limits().opening_ms);
    // Replies are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    let mut first = [0; 1];
    let seen = timeout(limit, stream.peek(&mut first)).await??;
    if seen == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the first byte"));
    }
    if first[0] != TLS_HANDSHAKE {
        return Ok(Opened::Plain(stream));
    }
    let Some(acceptor) = &shared.acceptor else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS on a port without a certificate"));
    };
    Ok(Opened::Tls(Box::new(timeout(limit, acceptor.accept(stream)).await??)))
}

/// Speaks HTTP/1.1 until the connection ends, is idle or slow for too long, or the listener stops.
async fn serve_http<T>(stream: T, info: ConnectionInfo, shared: Arc<Shared>, activity: Arc<Activity>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let io = TokioIo::new(WatchedStream::new(stream, Arc::clone(&activity)));
    let service = service_fn(|request| answer(request, info, &shared, &activity));
    let mut builder = http1::Builder::new();
    // hyper's own header timer would also run between requests: the deadline of `Activity` stands in for it.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(shared.limits().header_bytes_max);
    let connection = builder.serve_connection(io, service);
    match drive(pin!(connection), &shared, &activity).await {
        End::Closed => {}
        End::Broken(error) => tracing::debug!(peer = %info.peer, %error, "connection broke"),
        End::TimedOut(phase) => tracing::debug!(peer = %info.peer, ?phase, "connection cut: too slow"),
    }
}

/// Polls a connection together with the stop signal and its deadline. By hand rather than with a select: one future
/// is polled to its end, the other two only ever end it.
async fn drive<I, S>(
    mut connection: std::pin::Pin<&mut http1::Connection<I, S>>,
    shared: &Shared,
    activity: &Activity,
) -> End
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut stopped = pin!(shared.stop.cancelled());
    let mut stopping = false;
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(result.map_or_else(End::Broken, |()| End::Closed));
        }
        if stopping && activity.has_nothing_under_way() {
            return Poll::Ready(End::Closed);
        }
        let Some(deadline) = activity.deadline(shared.limits()) else { return Poll::Pending };
        timer.as_mut().reset(deadline);
        timer.as_mut().poll(cx).map(|()| End::TimedOut(activity.phase()))
    })
    .await
}

/// One request: hands it to the application, with what is known of the connection.
async fn answer(
    request: Request<Incoming>,
    info: ConnectionInfo,
    shared: &Shared,
    activity: &Arc<Activity>,
) -> Result<Response<Body>, Infallible> {
    activity.enter(Phase::Busy);
    let stall = Duration::from_millis(shared.limits().body_stall_ms);
    let mut request = request.map(|body| Body::new(TimedBody::new(body, stall)));
    request.extensions_mut().insert(info);
    let response = shared.app.clone().oneshot(request).await?;
    Ok(response.map(|body| Body::new(WatchedBody::new(body, Arc::clone(activity)))))
}
