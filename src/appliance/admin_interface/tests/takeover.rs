//! Taking over another appliance's data disk: who may, what it takes, and what is said.

use lucid_agent_protocol::{Reply, Request, SsdState};
use lucid_ports::{TakenOver, Takeover, TakeoverError};

use super::fakes::{Bench, Browser, Fakes, Reply as Page, bench, bench_of};
use crate::{
    AgentView, Boot,
    agent_link::tests::{FakeAgent, status},
};

const PASSWORD: &str = "correct horse battery";
const KEY: &str = "AGE-SECRET-KEY-1RIGHT";

/// A disk that waits for [`KEY`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreign {
    /// It can't be read at all.
    unreadable: bool,
    /// What taking it over comes to.
    comes_to: TakenOver,
}

const ELSEWHERE: Foreign =
    Foreign { unreadable: false, comes_to: TakenOver { continues_chain: true, needs_restart: true } };

impl Takeover for Fakes {
    fn is_due(&self) -> Result<bool, TakeoverError> {
        match self.with(|world| world.foreign) {
            Some(Foreign { unreadable: true, .. }) => Err(TakeoverError::Failed("the disk is rotten".into())),
            foreign => Ok(foreign.is_some()),
        }
    }

    fn take_over(&self, recovery_key: &str, give_up_identity: bool) -> Result<TakenOver, TakeoverError> {
        if recovery_key != KEY {
            return Err(TakeoverError::WrongKey("this is not a recovery key".to_owned()));
        }
        if !give_up_identity {
            return Err(TakeoverError::OtherIdentity);
        }
        self.with(|world| world.foreign.take()).map(|foreign| foreign.comes_to).ok_or(TakeoverError::NotDue)
    }
}

fn with(foreign: Foreign) -> Bench {
    let bench = bench();
    bench.fakes.with(|world| world.foreign = Some(foreign));
    bench
}

async fn submit(browser: &mut Browser, fields: &[(&str, &str)]) -> Page {
    let csrf = browser.get("/account").await.csrf();
    let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    browser.post("/storage/take-over", &fields).await
}

const RIGHT: [(&str, &str); 3] = [("recovery_key", KEY), ("give_up_identity", "yes"), ("password", PASSWORD)];

#[tokio::test]
async fn the_form_is_there_for_an_administrator_while_the_disk_waits() {
    let bench = with(ELSEWHERE);
    let page = bench.logged_in("ada").await.get("/storage").await.body;
    assert!(page.contains("action=\"/storage/take-over\"") && page.contains("written by another"), "{page}");
    let page = bench.logged_in("dev").await.get("/storage").await.body;
    assert!(page.contains("written by another") && !page.contains("/storage/take-over"), "{page}");
    bench.fakes.with(|world| world.foreign = None);
    let page = bench.logged_in("ada").await.get("/storage").await.body;
    assert!(!page.contains("written by another"), "{page}");
    bench.fakes.with(|world| world.foreign = Some(Foreign { unreadable: true, ..ELSEWHERE }));
    let page = bench.logged_in("ada").await.get("/storage").await.body;
    assert!(page.contains("the disk is rotten") && !page.contains("/storage/take-over"), "{page}");
}

#[tokio::test]
async fn it_takes_an_administrator_a_form_of_ours_the_password_the_key_and_a_decision() {
    let bench = with(ELSEWHERE);
    let mut admin = bench.logged_in("ada").await;
    assert_eq!(admin.post("/storage/take-over", &RIGHT).await.status, 403, "without the form's token");
    assert_eq!(submit(&mut bench.logged_in("dev").await, &RIGHT).await.status, 403, "a developer");
    let refused = submit(&mut admin, &[RIGHT[0], RIGHT[1], ("password", "not the password")]).await;
    assert!(refused.status == 422 && refused.body.contains("password is wrong"), "{}", refused.body);
    assert_eq!(bench.fakes.with(|world| world.notes.len()), 0, "what was not begun is not on record");
    let refused = submit(&mut admin, &[("recovery_key", "mine"), RIGHT[1], RIGHT[2]]).await;
    assert!(refused.status == 422 && refused.body.contains("not a recovery key"), "{}", refused.body);
    let refused = submit(&mut admin, &[RIGHT[0], RIGHT[2]]).await;
    assert!(refused.status == 409 && refused.body.contains("tick the box"), "{}", refused.body);
    assert!(bench.fakes.with(|world| world.foreign.is_some()));
    let notes = bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("disk taken over") && notes.contains("not done: this is not a recovery key"), "{notes}");
    assert!(!notes.contains(KEY) && !notes.contains(PASSWORD) && !refused.body.contains(KEY), "{notes}");
}

#[tokio::test]
async fn the_appliance_restarts_where_it_signs_anew() {
    let agent = FakeAgent::start(|request| matches!(request, Request::Reboot { .. }).then_some(Reply::Done));
    let bench = bench_of(Boot::NotAnAppliance, agent.link());
    bench.agent_view.send_replace(AgentView::Known(Box::new(status(SsdState::Mounted, None))));
    bench.fakes.with(|world| world.foreign = Some(ELSEWHERE));
    let mut admin = bench.logged_in("ada").await;
    let done = submit(&mut admin, &RIGHT).await;
    assert_eq!(done.header("location"), "/storage?done=taken-over-restarting", "{}", done.body);
    let asked = agent.asked.lock().unwrap().clone();
    assert!(matches!(&asked[..], [Request::Reboot { reason }] if reason.as_str().contains("ada")), "{asked:?}");
    let again = submit(&mut admin, &RIGHT).await;
    assert!(again.status == 409 && again.body.contains("does not wait for a recovery key"), "{}", again.body);
}

#[tokio::test]
async fn what_it_came_to_is_said() {
    let outcomes = [
        (TakenOver { continues_chain: true, needs_restart: true }, "restart the appliance"),
        (TakenOver { continues_chain: true, needs_restart: false }, "opened within a minute"),
        (TakenOver { continues_chain: false, needs_restart: false }, "chain can't be continued"),
    ];
    for (comes_to, words) in outcomes {
        let bench = with(Foreign { comes_to, ..ELSEWHERE });
        let mut admin = bench.logged_in("ada").await;
        let done = submit(&mut admin, &RIGHT).await;
        assert_eq!(done.status, 303, "{}", done.body);
        let page = admin.get(done.header("location")).await.body.replace("&#39;", "'");
        assert!(page.contains(words), "{words}: {page}");
    }
}
