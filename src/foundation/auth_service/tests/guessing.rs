//! Guessing passwords is slowed down, and nobody is locked out.

use super::*;

#[tokio::test]
async fn after_five_failures_an_address_waits_longer_each_time() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    for _ in 0..5 {
        assert!(matches!(running.login("admin", "wrong wrong wrong").await, Err(AccountError::WrongCredentials)));
    }
    for expected_s in [1, 2, 4] {
        let throttled = running.login("admin", PASSWORD).await;
        assert!(matches!(throttled, Err(AccountError::Throttled { retry_after_s }) if retry_after_s == expected_s));
        appliance.clock.advance(expected_s * 1000);
        assert!(matches!(running.login("admin", "wrong wrong wrong").await, Err(AccountError::WrongCredentials)));
    }
    appliance.clock.advance(8_000);
    running.login("admin", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_right_person_gets_in_from_another_address_meanwhile() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    for address in 60..67 {
        for _ in 0..3 {
            let guess = running.login_from("admin", "wrong wrong wrong", &format!("192.168.1.{address}")).await;
            assert!(matches!(guess, Err(AccountError::WrongCredentials)));
        }
    }
    assert!(matches!(running.login_from("admin", PASSWORD, "192.168.1.66").await, Err(AccountError::Throttled { .. })));
    for _ in 0..3 {
        running.login_from("admin", "mistyped password", "192.168.1.20").await.err().unwrap();
        running.login_from("admin", PASSWORD, "192.168.1.20").await.unwrap();
    }
}

#[tokio::test]
async fn unknown_and_impossible_names_are_refused_and_slowed_down_alike() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let long = "x".repeat(10_000);
    for (index, name) in ["nobody", "", "Admin", "a\0b", long.as_str()].into_iter().enumerate() {
        let peer = format!("10.0.0.{index}");
        let mut refusals = Vec::new();
        for _ in 0..6 {
            refusals.push(running.login_from(name, PASSWORD, &peer).await.err().unwrap());
        }
        assert!(matches!(refusals[0], AccountError::WrongCredentials), "`{name:.20}`: {}", refusals[0]);
        assert!(matches!(refusals[5], AccountError::Throttled { .. }), "`{name:.20}`: {}", refusals[5]);
    }
    assert!(running.login_from("admin", PASSWORD, "10.0.0.9").await.is_ok());
}

#[tokio::test]
async fn guesses_at_the_same_time_are_counted_before_they_are_looked_at() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let guesses: Vec<_> = (0..12)
        .map(|_| {
            let accounts = running.accounts.clone();
            tokio::spawn(async move { accounts.login(login("admin", "wrong wrong wrong", "10.0.0.1")).await })
        })
        .collect();
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += u32::from(matches!(guess.await.unwrap(), Err(AccountError::WrongCredentials)));
    }
    assert_eq!(looked_at, 5);
}

#[tokio::test]
async fn a_stolen_token_can_not_guess_the_password_either() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let change = |old: &str| lucid_ports::PasswordChange {
        name: "admin".to_owned(),
        old: secret(old),
        new: secret("another password"),
        peer: peer("10.0.0.1"),
    };
    for _ in 0..5 {
        let refused = running.accounts.change_password(change("wrong wrong wrong")).await;
        assert!(matches!(refused, Err(AccountError::WrongCredentials)));
    }
    assert!(matches!(running.accounts.change_password(change(PASSWORD)).await, Err(AccountError::Throttled { .. })));
    assert!(running.who(&tokens).is_ok());
}

#[tokio::test]
async fn a_flood_of_log_ins_is_bounded_and_holds_nobody_else_up() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let pool = appliance.pool.clone();
    let blocker = tokio::spawn(async move { pool.run(lucid_kit::Class::Interactive, move || blocked.recv()).await });
    let mut flood = tokio::task::JoinSet::new();
    for address in 0..=HASHING_MAX {
        let accounts = running.accounts.clone();
        let login = login("admin", PASSWORD, &format!("10.0.0.{address}"));
        flood.spawn(async move { accounts.login(login).await });
    }
    let first = flood.join_next().await.unwrap().unwrap();
    assert!(matches!(first, Err(AccountError::Throttled { retry_after_s: BUSY_RETRY_S })));
    assert!(running.who(&tokens).is_ok());
    running.accounts.refresh(&tokens.refresh_token).await.unwrap();
    release.send(()).unwrap();
    while let Some(login) = flood.join_next().await {
        login.unwrap().unwrap();
    }
    blocker.await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_amid_log_ins_frees_the_store_for_the_next_start() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let pool = appliance.pool.clone();
    let blocker = tokio::spawn(async move { pool.run(lucid_kit::Class::Interactive, move || blocked.recv()).await });
    let accounts = running.accounts.clone();
    let pending = tokio::spawn(async move { accounts.login(login("admin", PASSWORD, "10.0.0.1")).await });
    running.accounts.accounts().await.unwrap();
    running.stop().await;
    assert!(matches!(pending.await.unwrap(), Err(AccountError::Unavailable)));
    let path = appliance.state.path().join("auth-service/auth-service.redb");
    Store::open(&path, &SCHEMA, Options::default()).expect("nothing holds the store open");
    release.send(()).unwrap();
    blocker.await.unwrap().unwrap().unwrap();
}
