use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{KEY_BYTES_MAX, Reader as _, VALUE_BYTES_MAX};
use crate::tests::{Rig, rig};
use crate::{Json, StoreError, Table};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    size_bytes: u64,
}

const ROWS: Table<(String, u64), Json<Row>> = Table::new("rows");
const RAW: Table<String, Vec<u8>> = Table::new("raw");
const NUMBERS: Table<u64, Json<u64>> = Table::new("numbers");

fn row(name: &str) -> Row {
    Row { name: name.to_owned(), size_bytes: 3 }
}

fn numbers(rig: &Rig, keys: &'static [u64]) {
    rig.store.write_blocking(move |tx| keys.iter().try_for_each(|key| tx.put(&NUMBERS, key, key))).unwrap();
}

#[test]
fn rows_come_back_as_they_were_put() {
    let rig = rig();
    let key = ("a".to_owned(), 1);
    let put = key.clone();
    rig.store
        .write_blocking(move |tx| {
            assert!(!tx.contains(&ROWS, &put)?);
            tx.put(&ROWS, &put, &row("first"))?;
            assert_eq!(tx.get(&ROWS, &put)?, Some(row("first")), "a write transaction sees its own writes");
            tx.put(&RAW, "k", &vec![0, 255])
        })
        .unwrap();
    let store = rig.reopened();
    store
        .read(|tx| {
            assert_eq!(tx.get(&ROWS, &key)?, Some(row("first")));
            assert_eq!(tx.get(&RAW, "k")?, Some(vec![0, 255]));
            assert_eq!(tx.get(&RAW, "other")?, None);
            assert_eq!(tx.get(&NUMBERS, &1)?, None, "a table that was never written is empty");
            assert!(tx.is_empty(&NUMBERS)? && tx.range(&NUMBERS, .., 9)?.is_empty());
            assert!(tx.first(&NUMBERS)?.is_none() && tx.last(&NUMBERS)?.is_none());
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn ranges_are_ordered_limited_and_never_panic() {
    let rig = rig();
    numbers(&rig, &[5, 1, 300, 256, 2]);
    rig.store
        .read(|tx| {
            let keys = |range: (Bound<u64>, Bound<u64>), limit| {
                tx.range(&NUMBERS, range, limit).map(|rows| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>())
            };
            use Bound::{Excluded, Included, Unbounded};
            for (range, limit, expected) in [
                ((Unbounded, Unbounded), 9, vec![1, 2, 5, 256, 300]),
                ((Unbounded, Unbounded), 2, vec![1, 2]),
                ((Unbounded, Unbounded), 0, vec![]),
                ((Included(2), Excluded(256)), 9, vec![2, 5]),
                ((Excluded(2), Included(256)), 9, vec![5, 256]),
                ((Included(5), Included(5)), 9, vec![5]),
                ((Included(5), Excluded(5)), 9, vec![]),
                ((Excluded(5), Excluded(5)), 9, vec![]),
                ((Included(9), Included(1)), 9, vec![]),
                ((Excluded(u64::MAX), Unbounded), 9, vec![]),
            ] {
                assert_eq!(keys(range, limit)?, expected, "{range:?} {limit}");
            }
            assert_eq!(tx.range_rev(&NUMBERS, ..300, 2)?, [(256, 256), (5, 5)]);
            assert_eq!(tx.first(&NUMBERS)?, Some((1, 1)));
            assert_eq!(tx.last(&NUMBERS)?, Some((300, 300)));
            assert_eq!(tx.len(&NUMBERS)?, 5);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn removing_tells_what_was_there() {
    let rig = rig();
    numbers(&rig, &[1, 2, 3, 4, 5]);
    rig.store
        .write_blocking(|tx| {
            assert!(tx.remove(&NUMBERS, &1)?);
            assert!(!tx.remove(&NUMBERS, &1)?);
            assert_eq!(tx.remove_range(&NUMBERS, 3..5)?, 2);
            assert_eq!(tx.remove_range(&NUMBERS, (Bound::Included(9), Bound::Excluded(1)))?, 0);
            assert_eq!(tx.range(&NUMBERS, .., 9)?, [(2, 2), (5, 5)]);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn rows_of_another_type_are_errors_that_name_the_table() {
    const AS_TEXT: Table<String, Json<String>> = Table::new("numbers");
    let rig = rig();
    numbers(&rig, &[0x6100]);
    rig.store
        .read(|tx| {
            let key = tx.range(&AS_TEXT, .., 9).unwrap_err();
            assert!(matches!(&key, StoreError::BadKey { table: "numbers", .. }), "{key:?}");
            const AS_ROW: Table<u64, Json<Row>> = Table::new("numbers");
            let value = tx.get(&AS_ROW, &0x6100).unwrap_err();
            assert!(matches!(&value, StoreError::BadValue { table: "numbers", .. }), "{value:?}");
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn oversized_keys_and_values_are_refused() {
    let rig = rig();
    let long_key = rig.store.write_blocking(|tx| tx.put(&RAW, &"k".repeat(KEY_BYTES_MAX), &vec![]));
    assert!(matches!(long_key, Err(StoreError::TooLong { what: "key", .. })), "{long_key:?}");
    let long_value = rig.store.write_blocking(|tx| tx.put(&RAW, "k", &vec![0; VALUE_BYTES_MAX + 1]));
    assert!(matches!(long_value, Err(StoreError::TooLong { what: "value", .. })), "{long_value:?}");
    rig.store.write_blocking(|tx| tx.put(&RAW, &"k".repeat(KEY_BYTES_MAX - 2), &vec![0; 1024])).unwrap();
}

#[test]
fn a_read_sees_one_state() {
    let rig = rig();
    numbers(&rig, &[1]);
    rig.store
        .read(|tx| {
            numbers(&rig, &[2]);
            assert_eq!(tx.len(&NUMBERS)?, 1);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(rig.store.read(|tx| tx.len(&NUMBERS)).unwrap(), 2);
}
