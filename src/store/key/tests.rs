use proptest::prelude::*;

use super::{Key, decoded, encoded};

/// The bytes of an owned key.
fn bytes_of<K: Key>(key: &K) -> Vec<u8> {
    encoded::<K>(key.borrow())
}

/// Bytes sort as the keys do, and come back as the key.
fn check<K: Key + Ord + Clone + std::fmt::Debug>(a: &K, b: &K) {
    let (a_bytes, b_bytes) = (bytes_of(a), bytes_of(b));
    assert_eq!(a.cmp(b), a_bytes.cmp(&b_bytes), "{a:?} {b:?}");
    assert_eq!(decoded::<K>(&a_bytes).as_ref(), Some(a));
    let longer = [a_bytes.as_slice(), &[1]].concat();
    assert_eq!(decoded::<K>(&longer), None, "more than the key is not the key");
    for shorter in 0..a_bytes.len() {
        assert_eq!(decoded::<K>(&a_bytes[..shorter]), None, "less than the key is not the key");
    }
}

proptest! {
    // No file of failed cases: proptest would put it beside the crates, where the workspace takes it for one.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_keep_their_order(a: u64, b: u64) {
        check(&a, &b);
        check(&(a as u32, b), &(b as u32, a));
        check(&a.to_be_bytes(), &b.to_be_bytes());
    }

    #[test]
    fn text_keeps_its_order_alone_and_in_tuples(a in "[\0\u{1}ab\u{ff}]{0,6}", b in "[\0\u{1}ab\u{ff}]{0,6}", n: u64) {
        check(&a, &b);
        check(&(a.clone(), n), &(b.clone(), !n));
        check(&(a.clone(), u64::MAX - (n & 1)), &(b.clone(), n & 1));
        check(&(a.clone(), b.clone(), n), &(b, a, n));
    }

    #[test]
    fn garbage_is_no_key_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(key) = decoded::<(String, u64)>(&bytes) {
            prop_assert_eq!(encoded::<(String, u64)>(&key), bytes.clone());
        }
        if let Some(key) = decoded::<String>(&bytes) {
            prop_assert_eq!(encoded::<String>(&key), bytes.clone());
        }
    }
}

#[test]
fn bytes_of_keys_never_change() {
    assert_eq!(encoded::<u64>(&0x0102), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(encoded::<String>("a\0b"), b"a\0\xFFb\0\0");
    assert_eq!(encoded::<(String, u16)>(&("a".to_owned(), 1)), b"a\0\0\0\x01");
    assert_eq!(encoded::<[u8; 3]>(&[3, 2, 1]), [3, 2, 1]);
}
