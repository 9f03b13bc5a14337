//! The pages that ask the agent: disks, restarting, switching off. The agent is a fake one behind the real protocol.

use lucid_agent_protocol::{
    Adoption, Content, Disk, Partition, Refusal, RefusalCode, Reply, Request, SsdState, Status,
};
use lucid_device::{DiskState, Reading, SmartState, Transport};

use super::fakes::{Bench, Browser, HOSTILE, Reply as Page, bench, bench_of};
use crate::{
    AgentLink, AgentView, Boot,
    agent_link::tests::{FakeAgent, status},
};

const PASSWORD: &str = "correct horse battery";

fn disk(id: &str, adoption: Adoption) -> Disk {
    let drive = DiskState {
        name: "sda".to_owned(),
        transport: Transport::Usb,
        model: Reading::Present(HOSTILE.to_owned()),
        serial: Reading::Present(id.to_owned()),
        size_bytes: Reading::Present(500_000_000_000),
        state: Reading::absent("test"),
        write_protected: Reading::Present(false),
        temperature_mc: Reading::absent("test"),
        temperature_alarm: Reading::absent("test"),
        smart: Reading::absent("test"),
    };
    let content = Content::Signature { kind: "ntfs".to_owned(), label: Some(HOSTILE.to_owned()), uuid: None };
    Disk {
        id: id.parse().unwrap(),
        drive,
        content: content.clone(),
        partitions: vec![Partition {
            number: 1,
            name: "sda1".to_owned(),
            size_bytes: 1_000_000,
            content,
            mounted_at: None,
        }],
        partitions_omitted: 0,
        mounted_at: None,
        system: false,
        adoption,
    }
}

fn answer(request: &Request) -> Reply {
    match request {
        Request::Disks {} => Reply::disks(vec![
            disk("EMPTY-1", Adoption::Formats),
            disk("OURS-2", Adoption::Adopted),
            disk("NTFS-3", Adoption::Refused { reason: format!("it holds {HOSTILE}: take another one") }),
        ]),
        Request::Smart { .. } => {
            let smart = SmartState {
                critical_warning: 0,
                available_spare_percent: 98,
                used_percent: 7,
                media_errors: 0,
                power_on_hours: 1234,
            };
            Reply::Smart { smart: Reading::Present(smart) }
        }
        Request::Adopt { disk, confirmation } if confirmation.as_ref() != Some(disk) => {
            Reply::Refused(Refusal::new(RefusalCode::NotConfirmed, "the typed number is another disk's: type it again"))
        }
        Request::Adopt { .. } | Request::Detach {} | Request::Mount {} => Reply::Accepted,
        _ => Reply::Done,
    }
}

fn with(agent: &FakeAgent, seen: Status) -> Bench {
    let bench = bench_of(Boot::NotAnAppliance, agent.link());
    bench.agent_view.send_replace(AgentView::Known(Box::new(seen)));
    bench
}

/// Sends a form of the page at `from` to `to`.
async fn post(browser: &mut Browser, from: &str, to: &str, fields: &[(&str, &str)]) -> Page {
    let csrf = browser.get(from).await.csrf();
    let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    browser.post(to, &fields).await
}

fn orders(agent: &FakeAgent) -> Vec<Request> {
    let asked = agent.asked.lock().unwrap();
    let is_order = |request: &&Request| !matches!(request, Request::Disks {} | Request::Smart { .. });
    asked.iter().filter(is_order).cloned().collect()
}

#[tokio::test]
async fn the_disks_are_shown_with_what_may_be_done() {
    let agent = FakeAgent::start(|request| Some(answer(request)));
    let bench = with(&agent, status(SsdState::Mounted, None));
    let mut browser = bench.logged_in("ada").await;
    let page = browser.get("/storage").await;
    assert_eq!(page.status, 200);
    for part in
        ["in use", "EMPTY-1", "500.0 GB", "Type its serial number", "the data disk", "7 % worn", "take another one"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains(HOSTILE), "{}", page.body);
    let mut developer = bench.logged_in("dev").await;
    let page = developer.get("/storage").await.body;
    assert!(page.contains("EMPTY-1") && !page.contains("/storage/adopt"), "{page}");
    assert_eq!(bench.logged_in("bob").await.get("/storage").await.status, 403);
}

