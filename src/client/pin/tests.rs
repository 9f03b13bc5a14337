//! Trust on first use, against real TLS handshakes.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::bench::{Words, credentials};
use crate::{Client, ClientError, CredentialStore, Login, Server, checkpoint, login, logout, trust};

/// An appliance's identity: its authority, and how to sign leaves.
struct Authority {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// A chain to show and the key of its leaf. The name is not the one the tests connect to.
    fn leaf(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["lucid.local".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (leaf.der().clone(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }
}

/// Answers every request with an empty 200 until the test ends, and counts the bytes it could read.
struct Tls {
    server: Server,
    requests: Arc<Mutex<String>>,
    _serving: tokio_util::task::AbortOnDropHandle<()>,
}

impl Tls {
    /// On `port`, or any free one for 0.
    async fn start(port: u16, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&requests);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                // The client may have gone away: that is what some tests want.
                drop(stream.write_all(reply).await);
                drop(stream.shutdown().await);
            }
        });
        Self { server, requests, _serving: tokio_util::task::AbortOnDropHandle::new(serving) }
    }

    fn requests(&self) -> String {
        self.requests.lock().unwrap().clone()
    }
}

fn store() -> (tempfile::TempDir, CredentialStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = CredentialStore::new(folder.path());
    (folder, store)
}

fn client(store: &CredentialStore, server: &Server, pinned: Fingerprint) -> Client {
    store.save(server, &crate::Credentials { pinned: Some(pinned), ..credentials(server) }).unwrap();
    Client::open(store.clone(), server.clone()).unwrap()
}

#[tokio::test]
async fn the_authority_is_pinned_where_it_signed_the_leaf() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let (_folder, store) = store();
    for (others, signed_by_last) in [(vec![authority.der.clone()], true), (vec![], false), (vec![stranger.der], false)]
    {
        let (leaf, key) = authority.leaf();
        let expected = Fingerprint::of(if signed_by_last { &authority.der } else { &leaf });
        let chain = [vec![leaf], others].concat();
        let tls = Tls::start(0, chain, key).await;
        let words = Words::default();
        let found = trust(&store, &tls.server, None, &words).await.unwrap();
        assert_eq!(found, Some(expected));
        assert!(words.all().contains(&expected.to_string()) && words.all().contains("trusted from now on"));
        checkpoint(&client(&store, &tls.server, expected)).await.unwrap();
    }
}

#[tokio::test]
async fn a_renewed_leaf_of_the_pinned_authority_is_accepted() {
    let authority = Authority::new();
    let (_folder, store) = store();
    for _ in 0..2 {
        let (leaf, key) = authority.leaf();
        let tls = Tls::start(0, vec![leaf, authority.der.clone()], key).await;
        checkpoint(&client(&store, &tls.server, Fingerprint::of(&authority.der))).await.unwrap();
    }
}

#[tokio::test]
async fn another_certificate_is_refused_before_anything_is_sent() {
    let (real, attacker) = (Authority::new(), Authority::new());
    let (leaf, key) = attacker.leaf();
    let pinned = Fingerprint::of(&real.der);
    let found = Fingerprint::of(&attacker.der);
    let tls = Tls::start(0, vec![leaf, attacker.der.clone()], key).await;
    let (_folder, store) = store();
    let client = client(&store, &tls.server, pinned);
    for _ in 0..2 {
        let error = checkpoint(&client).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::CertificateChanged { pinned: p, found: f, .. } if (*p, *f) == (pinned, found)),
            "{error}"
        );
        assert!(error.to_string().contains("lucid logout --server https://127.0.0.1:"), "{error}");
    }
    let credentials = Login { name: "ada".into(), password: String::from("correct horse").into() };
    assert!(login(&store, &tls.server, Some(pinned), &credentials).await.is_err());
    assert!(login(&store, &tls.server, None, &credentials).await.is_err(), "no pin, no password");
    assert!(trust(&store, &tls.server, None, &Words::default()).await.is_err(), "what is pinned stays pinned");
    assert_eq!(tls.requests(), "");
    logout(&store, &tls.server).await.unwrap();
    assert_eq!(trust(&store, &tls.server, None, &Words::default()).await.unwrap(), Some(found), "as the message says");
}

#[tokio::test]
async fn showing_the_pinned_authority_without_its_signature_does_not_help() {
    let (real, attacker) = (Authority::new(), Authority::new());
    let (leaf, key) = attacker.leaf();
    let tls = Tls::start(0, vec![leaf, real.der.clone()], key).await;
    let (_folder, store) = store();
    let error = checkpoint(&client(&store, &tls.server, Fingerprint::of(&real.der))).await.unwrap_err();
    assert!(matches!(error, ClientError::Connection { .. }), "{error}");
    assert_eq!(tls.requests(), "");
}

#[tokio::test]
async fn the_person_and_the_expected_fingerprint_decide() {
    let authority = Authority::new();
    let (leaf, key) = authority.leaf();
    let tls = Tls::start(0, vec![leaf, authority.der.clone()], key).await;
    let (_folder, store) = store();
    let right = Fingerprint::of(&authority.der);
    let answer = |answer| Words { answer, ..Words::default() };
    let declined = trust(&store, &tls.server, None, &answer(Some(false))).await.unwrap_err();
    assert!(matches!(declined, ClientError::CertificateDeclined { .. }));
    assert_eq!(trust(&store, &tls.server, None, &answer(Some(true))).await.unwrap(), Some(right));
    let quiet = answer(Some(false));
    assert_eq!(trust(&store, &tls.server, Some(right), &quiet).await.unwrap(), Some(right));
    assert_eq!(quiet.all(), "", "nothing to ask when the fingerprint was given");
    let wrong = Fingerprint::of(b"other");
    let error = trust(&store, &tls.server, Some(wrong), &quiet).await.unwrap_err();
    assert!(matches!(error, ClientError::CertificateUnexpected { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_not_taken_for_a_changed_one() {
    let (real, attacker) = (Authority::new(), Authority::new());
    let (leaf, key) = attacker.leaf();
    let tls = Tls::start(0, vec![leaf], key).await;
    let (_folder, store) = store();
    let client = client(&store, &tls.server, Fingerprint::of(&real.der));
    assert!(matches!(checkpoint(&client).await.unwrap_err(), ClientError::CertificateChanged { .. }));
    drop(tls);
    tokio::task::yield_now().await;
    assert!(matches!(checkpoint(&client).await.unwrap_err(), ClientError::Connection { .. }));
}

#[test]
fn fingerprints_are_read_in_all_usual_spellings() {
    let fingerprint = Fingerprint::of(b"certificate");
    let text = fingerprint.to_string();
    assert_eq!(text.len(), 95);
    for spelling in [text.clone(), text.to_lowercase(), text.replace(':', ""), format!(" {text}\n")] {
        assert_eq!(spelling.parse::<Fingerprint>().unwrap(), fingerprint);
    }
    for garbage in ["", "AB", &text[..93], &format!("{text}:00"), &text.replace('A', "G")[..]] {
        if garbage != text {
            assert!(garbage.parse::<Fingerprint>().is_err(), "{garbage}");
        }
    }
}
