use super::*;

fn report(state: &str) -> String {
    format!(
        r#"{{"slot":"a","boot_count":1,"first_boot":true,"state":"{state}","provisioned":false,"serial":null,
            "problems":[{{"code":"x","text":"this went wrong: do that"}}],"of_a_later_release":1}}"#
    )
}

fn boot_of(content: &[u8]) -> Boot {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("boot.json");
    std::fs::write(&path, content).unwrap();
    Boot::read(&path)
}

#[test]
fn a_box_whose_state_is_there_or_was_never_is_not_locked() {
    for state in ["fresh", "kept"] {
        let boot = boot_of(report(state).as_bytes());
        assert_eq!(boot.locked(), None, "{state}");
        assert_eq!(boot.problems(), ["this went wrong: do that"]);
    }
    assert_eq!(Boot::NotAnAppliance.locked(), None);
}

#[test]
fn a_box_whose_state_is_lost_is_locked_and_says_what_to_do() {
    for state in ["lost", "unmountable"] {
        let why = boot_of(report(state).as_bytes()).locked().unwrap();
        assert!(why.contains("flash.sh") && why.contains("nobody can claim it"), "{why}");
    }
}

#[test]
fn a_report_that_can_not_be_read_locks() {
    let long = format!("{}{}", report("fresh"), " ".repeat(17_000));
    let half = report("half");
    let contents: [&[u8]; 6] = [b"", b"{}", b"garbage", b"\xff\xfe", half.as_bytes(), long.as_bytes()];
    for content in contents {
        let boot = boot_of(content);
        assert!(matches!(boot, Boot::Unknown { .. }), "{boot:?}");
        assert!(boot.locked().unwrap().contains("boot.json"));
        assert_eq!(boot.problems().len(), 1);
    }
    let truncated = &report("fresh").into_bytes()[..40];
    assert!(boot_of(truncated).locked().is_some());
    assert!(Boot::read(Path::new("/nonexistent/boot.json")).locked().unwrap().contains("/nonexistent/boot.json"));
}
