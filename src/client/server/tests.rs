//! Addresses: one spelling, nothing but host and port, no plain HTTP to other machines.

use super::*;

#[test]
fn addresses_are_brought_to_one_spelling() {
    for (written, spelled) in [
        ("lucid.local", "https://lucid.local"),
        (" https://LUCID.local:443/ ", "https://lucid.local"),
        ("192.168.1.20:8083", "https://192.168.1.20:8083"),
        ("[fd00::1]:8083", "https://[fd00::1]:8083"),
        ("http://127.0.0.1:8083", "http://127.0.0.1:8083"),
        ("http://[::1]:8083", "http://[::1]:8083"),
        ("http://localhost:8083", "http://localhost:8083"),
    ] {
        assert_eq!(written.parse::<Server>().unwrap().to_string(), spelled, "{written}");
    }
}

#[test]
fn everything_else_is_refused() {
    for written in ["", "https://", "a b", "https://h:99999", "::1"] {
        assert!(matches!(written.parse::<Server>(), Err(ServerError::Malformed(_))), "{written}");
    }
    for written in ["https://h/path", "https://h/?q", "https://h/#f", "https://user:hunter2@h"] {
        let error = written.parse::<Server>().unwrap_err();
        assert!(matches!(error, ServerError::MoreThanHost(_)), "{written}");
        assert!(!error.to_string().contains("hunter2"));
    }
    assert!(matches!("ftp://h".parse::<Server>(), Err(ServerError::Scheme(_))));
    for written in ["http://lucid.local", "http://192.168.1.20", "http://127.0.0.1.example.com"] {
        assert!(matches!(written.parse::<Server>(), Err(ServerError::Plain(_))), "{written}");
    }
}

#[test]
fn paths_and_queries_stay_apart() {
    let server: Server = "https://h:1".parse().unwrap();
    assert_eq!(server.url("/api/sessions?limit=5").as_str(), "https://h:1/api/sessions?limit=5");
}
