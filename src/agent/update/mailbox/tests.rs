use super::*;

#[test]
fn a_message_is_as_the_firmware_wants_it() {
    let Message(words) = request(SET, 1);
    assert_eq!(words, [28, 0, 0x0003_8064, 4, 0, 1, 0]);
    assert_eq!(size_of::<Message>(), 28);
    // `_IOWR(100, 0, char *)` on a machine of 64 bits.
    assert_eq!(IOCTL_MBOX_PROPERTY, 0xc008_6400);
}

#[test]
fn only_an_answer_counts() {
    let with = |code, length| answer(&Message([28, code, GET, 4, length, 1, 0]));
    assert_eq!(with(0x8000_0000, 0x8000_0004).unwrap(), 1);
    for (code, length) in [(0, 0x8000_0004), (0x8000_0001, 0x8000_0004), (0x8000_0000, 4), (0, 0)] {
        assert!(matches!(with(code, length), Err(MailboxError::Unknown)), "{code:x} {length:x}");
    }
}

#[test]
fn a_machine_without_a_mailbox_says_so_and_another_device_is_an_error() {
    let absent = Mailbox::at(Path::new("/dev/there-is-no-mailbox"));
    assert!(matches!(absent.way(), TrybootWay::ArgumentOnly { reason } if reason.contains("there-is-no-mailbox")));
    assert!(absent.set(true).is_ok(), "the argument of the restart has to be enough");
    let other = Mailbox::at(Path::new("/dev/null"));
    assert_eq!(other.way(), TrybootWay::Mailbox);
    assert!(matches!(other.set(true), Err(MailboxError::Io(_))));
}
