//! How a release of the board's EEPROM is called: by the day on which it was built, as Raspberry Pi does.

use lucid_proof::time::rfc3339;

/// The day in UTC, as `2026-05-26`, of a release that was built at `build_s` (seconds since 1970). Past the year 9999,
/// which only a damaged file names, the seconds.
pub(crate) fn day(build_s: u64) -> String {
    match rfc3339(build_s.saturating_mul(1000)) {
        Ok(exact) => exact[..10].to_owned(),
        Err(_) => format!("{build_s} s since 1970"),
    }
}

/// The release in the audit log. Two may be of one day, so the seconds stand there, too.
pub(crate) fn release_of(build_s: u64) -> String {
    format!("release of {} (built at {build_s} s since 1970)", day(build_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_named_by_day_and_second() {
        assert_eq!(day(1_779_753_600), "2026-05-26");
        assert_eq!(day(1_779_839_999), "2026-05-26");
        assert_eq!(release_of(1_779_753_600), "release of 2026-05-26 (built at 1779753600 s since 1970)");
        assert_eq!(day(u64::MAX), format!("{} s since 1970", u64::MAX));
    }
}
