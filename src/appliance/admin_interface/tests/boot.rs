//! What the pages say of the start of an appliance.

use std::sync::Arc;

use lucid_layout::{
    boot::{BootReport, Problem, StateCondition},
    slot::Slot,
};

use super::{
    super::PaymentsPlane,
    fakes::{HOSTILE, bench, bench_after},
};
use crate::{Boot, UpdateStatus};

fn report(state: StateCondition) -> BootReport {
    BootReport {
        slot: Some(Slot::B),
        boot_count: Some(1),
        first_boot: true,
        state,
        provisioned: true,
        trial: true,
        rescue: None,
        serial: None,
        eeprom_settings: Some("[all]\nBOOT_ORDER=0xf461".to_owned()),
        host_name: None,
        boot_disk: None,
        stage_ms: 5,
        problems: vec![Problem { code: "clock".to_owned(), text: format!("the clock was lost: {HOSTILE}") }],
    }
}

#[tokio::test]
async fn a_locked_appliance_shows_why_and_what_to_do_on_every_page() {
    let boot = Boot::Known(Box::new(report(StateCondition::Lost)));
    let reason = boot.locked().unwrap();
    let bench = bench_after(boot);
    bench.fakes.with(|world| (world.claimed, world.locked) = (false, Some(reason)));
    let mut browser = bench.browser();
    for path in ["/", "/claim", "/login", "/sessions", "/accounts"] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status, 423, "{path}");
        assert!(reply.body.contains("This appliance is locked") && reply.body.contains("flash.sh"), "{}", reply.body);
        assert!(!reply.body.contains("<form"), "{path}: there is nothing to fill in");
    }
    let password = "correct horse battery";
    let fields = [("code", "RIGHT-CODE"), ("name", "ada"), ("password", password), ("again", password)];
    let reply = browser.post("/claim", &fields).await;
    assert!(reply.status == 423 && reply.body.contains("nobody can claim it"), "{}", reply.body);
    assert!(!bench.fakes.with(|world| world.claimed));
}

#[tokio::test]
async fn the_overview_tells_of_the_start() {
    let bench = bench_after(Boot::Known(Box::new(report(StateCondition::Kept))));
    let mut browser = bench.logged_in("bob").await;
    let page = browser.get("/").await.body;
    for part in ["Needs attention", "the clock was lost", "slot B", "on trial", "its first start", "is used up"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(HOSTILE), "{page}");
}

#[tokio::test]
async fn the_overview_tells_of_the_payments_plane() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    assert!(!browser.get("/").await.body.contains("Payments"), "a developer's machine has none");
    bench.payments.send_replace(PaymentsPlane::Idle { version: "0.1.0".to_owned() });
    let page = browser.get("/").await.body;
    assert!(page.contains("idle (not yet in use)") && page.contains("All is well"), "{page}");
    bench.payments.send_replace(PaymentsPlane::Unknown { reason: "nobody listens".to_owned() });
    let page = browser.get("/").await.body;
    assert!(page.contains("the payments plane does not answer: nobody listens"), "{page}");
}

#[tokio::test]
async fn administrators_see_the_eeproms_settings() {
    let bench = bench_after(Boot::Known(Box::new(report(StateCondition::Kept))));
    let mut browser = bench.logged_in("ada").await;
    let page = browser.get("/system").await.body;
    assert!(page.contains("[all]\nBOOT_ORDER=0xf461"), "{page}");
    let report = crate::update::tests::agent::report("1.2.0");
    bench.updates.send_replace(Arc::new(UpdateStatus { agent: Some(report), ..UpdateStatus::default() }));
    let page = browser.get("/updates").await.body;
    assert!(page.contains("Settings on the board now") && page.contains("[all]\nBOOT_ORDER=0xf461"), "{page}");
    let page = bench.logged_in("dev").await.get("/updates").await.body;
    assert!(page.contains("EEPROM") && !page.contains("BOOT_ORDER"), "only administrators see them: {page}");
}
