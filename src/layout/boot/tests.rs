use super::*;

fn counted(boots_without_ready: u32, boot_id: &str, slot: Option<Slot>) -> Attempts {
    Attempts { boots_without_ready, boot_id: boot_id.to_owned(), slot, trial: None }
}

#[test]
fn a_boot_counts_once_and_each_slot_anew() {
    let (a, b) = (Some(Slot::A), Some(Slot::B));
    let check = |former: Option<Attempts>, slot, expected: u32| {
        let attempts = Attempts::booted(former.as_ref(), "new", slot);
        assert_eq!(attempts, counted(expected, "new", slot), "after {former:?}");
    };
    check(None, a, 1);
    check(Some(counted(2, "old", a)), a, 3);
    check(Some(counted(2, "new", a)), a, 2);
    check(Some(counted(2, "old", b)), a, 1);
    check(Some(counted(2, "new", None)), b, 1);
    check(Some(counted(u32::MAX, "old", a)), a, u32::MAX);
    check(Some(counted(2, "old", a).ready()), a, 1);
}

#[test]
fn the_report_is_json_by_its_agreed_names() {
    let report = BootReport {
        slot: Some(Slot::B),
        boot_count: Some(1),
        first_boot: true,
        state: StateCondition::Fresh,
        provisioned: true,
        trial: false,
        rescue: None,
        eeprom_settings: None,
        serial: Some("10000000deadbeef".to_owned()),
        host_name: Some("lucid-beef".to_owned()),
        boot_disk: Some("mmcblk0".to_owned()),
        stage_ms: 12,
        problems: vec![Problem { code: "clock".to_owned(), text: "cannot".to_owned() }],
    };
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<BootReport>(&json).unwrap(), report);
    assert_eq!(
        json,
        r#"{"slot":"b","boot_count":1,"first_boot":true,"state":"fresh","provisioned":true,"trial":false,"rescue":null,"#.to_owned()
            + r#""serial":"10000000deadbeef","eeprom_settings":null,"host_name":"lucid-beef","#
            + r#""boot_disk":"mmcblk0","stage_ms":12,"#
            + r#""problems":[{"code":"clock","text":"cannot"}]}"#
    );
}

#[test]
fn the_agreed_fields_are_enough_and_others_are_left_alone() {
    let json = r#"{"slot":null,"boot_count":null,"first_boot":false,"state":"unmountable","problems":[],"serial":null,
                   "provisioned":false,"of_a_newer_release":[1]}"#;
    let report: BootReport = serde_json::from_str(json).unwrap();
    assert!(report.state.is_locked() && report.slot.is_none() && !report.trial);
}

#[test]
fn only_a_new_or_a_kept_state_may_be_claimed() {
    let locked = |state: StateCondition| state.is_locked();
    assert!(!locked(StateCondition::Fresh) && !locked(StateCondition::Kept));
    assert!(locked(StateCondition::Lost) && locked(StateCondition::Unmountable));
}

#[test]
fn a_trial_is_remembered_with_the_boot_that_asked_for_it() {
    let former = counted(0, "1", Some(Slot::A));
    let trial = Attempts::booted_on_trial(Some(&former), "2", Slot::B);
    assert_eq!((trial.boots_without_ready, trial.slot), (1, Some(Slot::B)));
    let expected = TrialBoot { slot: Slot::B, boot_id: "2".to_owned(), after: Some("1".to_owned()) };
    assert_eq!(trial.trial, Some(expected.clone()));
    let back = Attempts::booted(Some(&trial), "3", Some(Slot::A));
    assert_eq!((back.boots_without_ready, back.trial), (1, Some(expected)));
    let json = r#"{"boots_without_ready":1,"boot_id":"0","slot":"a"}"#;
    assert_eq!(serde_json::from_str::<Attempts>(json).unwrap().trial, None, "as a former release wrote it");
}
