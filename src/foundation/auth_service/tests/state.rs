//! What lies in the state directory, and what becomes of it when it is lost or damaged.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

async fn failed(running: &Running) -> String {
    let mut life = running.handle.life();
    let life = life.wait_for(|life| matches!(life, Life::Backoff { .. })).await.unwrap();
    let Life::Backoff { cause, .. } = &*life else { unreachable!("just waited for it") };
    cause.clone()
}

#[tokio::test]
async fn secrets_are_private_and_nothing_secret_is_stored() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    running.login("admin", PASSWORD).await.unwrap();
    running.login("admin", "a wrong password").await.err().unwrap();
    running.stop().await;
    let dir = appliance.state.path().join("auth-service");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("jwt.secret"))), (0o700, 0o600));
    assert_eq!(std::fs::read_to_string(dir.join("jwt.secret")).unwrap().len(), 64);
    let code = appliance.code();
    let secrets = [PASSWORD, "a wrong password", &code, &code.replace('-', ""), &tokens.refresh_token, "KEY-1"];
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` is in {}", path.display());
        }
    }
}

#[tokio::test]
async fn a_lost_secret_ends_the_log_ins_and_nothing_else() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    running.stop().await;
    std::fs::remove_file(appliance.state.path().join("auth-service/jwt.secret")).unwrap();
    let running = appliance.start().await;
    assert_eq!(running.who(&tokens), Err(AuthError::Invalid));
    assert!(running.accounts.claimed().unwrap());
    running.login("admin", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_damaged_secret_is_an_error_and_is_not_replaced() {
    for damage in ["", "short", &"x".repeat(65), &" ".repeat(64)] {
        let appliance = Appliance::new();
        let dir = appliance.state.path().join("auth-service");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("jwt.secret"), damage).unwrap();
        let running = appliance.launch(Appliance::config());
        let cause = failed(&running).await;
        assert!(cause.contains("jwt.secret` is damaged: delete it"), "{cause}");
        assert!(matches!(running.accounts.claimed(), Err(AccountError::Unavailable)));
        assert!(matches!(running.login("admin", PASSWORD).await, Err(AccountError::Unavailable)));
        assert_eq!(running.door.authenticate("x"), Err(AuthError::Unavailable));
        assert_eq!(std::fs::read_to_string(dir.join("jwt.secret")).unwrap(), damage);
    }
}

#[tokio::test]
async fn lost_accounts_do_not_make_the_appliance_claimable() {
    let appliance = Appliance::new();
    let (running, _) = appliance.start_claimed().await;
    running.stop().await;
    std::fs::remove_file(appliance.state.path().join("auth-service/auth-service.redb")).unwrap();
    let running = appliance.launch(Appliance::config());
    let cause = failed(&running).await;
    assert!(cause.contains("is gone, but its marker"), "{cause}");
    assert!(matches!(running.claim(&appliance.code()).await, Err(AccountError::Unavailable)));
}

/// A file from before accounts had ids: nothing of it is guessed, and nothing is changed.
#[tokio::test]
async fn accounts_of_a_former_schema_are_refused_and_left_alone() {
    static FORMER: lucid_store::Schema =
        lucid_store::Schema { name: NAME, version: SCHEMA.version - 1, migrations: &[], readable_by_previous: false };
    let appliance = Appliance::new();
    let dir = appliance.state.path().join("auth-service");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("auth-service.redb");
    drop(Store::open(&path, &FORMER, Options::default()).unwrap());
    let running = appliance.launch(Appliance::config());
    let cause = failed(&running).await;
    assert!(cause.contains("from version 1 to 2"), "{cause}");
    running.stop().await;
    drop(Store::open(&path, &FORMER, Options::default()).unwrap());
}
