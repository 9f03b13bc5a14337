//! The claim: one code, one administrator, few tries.

use super::*;

#[tokio::test]
async fn the_code_makes_one_administrator_and_no_second() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    assert!(!running.accounts.claimed().unwrap());
    let claimed = running.claim(&appliance.code()).await.unwrap();
    assert_eq!(*claimed.recovery_key, "KEY-1");
    let identity = running.who(&claimed.tokens).unwrap();
    assert_eq!((identity.user.as_str(), identity.role), ("admin", lucid_ports::Role::Admin));
    assert!(running.accounts.claimed().unwrap());
    let again = running.claim(&appliance.code()).await;
    assert!(matches!(again, Err(AccountError::AlreadyClaimed)));
    running.stop().await;

    let running = appliance.start().await;
    assert!(running.accounts.claimed().unwrap());
    assert!(matches!(running.claim(&appliance.code()).await, Err(AccountError::AlreadyClaimed)));
    assert_eq!(appliance.shown.lock().unwrap().len(), 1, "a claimed appliance shows no code");
    assert!(running.who(&claimed.tokens).is_ok(), "the log-in of the claim outlives a restart");
}

#[tokio::test]
async fn until_then_nothing_else_is_answered() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let unclaimed = |error| matches!(error, AccountError::Unclaimed);
    assert!(unclaimed(running.login("admin", PASSWORD).await.err().unwrap()));
    assert!(unclaimed(running.accounts.refresh("x").await.err().unwrap()));
    let add = running.accounts.add("nobody", "mallory".to_owned(), secret(PASSWORD), lucid_ports::Role::Admin).await;
    assert!(unclaimed(add.unwrap_err()));
    assert_eq!(running.door.authenticate("x"), Err(AuthError::Unclaimed));
    assert_eq!(running.accounts.accounts().await.unwrap(), []);
}

#[tokio::test]
async fn ten_wrong_tries_void_the_code() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    for left in (0..10).rev() {
        let wrong = running.claim("WRONG-WRONG-WRONG").await;
        assert!(matches!(wrong, Err(AccountError::WrongCode { tries_left }) if tries_left == left), "{left}");
    }
    let void = running.claim(&appliance.code()).await.err().unwrap();
    assert!(matches!(void, AccountError::CodeVoid));
    assert!(void.to_string().contains("the new one that the appliance shows within two minutes"), "{void}");
}

/// Lets the service tick once, and waits until it is back from that.
async fn tick(running: &Running) {
    // Deadlines are rounded up to the timer's millisecond, and its clock is rounded down.
    const RESOLUTION: Duration = Duration::from_millis(2);
    tokio::time::pause();
    tokio::time::advance(AuthService::PERIOD + RESOLUTION).await;
    tokio::time::resume();
    // Requests and ticks take turns: after as many answers as it queues the tick is done.
    for _ in 0..=AuthService::QUEUE_MAX {
        running.accounts.accounts().await.unwrap();
    }
}

#[tokio::test]
async fn a_void_code_that_was_made_here_is_replaced_after_a_minute() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let shown = || appliance.shown.lock().unwrap().len();
    let void = async || {
        while !matches!(running.claim("WRONG-WRONG-WRONG").await, Err(AccountError::CodeVoid)) {
            appliance.clock.advance(10);
        }
    };
    tick(&running).await;
    assert_eq!(shown(), 1, "a code that is good stays");
    void().await;
    let first = appliance.code();
    appliance.clock.advance(MINUTE_MS - 1_000);
    tick(&running).await;
    assert_eq!(shown(), 1, "not so soon");
    // Being tried again does not put it off.
    void().await;
    appliance.clock.advance(2_000);
    tick(&running).await;
    assert_eq!(shown(), 2);
    tick(&running).await;
    assert_eq!(shown(), 2, "one at a time");
    assert!(matches!(running.claim(&first).await, Err(AccountError::WrongCode { tries_left: 9 })));
    running.claim(&appliance.code()).await.unwrap();
    appliance.clock.advance(DAY_MS);
    tick(&running).await;
    assert_eq!(shown(), 2, "a claimed appliance shows no code");
}

