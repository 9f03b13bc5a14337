//! The routes, with an agent over the real protocol.

use std::sync::mpsc;

use axum::body::Body;
use http_body_util::BodyExt as _;
use lucid_agent_protocol::update::{Attempt, Cause, Phase};
use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_layout::Slot;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::update::tests::agent::{Agent, incoming};
use crate::update::tests::bundle;

/// What comes from outside, and must be shown as text.
const HOSTILE: &str = "<script>alert(1)</script>";
/// What only whoever has the code may see.
const LOG: &str = "the last line of a service";

/// A page, and the codes that it shows.
struct Page {
    routes: Router,
    codes: mpsc::Receiver<String>,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn boot() -> Boot {
    let report = json!({
        "slot": "a", "boot_count": 4, "first_boot": false, "state": "kept", "provisioned": true,
        "rescue": format!("slot A failed three times, {HOSTILE}"), "serial": null,
        "problems": [{"code": "network", "text": "the network file is damaged"}],
    });
    Boot::Known(serde_json::from_value(report).unwrap())
}

impl Page {
    fn of(agent: AgentLink) -> Self {
        Self::new(boot(), agent)
    }

    fn new(boot: Boot, agent: AgentLink) -> Self {
        let (shows, codes) = mpsc::channel();
        let announce: Announce = Arc::new(move |code| shows.send(code.to_owned()).unwrap());
        let (certificate_problem, kernel_log) = (None, Err("it was not handed over".to_owned()));
        Self { routes: routes(Deps { boot, agent, certificate_problem, kernel_log, announce }), codes }
    }

    async fn code(&self) -> String {
        loop {
            match self.codes.try_recv() {
                Ok(code) => return code,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Reply {
        let response = self.routes.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path), "").await
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form.to_owned()).await
    }

