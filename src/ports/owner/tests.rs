//! How an owner is shown, and written.

use super::*;

#[test]
fn a_removed_account_is_shown_as_one() {
    let owner = |account| Owner { id: AccountId::from_bytes([7; 16]), name: "zoe".to_owned(), account };
    assert_eq!(owner(AccountState::Present).to_string(), "zoe");
    assert_eq!(owner(AccountState::Unknown).to_string(), "zoe");
    assert_eq!(owner(AccountState::Removed).to_string(), "removed account zoe");
    let json = serde_json::to_value(owner(AccountState::Removed)).unwrap();
    let id = "07070707-0707-0707-0707-070707070707";
    assert_eq!(json, serde_json::json!({ "id": id, "name": "zoe", "account": "removed" }));
}
