use super::*;

#[test]
fn a_page_is_read_field_by_field() {
    let mut page: Page = [0; 512];
    (page[0], page[3], page[5]) = (0b100, 97, 250);
    page[128..132].copy_from_slice(&40_000_u32.to_le_bytes());
    page[160..168].copy_from_slice(&7_u64.to_le_bytes());
    let expected = SmartState {
        critical_warning: 4,
        available_spare_percent: 97,
        used_percent: 250,
        media_errors: 7,
        power_on_hours: 40_000,
    };
    assert_eq!(state(&page), expected);
    assert_eq!(state(&[0xff; 512]).media_errors, u64::MAX);
}

#[test]
fn other_drives_are_absent_and_what_is_no_drive_fails() {
    assert!(read(Path::new("/dev/null"), Transport::Usb).is_absent());
    for nothing in ["/dev/null", "/dev/nothing-here"] {
        let reading = read(Path::new(nothing), Transport::Nvme);
        assert!(reading.reason().is_some_and(|reason| reason.contains(nothing)) && !reading.is_absent(), "{reading:?}");
    }
}
