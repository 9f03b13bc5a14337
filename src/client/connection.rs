//! Requests to one server with one login: checks the certificate, adds the token, renews it when it has run out.
//!
//! Must never follow a redirect (it would carry the token elsewhere) and never go through a proxy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio_stream::StreamExt;

use crate::api::{RefreshRequest, Tokens, read_json, read_text, refused};
use crate::credentials::{CredentialStore, Credentials};
use crate::error::ClientError;
use crate::pin::{Fingerprint, PinVerifier};
use crate::secret::Secret;
use crate::server::Server;

/// For the connection to come about, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a small request and its whole reply.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// For the next piece of a long reply, or its first byte.
pub(crate) const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// The HTTP side alone: who is on the other end is checked, who we are is not said.
pub(crate) struct Transport {
    server: Server,
    http: reqwest::Client,
    verifier: Arc<PinVerifier>,
    pinned: Option<Fingerprint>,
}

impl Transport {
    /// Trusts the pinned certificate only; without one any, which only [`crate::trust`] may do.
    pub(crate) fn new(server: Server, pinned: Option<Fingerprint>) -> Result<Self, ClientError> {
        let verifier = PinVerifier::new(pinned);
        let tls = verifier.config().map_err(|source| ClientError::Tls { source })?;
        // No TCP_USER_TIMEOUT: it would end a connection on which the server holds us back with a closed window.
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(15))
            .tcp_nodelay(true);
        let http = builder.build().map_err(|source| ClientError::Setup { source })?;
        Ok(Self { server, http, verifier, pinned })
    }

    /// What the server showed, after a request without a pin.
    pub(crate) fn take_seen(&self) -> Option<Fingerprint> {
        self.verifier.take_seen()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.server.url(path))
    }

    /// Sends, whatever the status of the reply.
    pub(crate) async fn send(&self, attempted: &str, request: RequestBuilder) -> Result<Response, ClientError> {
        request.send().await.map_err(|error| self.connection_error(attempted, error))
    }

    fn connection_error(&self, attempted: &str, error: reqwest::Error) -> ClientError {
        match (self.pinned, self.verifier.take_seen()) {
            (Some(pinned), Some(found)) => {
                ClientError::CertificateChanged { server: self.server.to_string(), pinned, found }
            }
            _ => ClientError::Connection { attempted: attempted.to_owned(), source: error.without_url() },
        }
    }
}

/// A server that this user is logged in to.
pub struct Client {
    transport: Transport,
    store: CredentialStore,
    credentials: Mutex<Credentials>,
}

impl Client {
    /// Takes up the login that `store` keeps for `server`. Sends nothing yet.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn open(store: CredentialStore, server: Server) -> Result<Self, ClientError> {
        let credentials =
            store.load(&server)?.ok_or_else(|| ClientError::NotLoggedIn { server: server.to_string() })?;
        let transport = Transport::new(server, credentials.pinned)?;
        Ok(Self { transport, store, credentials: Mutex::new(credentials) })
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.transport.server
    }

    /// Sends what `build` makes, with the token; renews the token once if it is refused, and builds again. Replies
    /// with an error status become errors.
    pub(crate) async fn send(
        &self,
        attempted: &str,
        build: impl Fn(&Transport) -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        let token = self.credentials.lock().await.access_token.clone();
        let request = build(&self.transport).bearer_auth(token.expose());
        let mut response = self.transport.send(attempted, request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let token = self.renew(&token).await?;
            let request = build(&self.transport).bearer_auth(token.expose());
            response = self.transport.send(attempted, request).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(refused(attempted, response).await) }
    }

    /// A small request with a JSON reply.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        attempted: &str,
        build: impl Fn(&Transport) -> RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.send(attempted, |transport| build(transport).timeout(CALL_TIMEOUT)).await?;
        read_json(attempted, response).await
    }

    /// A small text.
    pub(crate) async fn text(&self, attempted: &str, path: &str) -> Result<String, ClientError> {
        let get = |transport: &Transport| transport.request(Method::GET, path).timeout(CALL_TIMEOUT);
        read_text(attempted, self.send(attempted, get).await?).await
    }

    /// A reply of any length: the first byte must come in time, every further piece, too (see [`pieces`]).
    pub(crate) async fn long(
        &self,
        attempted: &str,
        build: impl Fn(&Transport) -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        let stalled = || ClientError::Stalled { attempted: attempted.to_owned(), after_s: PIECE_TIMEOUT.as_secs() };
        tokio::time::timeout(PIECE_TIMEOUT, self.send(attempted, build)).await.map_err(|_| stalled())?
    }

    /// Tells the server to end this login, and forgets it here whatever the server says. A server that is another one
    /// now, or that has ended the login itself, need not be told.
    pub(crate) async fn log_out(&self) -> Result<(), ClientError> {
        let post = |transport: &Transport| transport.request(Method::POST, "/api/auth/logout").timeout(CALL_TIMEOUT);
        let told = self.send("log out", post).await;
        self.store.forget(self.server())?;
        match told {
            Ok(_) | Err(ClientError::CertificateChanged { .. } | ClientError::LoginExpired { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// New tokens in place of `stale`. Another program on this machine may have been faster: then its tokens are taken.
    async fn renew(&self, stale: &Secret) -> Result<Secret, ClientError> {
        let mut credentials = self.credentials.lock().await;
        if credentials.access_token != *stale {
            return Ok(credentials.access_token.clone());
        }
        let (store, server) = (self.store.clone(), self.server().clone());
        let lock =
            tokio::task::spawn_blocking(move || store.lock(&server)).await.expect("taking a lock does not panic")?;
        let stored = self.store.load(self.server())?;
        *credentials = stored.ok_or_else(|| ClientError::NotLoggedIn { server: self.server().to_string() })?;
        if credentials.access_token == *stale {
            self.refresh(&mut credentials).await?;
        }
        drop(lock);
        Ok(credentials.access_token.clone())
    }

    async fn refresh(&self, credentials: &mut Credentials) -> Result<(), ClientError> {
        let attempted = "renew the login";
        let body = RefreshRequest { refresh_token: &credentials.refresh_token };
        let request = self.transport.request(Method::POST, "/api/auth/refresh").timeout(CALL_TIMEOUT).json(&body);
        let response = self.transport.send(attempted, request).await?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(ClientError::LoginExpired { server: self.server().to_string() });
            }
            _ => return Err(refused(attempted, response).await),
        }
        let tokens: Tokens = read_json(attempted, response).await?;
        credentials.access_token = tokens.access_token;
        credentials.refresh_token = tokens.refresh_token;
        self.store.save(self.server(), credentials)
    }
}

/// The pieces of a long reply; a pause of more than [`PIECE_TIMEOUT`] between two is an error.
pub(crate) fn pieces(response: Response) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let pieces = response.bytes_stream().map_err(|error| std::io::Error::other(error.without_url()));
    pieces.timeout(PIECE_TIMEOUT).map(|piece| piece.unwrap_or_else(|elapsed| Err(elapsed.into())))
}