#[tokio::test]
async fn an_order_takes_an_administrator_a_form_of_ours_and_the_password() {
    let agent = FakeAgent::start(|request| Some(answer(request)));
    let bench = with(&agent, status(SsdState::Mounted, None));
    let forms = [
        ("/storage", "/storage/adopt"),
        ("/storage", "/storage/detach"),
        ("/storage", "/storage/mount"),
        ("/system", "/system/restart"),
        ("/system", "/system/power-off"),
    ];
    let mut admin = bench.logged_in("ada").await;
    let mut developer = bench.logged_in("dev").await;
    let fields = [("disk", "EMPTY-1"), ("confirmation", "EMPTY-1"), ("password", PASSWORD)];
    let wrong = [("disk", "EMPTY-1"), ("confirmation", "EMPTY-1"), ("password", "not the password")];
    for (from, to) in forms {
        assert_eq!(admin.post(to, &fields).await.status, 403, "{to}: without the form's token");
        assert_eq!(post(&mut developer, "/account", to, &fields).await.status, 403, "{to}: a developer");
        let refused = post(&mut admin, from, to, &wrong).await;
        assert!(refused.status == 422 && refused.body.contains("password is wrong"), "{to}: {}", refused.body);
        let refused = post(&mut admin, from, to, &fields[..2]).await;
        assert_eq!(refused.status, 422, "{to}: without a password");
        assert_eq!(bench.browser().post(to, &fields).await.status, 303, "{to}: nobody");
    }
    assert_eq!(orders(&agent), []);
    assert_eq!(bench.fakes.with(|world| world.notes.len()), 0, "what was not done is not on record as done");

    for (from, to) in forms {
        let done = post(&mut admin, from, to, &fields).await;
        assert_eq!(done.status, 303, "{to}: {}", done.body);
        let shown = admin.get(done.header("location")).await;
        assert!(shown.body.contains("role=\"status\""), "{to}");
    }
    let asked = orders(&agent);
    let id = || "EMPTY-1".parse().unwrap();
    assert!(asked.contains(&Request::Adopt { disk: id(), confirmation: Some(id()) }) && asked.len() == 5, "{asked:?}");
    let notes = bench.fakes.with(|world| world.notes.iter().map(|note| note.action.clone()).collect::<Vec<_>>());
    assert_eq!(notes, ["disk adopted", "disk detached", "disk mounted", "restart", "power off"]);
    let notes = bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("192.0.2.7") && notes.contains("EMPTY-1") && !notes.contains(PASSWORD), "{notes}");
}

#[tokio::test]
async fn what_the_agent_refuses_is_shown_in_its_words_and_put_on_record() {
    let agent = FakeAgent::start(|request| Some(answer(request)));
    let bench = with(&agent, status(SsdState::NotAdopted, Some("no SSD: connect one")));
    let mut browser = bench.logged_in("ada").await;
    assert!(browser.get("/storage").await.body.contains("No SSD: connect one"));
    let fields = [("disk", "EMPTY-1"), ("confirmation", "OTHER-9"), ("password", PASSWORD)];
    let refused = post(&mut browser, "/storage", "/storage/adopt", &fields).await;
    assert!(refused.status == 409 && refused.body.contains("typed number is another disk"), "{}", refused.body);
    let notes = bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("not done: the typed number"), "{notes}");
    for bad in ["", "\u{7}", &"x".repeat(100)] {
        let refused = post(&mut browser, "/storage", "/storage/adopt", &[("disk", bad), ("password", PASSWORD)]).await;
        assert_eq!(refused.status, 422, "{bad:?}");
    }
}

#[tokio::test]
async fn an_agent_that_is_gone_is_shown_and_breaks_nothing_else() {
    let bench = bench_of(Boot::NotAnAppliance, AgentLink::new(Some(std::path::Path::new("/nonexistent/agent.sock"))));
    bench.agent_view.send_replace(AgentView::Unreachable { reason: "nobody listens".to_owned() });
    let mut browser = bench.logged_in("ada").await;
    for path in ["/storage", "/system"] {
        let page = browser.get(path).await;
        assert!(page.status == 200 && page.body.contains("nobody listens"), "{path}: {}", page.body);
    }
    let failed = post(&mut browser, "/system", "/system/restart", &[("password", PASSWORD)]).await;
    assert!(failed.status == 503 && failed.body.contains("/nonexistent/agent.sock"), "{}", failed.body);
    assert!(browser.get("/").await.body.contains("All is well"));
}

#[tokio::test]
async fn a_machine_without_an_agent_says_so() {
    let bench = bench();
    let mut browser = bench.logged_in("ada").await;
    for path in ["/storage", "/system"] {
        assert!(browser.get(path).await.body.contains("This machine has no agent"), "{path}");
    }
    let refused = post(&mut browser, "/account", "/system/power-off", &[("password", PASSWORD)]).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}

/// Services need a moment to close what they have open.
#[tokio::test(start_paused = true)]
async fn a_disk_in_use_is_detached_once_it_is_let_go_of() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let agent = FakeAgent::start(move |request| {
        Some(match request {
            Request::Detach {} if tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3 => {
                Reply::Refused(Refusal::new(RefusalCode::Busy, "files on the data disk are open"))
            }
            request => answer(request),
        })
    });
    let bench = with(&agent, status(SsdState::Mounted, None));
    let mut browser = bench.logged_in("ada").await;
    let csrf = browser.get("/account").await.csrf();
    let done = browser.post("/storage/detach", &[("csrf", &csrf), ("password", PASSWORD)]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert_eq!(orders(&agent).len(), 4);
}
