//! The API through its router: who may do what, what is put on record, and what comes back.

use axum::Extension;
use axum::http::Request as HttpRequest;
use http_body_util::BodyExt as _;
use lucid_agent_protocol::update::{EepromAttempt, EepromReport, Phase};
use lucid_agent_protocol::{Refusal, Request};
use lucid_device::Reading;
use lucid_http::bearer::authenticate_with;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::AgentLink;
use crate::update::Desk;
use crate::update::fetch::Fetcher;
use crate::update::kept::{Kept, Place};
use crate::update::settings::Settings;
use crate::update::tests::agent::Agent;
use crate::update::tests::ledger::Ledger;
use crate::update::tests::{bundle as made, clock};

/// The API over a desk without its service.
struct Bench {
    router: Router,
    ledger: Ledger,
    status: watch::Sender<Arc<UpdateStatus>>,
    _lease: lucid_kit::Lease<Desk>,
    _state: tempfile::TempDir,
}

impl Bench {
    fn new(link: AgentLink) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (place, fetcher) = (Place::make(state.path()).unwrap(), Fetcher::new(clock()).unwrap());
        let recordings = Arc::new(|| 0);
        let desk =
            Desk::new(Settings::default(), link, clock(), fetcher, [1; 32], recordings, (place, Kept::default()));
        let (lender, slot) = lucid_kit::slot("update");
        let (status, watched) = watch::channel(Arc::default());
        let ledger = Ledger::default();
        let updates = Updates::over(slot, watched);
        let deps = ApiDeps { updates, accounts: Arc::new(ledger.clone()), clock: clock() };
        let connection = ConnectionInfo { peer: "192.0.2.7:5".parse().unwrap(), tls: true };
        let router = routes(deps).layer(authenticate_with(Arc::new(ledger.clone()))).layer(Extension(connection));
        Self { router, ledger, status, _lease: lender.lend(Arc::new(desk)), _state: state }
    }

    async fn send(&self, method: &str, target: &str, token: &str, body: impl Into<Body>) -> Response {
        let kind = if target.contains("bundle") { "application/octet-stream" } else { "application/json" };
        let request = HttpRequest::builder().method(method).uri(target).header(header::CONTENT_TYPE, kind);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, target: &str, token: &str, body: impl Into<Body>) -> (u16, Value) {
        let response = self.send(method, target, token, body).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

const ORDERS: [(&str, &str, u16); 7] = [
    ("/api/update/pull", r#"{"url":"http://127.0.0.1:1/x"}"#, 202),
    ("/api/update/install", r#"{"when":"now"}"#, 202),
    ("/api/update/rollback", "", 202),
    ("/api/update/selftest", "", 202),
    ("/api/update/eeprom", r#"{"build_s":1779753600}"#, 202),
    ("/api/update/discard", "", 200),
    ("/api/update/check", "", 409),
];

#[tokio::test]
async fn orders_take_an_administrator_and_the_grave_ones_a_young_log_in() {
    let agent = Agent::start(Digest([1; 32]));
    let bench = Bench::new(agent.link());
    for (target, body, _) in ORDERS {
        for token in ["user:1", "developer:1"] {
            let (status, problem) = bench.ask("POST", target, token, body).await;
            assert!(status == 403 && problem["code"] == "role_required", "{target} {token}: {problem}");
        }
        assert_eq!(bench.ask("POST", target, "nobody", body).await.0, 401, "{target}");
        let is_grave = !matches!(target, "/api/update/discard" | "/api/update/check");
        let (status, problem) = bench.ask("POST", target, "admin:300", body).await;
        assert_eq!(is_grave, status == 403 && problem["code"] == "sign-in-again", "{target}: {problem}");
    }
    assert_eq!(bench.ask("POST", "/api/update/bundle", "admin:300", "x").await.1["code"], "sign-in-again");
    for (target, body, expected) in ORDERS {
        let (status, reply) = bench.ask("POST", target, "admin:299", body).await;
        assert_eq!(status, expected, "{target}: {reply}");
        assert!(expected == 409 || reply["settings"]["soak_s"] == 180, "{target}: {reply}");
    }
    let asked = agent.world().asked.clone();
    let grave = [
        Request::InstallUpdate { soak_s: 180 },
        Request::ReturnToOther { soak_s: 180 },
        Request::Selftest {},
        Request::InstallEeprom { build_s: 1_779_753_600 },
    ];
    assert!(grave.iter().all(|order| asked.iter().filter(|one| *one == order).count() == 1), "{asked:?}");
    let lines = bench.ledger.lines();
    assert!(lines.iter().any(|line| line == "update installed: now"), "{lines:?}");
    let eeprom = "update EEPROM: release of 2026-05-26 (built at 1779753600 s since 1970)";
    assert!(lines.iter().any(|line| line == eeprom), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("not done: no channel is set")), "{lines:?}");
    let peers = bench.ledger.notes.lock().unwrap().iter().all(|note| note.peer == "192.0.2.7" && note.user == "ada");
    assert!(peers, "{lines:?}");
}

#[tokio::test]
async fn a_bundle_is_sent_and_goes_on_after_a_break() {
    let (bundle, id) = made(200_000);
    let agent = Agent::start(id);
    let bench = Bench::new(agent.link());
    agent.world().breaks_at = Some(100_000);
    let (status, problem) = bench.ask("POST", "/api/update/bundle", "admin:1", bundle.clone()).await;
    assert!(status == 503 && problem["code"] == "agent_unavailable", "{problem}");
    let (_, reply) = bench.ask("GET", "/api/update/status", "user:1", "").await;
    let offset = usize::try_from(reply["agent"]["phase"]["offset"].as_u64().unwrap()).unwrap();
    assert!(offset >= 100_000 && reply["agent"]["phase"]["incoming"]["bundle"] == id.to_string(), "{reply}");
    let without = format!("/api/update/bundle?offset={offset}");
    assert_eq!(bench.ask("POST", &without, "admin:1", "x").await.1["code"], "bundle_missing");
    let beyond = format!("/api/update/bundle?offset={}&bundle={id}", offset + 1);
    let (status, problem) = bench.ask("POST", &beyond, "admin:1", bundle[offset + 1..].to_vec()).await;
    assert!(status == 409 && problem["code"] == "wrong_offset", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("from byte {offset} on")), "{problem}");
    let rest = format!("/api/update/bundle?offset={offset}&bundle={id}");
    let (status, reply) = bench.ask("POST", &rest, "admin:1", bundle[offset..].to_vec()).await;
    assert!(status == 200 && reply["agent"]["phase"]["phase"] == "written", "{reply}");
    assert!(agent.world().received == bundle);
    assert_eq!(reply["transfer"]["source"], "upload");
    assert_eq!(reply["transfer"]["active"], false);
}

#[tokio::test]
async fn what_is_refused_is_said_in_the_agents_words() {
    let (bundle, id) = made(1000);
    let agent = Agent::start(id);
    let bench = Bench::new(agent.link());
    for (code, status, word) in [
        (RefusalCode::Untrusted, 422, "untrusted"),
        (RefusalCode::Unsuitable, 422, "unsuitable"),
        (RefusalCode::WrongState, 409, "wrong_state"),
        (RefusalCode::Busy, 409, "busy"),
        (RefusalCode::Failed, 500, "failed"),
    ] {
        agent.world().refuses_at = Some((1, Refusal::new(code, "the agent's words")));
        let (answered, problem) = bench.ask("POST", "/api/update/bundle", "admin:1", bundle.clone()).await;
        assert!(answered == status && problem["code"] == word, "{code:?}: {problem}");
        assert_eq!(problem["detail"], "the agent's words");
    }
    let long = format!("{{\"when\":\"now\",\"x\":\"{}\"}}", "y".repeat(ORDER_BYTES_MAX));
    for (target, body) in [
        ("/api/update/install", "{}"),
        ("/api/update/install", r#"{"when":"soon"}"#),
        ("/api/update/install", r#"{"when":"now","soak_s":0}"#),
        ("/api/update/install", long.as_str()),
        ("/api/update/eeprom", ""),
        ("/api/update/eeprom", "{}"),
        ("/api/update/eeprom", r#"{"build_s":-1}"#),
        ("/api/update/eeprom", r#"{"build_s":"1779753600"}"#),
        ("/api/update/eeprom", r#"{"build_s":1779753600,"force":true}"#),
        ("/api/update/pull", r#"{"url":"file:///etc/shadow"}"#),
        ("/api/update/bundle?offset=-1", ""),
        ("/api/update/bundle?offset=1&bundle=zz", ""),
        ("/api/update/bundle?quick=1", ""),
    ] {
        let (status, problem) = bench.ask("POST", target, "admin:1", body.to_owned()).await;
        assert!(
            matches!(status, 400 | 413 | 422) && problem["code"].is_string(),
            "{target} {body}: {status} {problem}"
        );
    }
    let is_order = |request: &Request| matches!(request, Request::InstallUpdate { .. } | Request::InstallEeprom { .. });
    assert!(!agent.world().asked.iter().any(is_order));
}

/// With the settings that it brings, so that a program can show what somebody consents to.
#[tokio::test]
async fn the_status_tells_of_the_eeprom() {
    let agent = Agent::start(Digest([1; 32]));
    let bench = Bench::new(agent.link());
    let (_, reply) = bench.ask("GET", "/api/update/status", "user:1", "").await;
    let none = serde_json::json!({ "carried": { "absent": { "reason": "test" } }, "hindrance": null, "last": null });
    assert_eq!(reply["agent"]["eeprom"], none);
    let release = lucid_layout::EepromRelease {
        build_s: 1_779_753_600,
        version: "ab".repeat(20),
        sha256: Digest([9; 32]),
        settings: "[all]\nBOOT_UART=1\n".to_owned(),
    };
    let text = "it is of that date: all is well".to_owned();
    let last = EepromAttempt { at_ms: 5, build_s: 1_779_753_600, done: true, text };
    let hindrance = Some("it is there already".to_owned());
    let eeprom = EepromReport { carried: Reading::Present(release), hindrance, last: Some(last) };
    agent.world().report.eeprom = eeprom;
    let (_, reply) = bench.ask("GET", "/api/update/status", "user:1", "").await;
    let told = &reply["agent"]["eeprom"];
    assert_eq!(told["carried"]["present"]["settings"], "[all]\nBOOT_UART=1\n");
    assert_eq!(told["carried"]["present"]["build_s"], 1_779_753_600);
    assert!(told["hindrance"] == "it is there already" && told["last"]["done"] == true, "{told}");
}

#[tokio::test]
async fn a_form_can_not_send_a_bundle() {
    let bench = Bench::new(Agent::start(Digest([1; 32])).link());
    let request = HttpRequest::builder().method("POST").uri("/api/update/bundle");
    let request = request.header(header::AUTHORIZATION, "Bearer admin:1").header(header::CONTENT_TYPE, "text/plain");
    let response = bench.router.clone().oneshot(request.body(Body::from("x")).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn without_an_agent_the_status_says_so() {
    let bench = Bench::new(AgentLink::new(None));
    let (status, reply) = bench.ask("GET", "/api/update/status", "user:1", "").await;
    assert!(status == 200 && reply["agent"].is_null(), "{reply}");
    assert!(reply["agent_problem"].as_str().unwrap().contains("no agent"), "{reply}");
    assert_eq!(reply["channel"]["state"], "none");
    assert_eq!(bench.ask("GET", "/api/update/status", "nobody", "").await.0, 401);
    let (status, problem) = bench.ask("POST", "/api/update/rollback", "admin:1", "").await;
    assert!(status == 409 && problem["code"] == "no_agent", "{problem}");
}

/// The text of the next event.
async fn event(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// The clock jumps over the pauses.
#[tokio::test(start_paused = true)]
async fn events_come_at_every_change_and_beat_and_end_with_the_log_in() {
    let bench = Bench::new(AgentLink::new(None));
    let request = HttpRequest::builder().uri("/api/update/status").header(header::AUTHORIZATION, "Bearer user:1");
    let request = request.header(header::ACCEPT, "text/event-stream").body(Body::empty()).unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body();
    assert!(event(&mut body).await.unwrap().contains("\"agent_problem\":null"));
    let news = UpdateStatus { agent_problem: Some("it hangs".to_owned()), ..UpdateStatus::default() };
    bench.status.send_replace(Arc::new(news));
    assert!(event(&mut body).await.unwrap().contains("it hangs"));
    let began = tokio::time::Instant::now();
    assert!(event(&mut body).await.unwrap().contains("it hangs"), "a beat");
    assert_eq!(began.elapsed(), BEAT);
    *bench.ledger.revoked.lock().unwrap() = true;
    assert_eq!(event(&mut body).await, None);
}

#[tokio::test]
async fn streams_are_bounded() {
    let bench = Bench::new(AgentLink::new(None));
    let listen = || {
        let request = HttpRequest::builder().uri("/api/update/status").header(header::AUTHORIZATION, "Bearer user:1");
        bench.router.clone().oneshot(request.header(header::ACCEPT, "text/event-stream").body(Body::empty()).unwrap())
    };
    let mut open = Vec::new();
    for _ in 0..STREAMS_MAX {
        open.push(listen().await.unwrap());
    }
    assert!(open.iter().all(|response| response.status() == StatusCode::OK));
    assert_eq!(listen().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(open);
    assert_eq!(listen().await.unwrap().status(), StatusCode::OK);
}

/// An order for later is for the bundle that is there, also while it is still coming in.
#[tokio::test]
async fn an_order_for_later_is_kept() {
    let (_, id) = made(10);
    let agent = Agent::start(id);
    let bench = Bench::new(agent.link());
    let quiet = r#"{"when":"quiet"}"#;
    let (status, problem) = bench.ask("POST", "/api/update/install", "admin:1", quiet).await;
    assert!(status == 409 && problem["code"] == "nothing_written", "{problem}");
    agent.world().report.phase = Phase::Written { incoming: crate::update::tests::agent::incoming(id) };
    assert_eq!(bench.ask("POST", "/api/update/install", "admin:1", quiet).await.0, 202);
    let (status, problem) = bench.ask("POST", "/api/update/install", "admin:1", r#"{"when":"window"}"#).await;
    assert!(status == 409 && problem["code"] == "no_window", "{problem}");
    assert!(!agent.world().asked.iter().any(|request| matches!(request, Request::InstallUpdate { .. })));
}
