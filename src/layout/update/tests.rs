use super::*;

fn good(generation: u32, reads_from: u32) -> Standing {
    let data = DataFormat { generation, reads_from };
    Standing::Good { version: "1.0.0".to_owned(), build_id: Digest([7; 32]), data }
}

#[test]
fn a_slot_takes_over_only_if_it_is_good_and_reads_the_data() {
    let book = |b| SlotBook { committed: Slot::A, a: good(3, 2), b, data_generation: 3 };
    for (standing, expected) in [
        (good(3, 2), true),
        (good(4, 3), true),
        (good(2, 1), false),
        (good(5, 4), false),
        (Standing::Unknown, false),
        (Standing::Unfit { reason: "half written".to_owned() }, false),
    ] {
        assert_eq!(book(standing.clone()).may_take_over(Slot::B), expected, "{standing:?}");
    }
}

#[test]
fn the_book_is_read_as_it_was_written() {
    let book = SlotBook { committed: Slot::B, a: Standing::Unknown, b: good(2, 2), data_generation: 2 };
    let json = serde_json::to_string(&book).unwrap();
    assert_eq!(serde_json::from_str::<SlotBook>(&json).unwrap(), book);
    assert!(serde_json::from_str::<SlotBook>(&json.replace("committed", "comitted")).is_err());
}
