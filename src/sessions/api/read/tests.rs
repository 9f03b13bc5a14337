//! The `Range` header, by RFC 9110, section 14.

use super::*;

#[test]
fn ranges() {
    const IGNORED: Option<Option<Range<u64>>> = None;
    const NOT_THERE: Option<Option<Range<u64>>> = Some(None);
    let found = |range| Some(Some(range));
    let cases = [
        ("bytes=0-0", 10, found(0..1)),
        ("bytes=0-9", 10, found(0..10)),
        ("bytes=0-", 10, found(0..10)),
        ("bytes=3-5", 10, found(3..6)),
        ("bytes=3-99", 10, found(3..10)),
        ("bytes=9-", 10, found(9..10)),
        ("bytes=-1", 10, found(9..10)),
        ("bytes=-10", 10, found(0..10)),
        ("bytes=-11", 10, found(0..10)),
        ("bytes=00000000000000000003-5", 10, found(3..6)),
        ("bytes=0-18446744073709551614", 10, found(0..10)),
        ("bytes=10-", 10, NOT_THERE),
        ("bytes=10-20", 10, NOT_THERE),
        ("bytes=18446744073709551615-", 10, NOT_THERE),
        ("bytes=5-4", 10, NOT_THERE),
        ("bytes=-0", 10, NOT_THERE),
        ("bytes=0-0", 0, NOT_THERE),
        ("bytes=0-", 0, NOT_THERE),
        ("bytes=-5", 0, NOT_THERE),
        ("bytes=0-1,3-4", 10, IGNORED),
        ("bytes=0-1,", 10, IGNORED),
        ("bytes=,0-1", 10, IGNORED),
        ("bytes=-", 10, IGNORED),
        ("bytes=", 10, IGNORED),
        ("bytes", 10, IGNORED),
        ("", 10, IGNORED),
        ("bytes=5", 10, IGNORED),
        ("bytes=a-b", 10, IGNORED),
        ("bytes=+1-2", 10, IGNORED),
        ("bytes=1-+2", 10, IGNORED),
        ("bytes=--5", 10, IGNORED),
        ("bytes=1-2-3", 10, IGNORED),
        ("bytes= 1-2", 10, IGNORED),
        ("bytes=1-2 ", 10, IGNORED),
        ("bytes=0-18446744073709551615", 10, IGNORED),
        ("bytes=0-99999999999999999999", 10, IGNORED),
        ("lines=0-5", 10, IGNORED),
    ];
    for (text, total, expected) in cases {
        assert_eq!(parse_range(text, total), expected, "`{text}` of {total}");
    }
}