#[tokio::test]
async fn a_void_code_of_the_provisioning_stays_void() {
    const GIVEN: &str = "GIVEN-1234-5678-9ABC";
    let appliance = Appliance::provisioned(GIVEN);
    let running = appliance.start().await;
    for _ in 0..10 {
        running.claim("WRONG-WRONG-WRONG").await.err().unwrap();
    }
    appliance.clock.advance(DAY_MS);
    tick(&running).await;
    assert!(matches!(running.claim(GIVEN).await, Err(AccountError::CodeVoid)));
    assert!(appliance.shown.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_restart_makes_a_new_code_but_no_more_tries_a_minute() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let first = appliance.code();
    for _ in 0..10 {
        running.claim("WRONG-WRONG-WRONG").await.err().unwrap();
        appliance.clock.advance(1_000);
    }
    running.stop().await;

    let running = appliance.start().await;
    assert_ne!(appliance.code(), first);
    let early = running.claim(&appliance.code()).await;
    assert!(matches!(early, Err(AccountError::Throttled { retry_after_s: 50 })), "{}", refusal(early));
    appliance.clock.advance(50_000);
    assert!(matches!(running.claim(&first).await, Err(AccountError::WrongCode { tries_left: 9 })));
    appliance.clock.advance(1_000);
    running.claim(&appliance.code()).await.unwrap();
}

#[tokio::test]
async fn tries_of_a_code_handed_in_are_counted_over_restarts() {
    let appliance = Appliance::provisioned("abcd-efgh-jkmn");
    for left in (0..10).rev() {
        let running = appliance.start().await;
        let wrong = running.claim("0000-0000-0000").await;
        assert!(matches!(wrong, Err(AccountError::WrongCode { tries_left }) if tries_left == left));
        running.stop().await;
    }
    assert!(appliance.shown.lock().unwrap().is_empty(), "a code handed in is not shown");
    let running = appliance.start().await;
    appliance.clock.advance(MINUTE_MS);
    assert!(matches!(running.claim("abcd-efgh-jkmn").await, Err(AccountError::WrongCode { .. })));
    running.claim(&appliance.code()).await.unwrap();
}

#[tokio::test]
async fn a_code_handed_in_is_understood_as_people_type_it() {
    let appliance = Appliance::provisioned("K0M1-3XWT-9HBD\n");
    let running = appliance.start().await;
    running.claim(" komL 3xwt9hbd\n").await.unwrap();
}

#[tokio::test]
async fn a_guessable_code_is_refused_at_the_start() {
    let appliance = Appliance::provisioned("hunter2----------");
    let running = appliance.launch(Appliance::config());
    let mut life = running.handle.life();
    let life = life.wait_for(|life| matches!(life, Life::Backoff { .. })).await.unwrap();
    assert!(matches!(&*life, Life::Backoff { cause, .. } if cause.contains("has 7 letters and digits")), "{life:?}");
}

#[tokio::test]
async fn bad_names_and_passwords_cost_no_try() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    for _ in 0..20 {
        let claim = Claim { password: secret("short"), ..claim_with("WRONG") };
        assert!(matches!(running.accounts.claim(claim).await, Err(AccountError::Invalid { .. })));
        let claim = Claim { name: "Admin!".to_owned(), ..claim_with("WRONG") };
        assert!(matches!(running.accounts.claim(claim).await, Err(AccountError::Invalid { .. })));
    }
    assert!(matches!(running.claim("WRONG").await, Err(AccountError::WrongCode { tries_left: 9 })));
}

