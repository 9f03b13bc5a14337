//! Escaping, bounds and the JSON form.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn what_could_deceive_a_reader_is_escaped() {
    let table = [
        ("plain text, ümläut, 漢字, 🙂", "plain text, ümläut, 漢字, 🙂"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x07\0", "\\u{1b}[2J\\u{7}\\u{0}"),
        ("\u{7f}\u{85}\u{9b}", "\\u{7f}\\u{85}\\u{9b}"),
        ("\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}", "\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{2028}"),
        ("\"quotes\" and \\", "\"quotes\" and \\"),
    ];
    for (text, expected) in table {
        assert_eq!(BoundedText::of(text), expected);
    }
}

#[test]
fn text_is_cut_at_a_character_and_formatting_stops_early() {
    assert_eq!(BoundedText::of("x".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
    for long in ["x".repeat(100_000), "ä".repeat(100_000), "\n".repeat(100_000), "🙂\u{1b}".repeat(100_000)] {
        let text = BoundedText::of(&long);
        assert!(text.ends_with('…') && text.len() <= TEXT_BYTES_MAX + '…'.len_utf8(), "{}", text.len());
    }
    // A value that never ends ends all the same.
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                formatter.write_str("and so on ")?;
            }
        }
    }
    assert!(BoundedText::of(Endless).ends_with('…'));
}

#[test]
fn times_are_rfc_3339_with_milliseconds() {
    assert_eq!(format_time(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    assert_eq!(format_time(UNIX_EPOCH + Duration::from_millis(1_700_000_000_007)), "2023-11-14T22:13:20.007Z");
}

#[test]
fn fields_are_bounded_in_number_and_a_name_is_there_once() {
    let mut fields = Fields::default();
    for index in 0..1000 {
        fields.set(&format!("field{index}"), Value::Signed(index));
    }
    assert_eq!(fields.values.len(), FIELDS_MAX);
    fields.set("field0", Value::Bool(true));
    assert_eq!((fields.values.len(), &fields.values[0].1), (FIELDS_MAX, &Value::Bool(true)));
}

#[test]
fn numbers_that_json_does_not_know_are_null() {
    let fields = [f64::NAN, f64::INFINITY, 0.5].map(Value::Float);
    assert_eq!(serde_json::to_string(&fields).unwrap(), "[null,null,0.5]");
}
