use std::fs;

use super::*;

/// The report of a boot that is in rescue for `why`.
fn boot(why: Option<&str>) -> Reading<BootReport> {
    let report = serde_json::json!({
        "slot": "a", "boot_count": 4, "first_boot": false, "state": "kept", "provisioned": true, "rescue": why,
        "serial": null, "problems": [],
    });
    Reading::Present(serde_json::from_value(report).unwrap())
}

#[test]
fn the_network_is_forgotten_in_rescue_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.toml");
    fs::write(&path, "address = '192.0.2.7/24'").unwrap();
    for boot in [boot(None), Reading::absent("test"), Reading::failed("test")] {
        assert_eq!(forget(&path, &boot).unwrap_err().code, RefusalCode::WrongState);
        assert!(path.exists());
    }
    forget(&path, &boot(Some("it failed"))).unwrap();
    assert!(!path.exists());
    forget(&path, &boot(Some("it failed"))).expect("that there is none is what was asked for");
}

#[test]
fn what_can_not_be_removed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // A folder is no file, not even for root.
    let refusal = forget(folder.path(), &boot(Some("it failed"))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Failed);
    assert!(refusal.message.contains("flash again"), "{refusal}");
}
