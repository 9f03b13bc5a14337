//! Lists in pages, the table, and the small calls.

use super::*;
use crate::bench::Bench;
use crate::{ClientError, Login, Owner, SessionState, checkpoint, login, logout};

#[tokio::test]
async fn pages_are_put_together_up_to_the_limit() {
    let bench = Bench::new().await;
    for (limit, expected) in [(0, 0), (1, 1), (3, 3), (5, 5), (100, 5)] {
        let labels: Vec<_> = list(&bench.client(), limit).await.unwrap().into_iter().map(|one| one.label).collect();
        let names: Vec<_> = (0..expected).map(|place| place.to_string()).collect();
        assert_eq!(labels, names, "{limit}");
    }
}

#[tokio::test]
async fn the_small_calls_work_and_tell_the_servers_words() {
    let bench = Bench::new().await;
    let client = bench.client();
    assert_eq!(checkpoint(&client).await.unwrap(), "checkpoint\n");
    delete(&client, bench.id()).await.unwrap();
    let id = Uuid::now_v7();
    let error = delete(&client, id).await.unwrap_err();
    let expected = format!("can't delete session {id}: because of session_unknown (status 404, session_unknown)");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn two_programs_renew_the_login_once() {
    let bench = Bench::new().await;
    let (one, two) = (bench.client(), bench.client());
    bench.world().access = "another".into();
    let (left, right) = tokio::join!(checkpoint(&one), checkpoint(&two));
    left.unwrap();
    right.unwrap();
    assert_eq!(bench.world().refreshes, 1);
}

#[tokio::test]
async fn a_login_that_can_not_be_renewed_says_what_to_do() {
    let bench = Bench::new().await;
    bench.world().access = "another".into();
    bench.world().refresh = "another".into();
    let error = checkpoint(&bench.client()).await.unwrap_err();
    assert!(matches!(error, ClientError::LoginExpired { .. }), "{error}");
    assert!(error.to_string().contains("run `lucid login --server http://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn logging_in_and_out() {
    let bench = Bench::new().await;
    bench.store.forget(&bench.server).unwrap();
    let credentials = |password: &str| Login { name: "ada".into(), password: password.to_owned().into() };
    let error = login(&bench.store, &bench.server, None, &credentials("wrong")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(bench.store.load(&bench.server).unwrap().is_none());
    let role = login(&bench.store, &bench.server, None, &credentials("correct horse")).await.unwrap();
    assert_eq!(role, "admin");
    checkpoint(&bench.client()).await.unwrap();
    logout(&bench.store, &bench.server).await.unwrap();
    assert!(bench.world().logged_out);
    assert!(bench.store.load(&bench.server).unwrap().is_none());
    assert!(matches!(logout(&bench.store, &bench.server).await.unwrap_err(), ClientError::NotLoggedIn { .. }));
}

#[test]
fn hostile_labels_can_not_draw_on_the_terminal() {
    let session = Session {
        id: Uuid::nil(),
        label: format!("\u{1b}[2J\n\u{202e}{}", "x".repeat(1000)),
        owner: Owner { name: "\u{1b}[2J\u{202e}zoe".to_owned(), account: "present".to_owned() },
        state: SessionState::Anchored,
        bytes: 12,
        durable_bytes: 12,
        chunks: 1,
        started_ms: 1_700_000_000_000,
        ended_ms: None,
        root: None,
        block_height: Some(3),
    };
    let owner = Owner { name: "zoe".to_owned(), account: "removed".to_owned() };
    let never = Session { started_ms: u64::MAX, block_height: None, owner, ..session.clone() };
    let table = table(&[session, never]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains("2023-11-14 22:13  anchored "), "{table}");
    assert!(lines[2].contains("  -     ") && lines[2].contains("  removed account zoe  "), "{table}");
    assert!(!table.contains(['\u{1b}', '\u{202e}']) && table.len() < 500, "{table}");
}
