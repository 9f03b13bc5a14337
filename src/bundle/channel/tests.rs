use proptest::prelude::*;

use super::*;
use crate::fixture::{authority, channel, channel_file, signed_by};

#[test]
fn a_channel_file_is_read_as_it_was_written() {
    let bytes = channel_file(&channel(4), &[50]);
    let file = ChannelFile::parse(&bytes).unwrap();
    assert_eq!(Channel::decode(&file.channel.bytes), Ok(channel(4)));
    assert_eq!(file.to_bytes(), Ok(bytes.clone()));
    for length in 0..bytes.len() {
        assert!(ChannelFile::parse(&bytes[..length]).is_err(), "cut at {length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(ChannelFile::parse(&longer), Err(LayoutError::Trailing { .. })));
    let bundle = crate::fixture::small().1;
    assert_eq!(ChannelFile::parse(&bundle), Err(LayoutError::Magic { what: "channel file" }));
}

#[test]
fn a_channel_file_has_ten_kilobytes() {
    let with = |notes: usize| {
        let mut channel = channel(4);
        channel.releases[0].notes = "x".repeat(notes);
        ChannelFile { authority: authority(), channel: signed_by(&channel, &[50]) }
    };
    let room = CHANNEL_FILE_BYTES_MAX - with(0).to_bytes().unwrap().len();
    let bytes = with(room).to_bytes().unwrap();
    assert_eq!(bytes.len(), CHANNEL_FILE_BYTES_MAX);
    ChannelFile::parse(&bytes).unwrap();
    assert!(with(room + 1).to_bytes().is_err());
    assert!(matches!(ChannelFile::parse(&[&bytes[..], b"x"].concat()), Err(LayoutError::Limit { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_read_as_a_channel_file_that_is_not_written_so(
        at in any::<proptest::sample::Index>(), new in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut bytes = channel_file(&channel(4), &[50]);
        let from = at.index(bytes.len());
        let to = (from + new.len()).min(bytes.len());
        bytes[from..to].copy_from_slice(&new[..to - from]);
        if let Ok(file) = ChannelFile::parse(&bytes) {
            prop_assert_eq!(file.to_bytes().unwrap(), bytes);
        }
    }
}
