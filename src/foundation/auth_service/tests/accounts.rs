//! Accounts and the audit log.

use lucid_ports::{AccountLookup as _, AccountState, AuditEntry, Role};

use super::*;

#[tokio::test]
async fn accounts_are_added_listed_and_removed() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let add = |name: &str, role| running.accounts.add("admin", name.to_owned(), secret(PASSWORD), role);
    add("zoe", Role::User).await.unwrap();
    add("dev.1", Role::Developer).await.unwrap();
    assert!(matches!(add("zoe", Role::Admin).await, Err(AccountError::Exists { name }) if name == "zoe"));
    let listed: Vec<_> = running.accounts.accounts().await.unwrap().into_iter().map(|a| (a.name, a.role)).collect();
    let expected = [("admin", Role::Admin), ("dev.1", Role::Developer), ("zoe", Role::User)];
    assert_eq!(listed, expected.map(|(name, role)| (name.to_owned(), role)));
    running.accounts.remove("admin", "zoe").await.unwrap();
    let again = running.accounts.remove("admin", "zoe").await;
    assert!(matches!(again, Err(AccountError::Unknown { name }) if name == "zoe"));
    let refused = running.accounts.set_role("admin", "zoe", Role::User).await;
    assert!(matches!(refused, Err(AccountError::Unknown { .. })));
    let refused = running.accounts.reset_password("admin", "zoe", secret(PASSWORD)).await;
    assert!(matches!(refused, Err(AccountError::Unknown { .. })));
}

#[tokio::test]
async fn a_name_that_comes_back_is_another_account() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let add = || running.accounts.add("admin", "zoe".to_owned(), secret(PASSWORD), Role::User);
    add().await.unwrap();
    let first = running.login("zoe", PASSWORD).await.unwrap();
    let id = running.who(&first).unwrap().account;
    assert_eq!(running.accounts.account_state(id), AccountState::Present);
    running.accounts.set_role("admin", "zoe", Role::Developer).await.unwrap();
    running.accounts.reset_password("admin", "zoe", secret("another good password")).await.unwrap();
    let same = running.login("zoe", "another good password").await.unwrap();
    assert_eq!(running.who(&same).unwrap().account, id, "what changes about an account is not who it is");

    running.accounts.remove("admin", "zoe").await.unwrap();
    assert_eq!(running.accounts.account_state(id), AccountState::Removed);
    add().await.unwrap();
    let second = running.login("zoe", PASSWORD).await.unwrap();
    let other = running.who(&second).unwrap().account;
    assert_ne!(other, id);
    assert_eq!(running.who(&first), Err(AuthError::Revoked));
    let states = [id, other].map(|account| running.accounts.account_state(account));
    assert_eq!(states, [AccountState::Removed, AccountState::Present]);

    let listed = running.accounts.accounts().await.unwrap();
    assert!(listed.iter().any(|account| account.name == "zoe" && account.id == other));
    let lookup = running.accounts.clone();
    running.stop().await;
    assert_eq!(lookup.account_state(other), AccountState::Unknown, "nobody is there to say");
    let running = appliance.start().await;
    let states = [id, other].map(|account| running.accounts.account_state(account));
    assert_eq!(states, [AccountState::Removed, AccountState::Present], "ids are kept over a restart");
}

#[tokio::test]
async fn there_is_always_an_administrator() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    let last =
        |result: Result<(), AccountError>| matches!(result, Err(AccountError::LastAdmin { name }) if name == "admin");
    assert!(last(running.accounts.remove("admin", "admin").await));
    assert!(last(running.accounts.set_role("admin", "admin", Role::Developer).await));
    running.accounts.set_role("admin", "admin", Role::Admin).await.unwrap();
    running.accounts.add("admin", "second".to_owned(), secret(PASSWORD), Role::Admin).await.unwrap();
    let (one, two) = tokio::join!(
        running.accounts.remove("admin", "second"),
        running.accounts.set_role("second", "admin", Role::User)
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "not both, even at the same time");
}

#[tokio::test]
async fn an_administrator_gets_a_new_recovery_key_by_password() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    running.accounts.add("admin", "zoe".to_owned(), secret(PASSWORD), Role::User).await.unwrap();
    let ask = |name: &str, password: &str| running.accounts.new_recovery_key(login(name, password, "10.0.0.1"));
    assert_eq!(*ask("admin", PASSWORD).await.unwrap(), "KEY-2");
    assert!(matches!(ask("admin", "wrong wrong wrong").await, Err(AccountError::WrongCredentials)));
    assert!(matches!(ask("zoe", PASSWORD).await, Err(AccountError::Invalid { .. })));
    assert_eq!(appliance.recovery.issued.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    running.claim("WRONG").await.err().unwrap();
    let tokens = running.claim(&appliance.code()).await.unwrap().tokens;
    running.accounts.add("admin", "zoe".to_owned(), secret(PASSWORD), Role::User).await.unwrap();
    running.login("zoe", "wrong wrong wrong").await.err().unwrap();
    running.login("<b>\u{7}", PASSWORD).await.err().unwrap();
    running.login("zoe", PASSWORD).await.unwrap();
    running.accounts.logout(running.who(&tokens).unwrap().token_id).await.unwrap();
    running.accounts.set_role("admin", "zoe", Role::Developer).await.unwrap();
    running.accounts.remove("admin", "zoe").await.unwrap();
    let text = |text: &str| text.to_owned();
    let (user, peer, action) = (text("admin"), text("10.0.0.9"), text("restart"));
    let noted = AuditEntry { at_ms: u64::MAX, user, peer, action, detail: format!("a\nb{}", "x".repeat(999)) };
    running.accounts.note(noted).await.unwrap();

    let entries = running.accounts.audit(usize::MAX).await.unwrap();
    assert_eq!((entries[0].at_ms, entries[0].detail.chars().count()), (NOW_MS, 200));
    assert!(entries[0].detail.starts_with("a\u{fffd}bxx"));
    assert!(entries.iter().any(|entry| entry.action == "login" && entry.peer == "192.168.1.20"));
    let expected = [
        "admin account removed: `zoe`; its recordings stay",
        "admin role changed: `zoe` to developer",
        "admin logout: ok",
        "zoe login: ok",
        " login: refused: wrong name or password",
        "zoe login: refused: wrong name or password",
        "admin account added: `zoe` as user",
        "admin claim: made the first administrator",
        " claim: refused: wrong code",
    ];
    assert_eq!(running.audited().await[1..], expected);
    assert_eq!(running.accounts.audit(2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_password_is_checked_again_without_a_new_log_in() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    running.accounts.prove("restart", login("admin", PASSWORD, "192.168.1.20")).await.unwrap();
    let wrong = running.accounts.prove("restart", login("admin", "a wrong password", "192.168.1.20")).await;
    assert!(matches!(wrong, Err(AccountError::WrongCredentials)));
    assert!(running.audited().await.contains(&"admin restart: refused: wrong name or password".to_owned()));
    let status = serde_json::to_value(&*running.handle.status().unwrap()).unwrap();
    assert_eq!(status["sessions"], 1, "{status}");
    assert!(running.who(&tokens).is_ok());
}
