use lucid_agent_protocol::update::Outcome;
use proptest::prelude::*;

use super::*;

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn incoming() -> Incoming {
    let (version, notes) = ("1.2.3".to_owned(), "what is new".to_owned());
    Incoming { version, build_id: digest(1), bundle: digest(2), slot: Slot::B, notes }
}

fn candidate() -> Candidate {
    let data = DataFormat { generation: 3, reads_from: 2 };
    let (version, incoming) = ("1.2.3".to_owned(), Some(incoming()));
    Candidate { slot: Slot::B, version, build_id: digest(1), incoming, epoch: 4, data }
}

#[test]
fn every_state_is_read_as_it_was_written() {
    let (armed_in, before, soak_s) = ("a boot".to_owned(), Circumstances::default(), 180);
    let (what, purpose) = (candidate(), Purpose::Update);
    let first_sector = Some(Sector(Box::new(std::array::from_fn(|at| at as u8))));
    let (boot_id, last) = ("another".to_owned(), vec![]);
    let states = [
        Progress::Idle,
        Progress::Writing { incoming: incoming(), bundle_bytes: 9, offset: 5, automatic: true, first_sector },
        Progress::Written { what: what.clone() },
        Progress::Armed { what: what.clone(), purpose, armed_in: armed_in.clone(), soak_s, before: before.clone() },
        Progress::Trying { what: what.clone(), purpose, armed_in, soak_s, before, boot_id, last },
        Progress::Committing { what: what.clone(), purpose: Purpose::Return },
    ];
    for state in states {
        let json = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<Progress>(&json).unwrap(), state);
        let has_candidate = !matches!(state, Progress::Idle | Progress::Writing { .. });
        assert_eq!(state.candidate(), has_candidate.then_some(&what), "{state:?}");
    }
}

#[test]
fn a_sector_of_another_length_is_none() {
    for digits in [0, 1022, 1023, 1026] {
        assert!(serde_json::from_str::<Sector>(&format!("\"{}\"", "0".repeat(digits))).is_err(), "{digits}");
    }
    assert!(serde_json::from_str::<Sector>(&format!("\"{}\"", "g".repeat(1024))).is_err());
}

#[test]
fn the_history_is_bounded_and_counts_failures() {
    let mut history = History::default();
    for at_ms in 0..50 {
        let (version, outcome) = (at_ms.to_string(), Outcome::Committed {});
        history.add(Attempt { at_ms, version, build_id: None, slot: Slot::A, outcome });
        history.quarantine("x", digest(at_ms as u8), at_ms);
    }
    assert_eq!(history.attempts.len(), ATTEMPTS_KEPT_MAX);
    assert_eq!(history.attempts[0].at_ms, 49, "the newest first");
    assert_eq!(history.quarantine.len(), QUARANTINE_KEPT_MAX);
    assert!(history.is_quarantined(&digest(40)) && !history.is_quarantined(&digest(1)));
    history.quarantine("x", digest(40), 60);
    assert_eq!((history.quarantine[0].failures, history.quarantine[0].at_ms), (2, 60));
    assert_eq!(history.quarantine.iter().filter(|known| known.build_id == digest(40)).count(), 1);
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read: Result<Progress, _> = serde_json::from_slice(&bytes);
        prop_assert!(read.is_err() || !bytes.is_empty());
    }
}