    async fn upload(&self, body: impl Into<Body>) -> Reply {
        self.send(Request::post("/bundle").header("content-type", "multipart/form-data; boundary=edge"), body).await
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/rescue/status").await.body).unwrap()
    }
}

impl Reply {
    fn location(&self) -> &str {
        self.headers["location"].to_str().unwrap()
    }
}

/// A form with a file.
fn form(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n");
    [head.as_bytes(), content, b"\r\n--edge--\r\n"].concat()
}

/// An agent that took a release back.
fn agent(id: lucid_layout::Digest) -> Agent {
    let agent = Agent::start(id);
    let why = format!("auth-service was not healthy, {HOSTILE}");
    let outcome =
        lucid_agent_protocol::update::Outcome::RolledBack { cause: Cause::Service, why, log: vec![LOG.to_owned()] };
    let attempt = Attempt { at_ms: 0, version: "9.9.9".to_owned(), build_id: None, slot: Slot::B, outcome };
    agent.world().report.history = vec![attempt];
    agent
}

#[tokio::test]
async fn the_page_says_why_what_was_tried_and_what_can_be_done() {
    let (_, id) = bundle(1000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let shown = page.get("/").await;
    assert_eq!(shown.status, 200);
    for part in [
        "Slot A failed three times",
        "the network file is damaged",
        "Slot B",
        "9.9.9 was tried and taken back",
        "action=\"/bundle\"",
        "action=\"/restart\"",
        "action=\"/diagnostics\"",
        "action=\"/network\"",
        "flash.sh",
    ] {
        assert!(shown.body.to_lowercase().contains(&part.to_lowercase()), "{part}: {}", shown.body);
    }
    assert!(!shown.body.contains("action=\"/install\""), "there is nothing to install yet: {}", shown.body);
    assert!(!shown.body.contains("<script") && !shown.body.contains(LOG), "{}", shown.body);
    assert!(shown.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    let style = shown.body.split('"').find(|part| part.ends_with("style.css")).unwrap();
    assert_eq!(page.get(style).await.status, 200);
    let status = page.status().await;
    assert_eq!(status["agent"]["history"][0]["version"], "9.9.9");
    assert!(status["reason"].as_str().unwrap().starts_with("slot A failed") && !status.to_string().contains(LOG));
}

#[tokio::test]
async fn health_and_every_other_address_say_that_it_is_in_rescue() {
    let page = Page::of(AgentLink::new(None));
    let health = page.get("/health").await;
    let told: Value = serde_json::from_str(&health.body).unwrap();
    assert_eq!((health.status, &told["status"]), (503, &json!("rescue")));
    assert!(told["reasons"][0].as_str().unwrap().contains("failed three times"));
    let api = page.get("/api/services").await;
    assert!(api.status == 503 && api.body.contains("in_rescue") && api.body.contains("three times"), "{api:?}");
    let led = page.send(Request::get("/sessions?x=1").header("accept", "text/html,*/*"), "").await;
    assert_eq!((led.status, led.location()), (303, "/"));
    assert_eq!(page.post("/sessions", "").await.status, 503);
}

#[tokio::test]
async fn a_bundle_reaches_the_agent_byte_for_byte_and_is_installed() {
    let (bytes, id) = bundle(700_000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let sent = page.upload(form("file", &bytes)).await;
    assert_eq!((sent.status, sent.location()), (303, "/?done=sent"), "{}", sent.body);
    assert!(agent.world().received == bytes);
    let shown = page.get(sent.location()).await.body;
    assert!(shown.contains("written and read back") && shown.contains("action=\"/install\""), "{shown}");
    let installed = page.post("/install", "").await;
    assert_eq!((installed.status, installed.location()), (303, "/?done=installing"));
    assert_eq!(page.post("/restart", "").await.location(), "/?done=restarting");
    let asked = agent.world().asked.clone();
    assert!(matches!(asked[0], Order::Bundle { offset: 0, bundle: None, automatic: false }), "{asked:?}");
    assert_eq!(asked[1], Order::InstallUpdate { soak_s: 180 });
    assert!(matches!(asked[2], Order::Reboot { .. }), "{asked:?}");
}

#[tokio::test]
async fn what_the_agent_refuses_is_said_in_its_words() {
    let (bytes, id) = bundle(700_000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let untrusted = Refusal::new(RefusalCode::Untrusted, format!("no trusted key signed it {HOSTILE}"));
    agent.world().refuses_at = Some((100_000, untrusted));
    let refused = page.upload(form("file", &bytes)).await;
    assert!(refused.status == 422 && refused.body.contains("No trusted key signed it"), "{refused:?}");
    assert!(!refused.body.contains(HOSTILE), "{refused:?}");
    let transfer = page.status().await["transfer"].clone();
    assert!(transfer["active"] == false && transfer["problem"].to_string().contains("trusted"), "{transfer}");
    agent.world().refuses_orders = Some(Refusal::new(RefusalCode::WrongState, "nothing is written"));
    let refused = page.post("/install", "").await;
    assert!(refused.status == 409 && refused.body.contains("Nothing is written"), "{refused:?}");
}

#[tokio::test]
async fn one_bundle_at_a_time_and_one_that_breaks_off_is_not_taken_for_the_whole() {
    let (bytes, id) = bundle(700_000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let (pieces, body) = live_body();
    let first = bytes::Bytes::from(form("file", &bytes)[..300_000].to_vec());
    pieces.send(Ok(first)).await.unwrap();
    let slow = async {
        let broken = page.upload(body).await;
        assert_eq!(broken.status, 400, "{broken:?}");
    };
    let meanwhile = async {
        while page.status().await["transfer"]["active"] != true {
            tokio::task::yield_now().await;
        }
        let busy = page.upload(form("file", &bytes)).await;
        assert!(busy.status == 409 && busy.body.contains("Another bundle"), "{busy:?}");
        pieces.send(Err(std::io::ErrorKind::ConnectionReset.into())).await.unwrap();
        drop(pieces);
    };
    tokio::join!(slow, meanwhile);
    assert!(!matches!(agent.world().report.phase, Phase::Written { .. }));
    agent.world().received.clear();
    // The thread that sent it ends a moment later.
    while page.upload(form("file", &bytes)).await.status != 303 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(&agent.world().report.phase, Phase::Written { incoming: found } if *found == incoming(id)));
}

/// A body that comes as it is sent.
fn live_body() -> (tokio::sync::mpsc::Sender<std::io::Result<bytes::Bytes>>, Body) {
    let (pieces, body) = tokio::sync::mpsc::channel(4);
    (pieces, Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body)))
}

#[tokio::test(start_paused = true)]
async fn a_file_that_does_not_begin_makes_room_for_others() {
    let (bytes, id) = bundle(1000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    for begun in ["", "--edge\r\nContent-Disposition: form-data;"] {
        let (pieces, body) = live_body();
        pieces.send(Ok(begun.into())).await.unwrap();
        let ended = page.upload(body).await;
        assert!(ended.status == 408 && ended.body.contains("did not begin within 15 seconds"), "{begun:?}: {ended:?}");
    }
    assert_eq!(agent.world().asked, []);
    assert_eq!(page.upload(form("file", &bytes)).await.status, 303);
}

/// The clock is the test's. A transfer has a thread, so that it stands still otherwise.
#[tokio::test(start_paused = true)]
async fn an_upload_that_drips_or_stalls_is_ended_and_says_why() {
    let (bytes, id) = bundle(700_000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let whole = form("file", &bytes);
    for drips in [0, 1, 8] {
        let (pieces, body) = live_body();
        pieces.send(Ok(bytes::Bytes::copy_from_slice(&whole[..300_000]))).await.unwrap();
        let (began, really_began) = (tokio::time::Instant::now(), std::time::Instant::now());
        let slow = async {
            let ended = page.upload(body).await;
            assert!(ended.status == 400 && ended.body.contains("under 1048576 bytes came in 10 minutes"), "{ended:?}");
            assert!(began.elapsed() >= Duration::from_secs(600), "{drips}: {:?}", began.elapsed());
        };
        let dripping = async {
            while agent.world().received.len() < 200_000 {
                tokio::task::yield_now().await;
            }
            for drip in 0..drips {
                tokio::time::advance(Duration::from_secs(60)).await;
                let drop = whole[300_000 + drip * 1000..][..1000].to_vec();
                pieces.send(Ok(drop.into())).await.unwrap();
            }
            while !pieces.is_closed() {
                assert!(really_began.elapsed() < Duration::from_secs(60), "it is not ended");
                tokio::time::advance(Duration::from_secs(60)).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(slow, dripping);
        let transfer = page.status().await["transfer"].clone();
        assert!(transfer["active"] == false && transfer["problem"].to_string().contains("10 minutes"), "{transfer}");
        assert!(!matches!(agent.world().report.phase, Phase::Written { .. }));
        agent.world().received.clear();
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_reach_nobody() {
    let (_, id) = bundle(1000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let bodies: [&[u8]; 5] = [b"", b"garbage", b"--edge\r\n", &form("other", b"x"), b"--edge--\r\n"];
    for body in bodies {
        let refused = page.upload(body.to_vec()).await;
        assert_eq!(refused.status, 400, "{}: {refused:?}", String::from_utf8_lossy(body));
    }
    assert_eq!(page.post("/bundle", "file=x").await.status, 400, "no form with a file");
    for path in ["/network", "/diagnostics"] {
        assert_eq!(page.post(path, "").await.status, 400, "{path}");
        assert_eq!(page.post(path, "code=%FF%00&code=x").await.status, 403, "{path}");
        assert_eq!(page.post(path, &"x".repeat(FORM_BYTES_MAX + 1)).await.status, 413, "{path}");
        assert_eq!(page.send(Request::post(path), "code=x").await.status, 415, "{path}");
        assert_eq!(page.get(path).await.status, 405, "{path}");
    }
    assert_eq!(agent.world().asked, []);
}

#[tokio::test]
async fn pages_of_somebody_else_give_no_orders() {
    let (_, id) = bundle(1000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    for path in ["/restart", "/install", "/bundle", "/network", "/diagnostics"] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "null")] {
            let request = Request::post(path).header(name, value).header("host", "lucid.local");
            assert_eq!(page.send(request, "").await.status, 403, "{path} {name}: {value}");
        }
    }
    assert_eq!(agent.world().asked, []);
    let request = Request::post("/restart").header("sec-fetch-site", "same-origin");
    assert_eq!(page.send(request, "").await.status, 303);
}

#[tokio::test]
async fn diagnostics_and_the_network_take_the_code_that_stands_on_the_console() {
    let (_, id) = bundle(1000);
    let agent = agent(id);
    let page = Page::of(agent.link());
    let code = page.code().await;
    for path in ["/diagnostics", "/network"] {
        let refused = page.post(path, "code=0000-0000-0000-0000").await;
        assert!(refused.status == 403 && refused.body.contains("code is wrong"), "{refused:?}");
        assert!(!refused.body.contains(LOG) && !refused.body.contains(&code), "{refused:?}");
    }
    assert_eq!(agent.world().asked, []);
    let saved = page.post("/diagnostics", &format!("code={code}")).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    for part in ["failed three times", "\"boot_count\": 4", LOG, "\"ssd\"", "it was not handed over"] {
        assert!(saved.body.contains(part), "{part}: {}", saved.body);
    }
    assert!(saved.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(page.post("/network", &format!("code={code}")).await.status, 403, "it is used up");
    let code = page.code().await;
    let done = page.post("/network", &format!("code={}", code.to_lowercase())).await;
    assert_eq!((done.status, done.location()), (303, "/?done=network"));
    assert_eq!(agent.world().asked, [Order::ForgetNetwork {}]);
}

#[tokio::test]
async fn ten_wrong_codes_and_the_right_one_comes_too_late() {
    let page = Page::of(AgentLink::new(None));
    let code = page.code().await;
    for _ in 0..9 {
        assert_eq!(page.post("/network", "code=no").await.status, 403);
    }
    for code in ["no", &code] {
        let void = page.post("/network", &format!("code={code}")).await;
        assert!(void.status == 429 && void.body.contains("code is void"), "{void:?}");
    }
}

#[tokio::test]
async fn without_an_agent_the_page_is_there_and_says_so() {
    for (agent, words) in [
        (AgentLink::new(Some(std::path::Path::new("/nonexistent/agent.sock"))), "/nonexistent/agent.sock"),
        (AgentLink::new(None), "no agent"),
    ] {
        let page = Page::of(agent);
        let shown = page.get("/").await;
        assert!(shown.status == 200 && shown.body.contains(words), "{shown:?}");
        assert!(shown.body.contains("failed three times") && page.status().await["agent"].is_null());
        for path in ["/restart", "/install"] {
            let failed = page.post(path, "").await;
            assert!(failed.status >= 400 && failed.body.contains(words), "{path}: {failed:?}");
        }
        let failed = page.upload(form("file", b"x")).await;
        assert!(failed.status >= 400 && failed.body.contains(words), "{failed:?}");
        let code = page.code().await;
        let saved = page.post("/diagnostics", &format!("code={code}")).await;
        assert!(saved.status == 200 && saved.body.contains(words), "{saved:?}");
    }
}

#[tokio::test]
async fn why_is_said_or_that_it_is_not_known() {
    let unknown = Boot::Unknown { reason: "`boot.json`: gone".to_owned() };
    for (boot, words) in [(unknown, "why is not known"), (Boot::NotAnAppliance, "started by hand")] {
        assert!(reason(&boot).contains(words));
        let page = Page::new(boot, AgentLink::new(None));
        let shown = page.get("/").await.body.to_lowercase();
        assert!(shown.contains(words), "{shown}");
    }
}