#[tokio::test]
async fn without_a_recovery_key_the_appliance_stays_unclaimed() {
    let appliance = Appliance::new();
    appliance.recovery.failures_left.store(3, Ordering::SeqCst);
    let running = appliance.start().await;
    for _ in 0..3 {
        assert!(matches!(running.claim(&appliance.code()).await, Err(AccountError::Recovery(_))));
        assert!(!running.accounts.claimed().unwrap());
    }
    running.stop().await;
    let running = appliance.start().await;
    assert!(!running.accounts.claimed().unwrap());
    assert_eq!(*running.claim(&appliance.code()).await.unwrap().recovery_key, "KEY-1");
}

#[tokio::test]
async fn of_claims_at_the_same_time_one_wins_and_its_recovery_key_is_the_last_one_made() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let code = appliance.code();
    let (one, two, three) = tokio::join!(running.claim(&code), running.claim(&code), running.claim(&code));
    let won: Vec<Claimed> = [one, two, three].into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(*won[0].recovery_key, format!("KEY-{}", appliance.recovery.issued.load(Ordering::SeqCst)));
    assert_eq!(running.accounts.accounts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_handed_in_is_destroyed_by_the_claim() {
    let appliance = Appliance::provisioned("K0M1-3XWT-9HBD");
    let running = appliance.start().await;
    running.claim("WRONG-WRONG-WRONG").await.err().unwrap();
    assert!(appliance.code_file().exists(), "a wrong try leaves it");
    running.claim("K0M1-3XWT-9HBD").await.unwrap();
    while appliance.code_file().exists() {
        tokio::task::yield_now().await;
    }
    running.stop().await;

    // What a power cut right after the claim leaves.
    std::fs::write(appliance.code_file(), "K0M1-3XWT-9HBD").unwrap();
    let running = appliance.start().await;
    assert!(!appliance.code_file().exists());
    assert!(matches!(running.claim("K0M1-3XWT-9HBD").await, Err(AccountError::AlreadyClaimed)));
}

#[tokio::test]
async fn a_code_file_that_can_not_be_read_is_no_leave_for_another_code() {
    let appliance = Appliance::provisioned(&"A".repeat(2000));
    let running = appliance.launch(Appliance::config());
    let mut life = running.handle.life();
    let life = life.wait_for(|life| matches!(life, Life::Backoff { .. })).await.unwrap();
    assert!(matches!(&*life, Life::Backoff { cause, .. } if cause.contains("claim.code")), "{life:?}");
    assert!(appliance.shown.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_locked_appliance_makes_no_code_and_takes_none() {
    const GIVEN: &str = "K0M1-3XWT-9HBD";
    let appliance = Appliance::provisioned(GIVEN);
    let locked = || Config { locked: Some("the state is lost: flash again".to_owned()), ..Appliance::config() };
    let running = appliance.start_with(locked()).await;
    let is_locked =
        |error: AccountError| matches!(error, AccountError::Locked { .. }) && error.to_string().contains("flash");
    assert!(is_locked(running.claim(GIVEN).await.err().unwrap()));
    assert!(is_locked(running.accounts.claimed().unwrap_err()));
    assert!(is_locked(running.login("admin", PASSWORD).await.err().unwrap()));
    assert!(is_locked(running.accounts.refresh("x").await.err().unwrap()));
    appliance.clock.advance(DAY_MS);
    tick(&running).await;
    assert!(appliance.shown.lock().unwrap().is_empty(), "no code is made");
    assert!(appliance.code_file().exists(), "and none is used up");
    let health = AuthService::health(&running.handle.status().unwrap());
    assert!(matches!(health, Health::Waiting { reason } if reason.contains("flash again")));
    running.stop().await;

    // With its state back, the appliance is what it was.
    let running = appliance.start().await;
    running.claim(GIVEN).await.unwrap();
    running.stop().await;
    let running = appliance.start_with(locked()).await;
    assert!(running.accounts.claimed().unwrap(), "one that has accounts is not locked");
    assert_eq!(AuthService::health(&running.handle.status().unwrap()), Health::Healthy);
    running.login("admin", PASSWORD).await.unwrap();
}
