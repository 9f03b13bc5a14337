use proptest::prelude::*;

use super::*;
use crate::fixture::{authority, first_root, manifest, signed_by, small};

/// A source that counts what is read of it.
struct Counted<'a>(&'a [u8], usize);

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out)?;
        self.1 += count;
        Ok(count)
    }
}

#[test]
fn a_header_is_read_to_its_end_and_no_further() {
    let (header, bundle) = small();
    let mut source = Counted(&bundle, 0);
    let read = read_header(&mut source).unwrap();
    assert_eq!(source.1 as u64, read.bytes);
    assert_eq!(read, header);
    assert_eq!(read.raw(), &bundle[..source.1]);
    assert_eq!(read.id.0, *blake3::hash(read.raw()).as_bytes());
    assert_eq!(read.id.digest().to_string(), read.id.to_string());
    assert_eq!(Header::parse(read.raw()).unwrap(), header);
}

#[test]
fn a_header_that_is_cut_anywhere_is_none() {
    let (header, _) = small();
    for length in 0..header.raw().len() {
        let cut = &header.raw()[..length];
        assert!(matches!(read_header(&mut &*cut), Err(ReadError::Layout(LayoutError::Ended { .. }))), "at {length}");
        assert!(Header::parse(cut).is_err(), "at {length}");
    }
}

#[test]
fn bytes_after_a_header_or_within_its_length_are_refused() {
    let (header, bundle) = small();
    assert!(matches!(Header::parse(&bundle), Err(ReadError::Layout(LayoutError::Trailing { .. }))));
    let length = u32::try_from(header.raw().len() - PREFIX_BYTES).unwrap();
    for (claimed, more) in [(length + 1, 1), (length + 1000, 1000)] {
        let mut padded = [header.raw(), &vec![0; more]].concat();
        padded[8..12].copy_from_slice(&claimed.to_le_bytes());
        assert!(matches!(Header::parse(&padded), Err(ReadError::Layout(LayoutError::Trailing { .. }))));
    }
}

#[test]
fn a_length_is_bounded_before_it_is_believed() {
    let (header, _) = small();
    for claimed in [0, HEADER_BYTES_MAX + 1, u32::MAX] {
        let mut raw = header.raw().to_vec();
        raw[8..12].copy_from_slice(&claimed.to_le_bytes());
        let mut source = Counted(&raw, 0);
        assert!(matches!(read_header(&mut source), Err(ReadError::Layout(LayoutError::Limit { .. }))), "{claimed}");
        assert_eq!(source.1, PREFIX_BYTES);
    }
    let mut other = header.raw().to_vec();
    other[7] = b'2';
    assert!(matches!(read_header(&mut &*other), Err(ReadError::Layout(LayoutError::Magic { .. }))));
}

#[test]
fn a_source_that_fails_is_no_damaged_bundle() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    assert!(matches!(read_header(&mut Broken), Err(ReadError::Io(_))));
}

#[test]
fn a_header_holds_eight_root_sets_and_not_nine() {
    let with = |count| {
        let authority = Authority { roots: vec![first_root(); count], ..authority() };
        Header::new(authority, signed_by(&manifest(), &[50]))
    };
    assert!(with(0).is_ok() && with(8).is_ok());
    assert!(matches!(with(9), Err(LayoutError::Limit { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_read_as_a_header_that_is_not_written_so(
        at in any::<proptest::sample::Index>(), new in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut raw = small().0.raw().to_vec();
        let from = at.index(raw.len());
        let to = (from + new.len()).min(raw.len());
        raw[from..to].copy_from_slice(&new[..to - from]);
        if let Ok(header) = Header::parse(&raw) {
            let again = Header::new(header.authority().clone(), header.signed_manifest().clone()).unwrap();
            prop_assert_eq!(again.raw(), &raw);
        }
        prop_assert!(read_header(&mut &*new).is_err());
    }
}
