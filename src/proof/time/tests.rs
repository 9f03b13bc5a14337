use super::*;

#[test]
fn times_are_written_and_read_in_one_notation() {
    let table = [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (1_769_860_800_000, "2026-01-31T12:00:00.000Z"),
        (UNIX_MS_MAX, "9999-12-31T23:59:59.999Z"),
    ];
    for (unix_ms, text) in table {
        assert_eq!(rfc3339(unix_ms).as_deref(), Ok(text));
        assert_eq!(parse_rfc3339(text), Ok(unix_ms));
    }
}

#[test]
fn other_notations_are_refused() {
    let table = [
        "",
        "now",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.0Z",
        "2026-01-31T12:00:00.0000Z",
        "2026-01-31T12:00:00.000z",
        "2026-01-31t12:00:00.000Z",
        "2026-01-31 12:00:00.000Z",
        "2026-01-31T12:00:00.000+00:00",
        "2026-01-31T13:00:00.000+01:00",
        "2026-02-30T12:00:00.000Z",
        "2026-01-31T12:00:60.000Z",
        "2026-06-30T23:59:60.000Z",
        "1969-12-31T23:59:59.999Z",
        " 2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00.000Z\n",
    ];
    for text in table {
        assert!(matches!(parse_rfc3339(text), Err(TimeError::Notation { .. })), "{text:?}");
    }
    for unix_ms in [UNIX_MS_MAX + 1, u64::MAX] {
        assert_eq!(rfc3339(unix_ms), Err(TimeError::TooLate { unix_ms }));
    }
}

#[test]
fn trust_is_ordered_and_named() {
    assert!(TimeTrust::Unsynchronized < TimeTrust::Held && TimeTrust::Held < TimeTrust::Synchronized);
    for trust in [TimeTrust::Unsynchronized, TimeTrust::Held, TimeTrust::Synchronized] {
        assert_eq!(TimeTrust::parse(trust.as_str()), Some(trust));
    }
    assert_eq!(TimeTrust::parse("Held"), None);
}
