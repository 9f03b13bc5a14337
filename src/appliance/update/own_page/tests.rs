//! The own dashboard over real TLS: answering, closed, unwell, and somebody else's.

use axum::http::StatusCode;
use lucid_http::{DeviceCertificate, ListenPolicy, Listener, serve};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::update::tests::{certificate, clock};

/// A dashboard that answers `status`; it ends with the runtime.
fn dashboard(certificate: &DeviceCertificate, status: StatusCode) -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "test").unwrap();
    let address = listener.address();
    let router = axum::Router::new().route("/health", axum::routing::get(async move || status));
    let policy = ListenPolicy::lan("test", certificate.server_config());
    tokio::spawn(serve(listener, router, policy, CancellationToken::new()));
    address
}

async fn faults(addresses: Vec<SocketAddr>, certificate: &DeviceCertificate) -> Vec<String> {
    OwnPage::new(Arc::new(move || Ok(addresses.clone())), certificate.ca_pem(), clock()).unwrap().faults().await
}

#[tokio::test]
async fn only_the_own_dashboard_in_good_health_counts() {
    let folder = tempfile::tempdir().unwrap();
    let own = certificate(&folder.path().join("own"));
    let other = certificate(&folder.path().join("other"));
    let good = dashboard(&own, StatusCode::OK);
    assert_eq!(faults(vec![good], &own).await, Vec::<String>::new());
    assert_eq!(faults(Vec::new(), &own).await, Vec::<String>::new());

    let unwell = dashboard(&own, StatusCode::SERVICE_UNAVAILABLE);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let foreign = dashboard(&other, StatusCode::OK);
    let found = faults(vec![unwell, good, closed, foreign], &own).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains(&unwell.to_string()) && found[0].contains("503"), "{found:?}");
    assert!(found[1].contains(&closed.to_string()), "{found:?}");
    assert!(found[2].contains(&foreign.to_string()) && found[2].contains("certificate"), "{found:?}");
}

#[tokio::test]
async fn addresses_that_are_not_known_are_a_fault_and_an_authority_that_is_none_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let own = certificate(folder.path());
    let page = OwnPage::new(Arc::new(|| Err("netlink is away".to_owned())), own.ca_pem(), clock()).unwrap();
    assert_eq!(page.faults().await, ["netlink is away"]);
    assert!(OwnPage::new(Arc::new(|| Ok(Vec::new())), "no certificate", clock()).is_err());
}
