use super::*;

#[test]
fn the_messages_have_their_agreed_form() {
    assert_eq!(serde_json::to_string(&Request::Status {}).unwrap(), r#"{"request":"status"}"#);
    let reply = serde_json::to_value(Reply::Status(PlaneStatus::idle())).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = serde_json::json!({ "reply": "status", "plane": "payments", "state": "idle", "version": version });
    assert_eq!(reply, expected);
}

#[test]
fn what_is_no_message_of_this_release_is_refused() {
    let bad = [
        r#"{"request":"pay"}"#,
        r#"{"request":"status","to":"x"}"#,
        r#"{"reply":"status","plane":"agent","state":"idle","version":"1"}"#,
        r#"{"reply":"status","plane":"payments","state":"busy","version":"1"}"#,
        "{}",
        "[]",
    ];
    for text in bad {
        assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Reply>(text).is_err(), "{text}");
    }
}
