use proptest::prelude::*;

use super::*;

#[test]
fn only_short_printable_lines_pass() {
    for good in ["S4EWNX0R123456", "sda", " padded  ", "a b"] {
        assert_eq!(good.parse::<DiskId>().unwrap().as_str(), good.trim());
    }
    for bad in ["", "  ", "a\nb", "\u{1b}[2J", "ü", "a\0", &"x".repeat(65)] {
        assert!(bad.parse::<DiskId>().is_err(), "{bad:?}");
        assert!(serde_json::from_value::<DiskId>(bad.into()).is_err(), "{bad:?}");
    }
    assert!("x".repeat(200).parse::<Reason>().is_ok());
    assert!("x".repeat(201).parse::<Reason>().is_err());
}

proptest! {
    #[test]
    fn what_passes_is_one_bounded_line(text in ".*") {
        if let Ok(reason) = text.parse::<Reason>() {
            prop_assert!(reason.as_str().len() <= REASON_BYTES_MAX);
            prop_assert!(!reason.as_str().chars().any(char::is_control));
            prop_assert_eq!(reason.as_str().parse::<Reason>(), Ok(reason.clone()));
        }
    }
}
