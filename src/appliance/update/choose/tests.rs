//! What is taken without anybody's word, and what is not.

use lucid_agent_protocol::update::Quarantined;
use lucid_layout::Digest;

use super::*;
use crate::update::tests::agent::{incoming, report};

const BOX: BoxId = [7; 32];

fn offer(version: &str) -> Offer {
    let build_id = Digest(Sha256::digest(version).into());
    Offer {
        version: version.to_owned(),
        build_id,
        epoch: 1,
        url: "http://updates.example/x".to_owned(),
        bytes: 1000,
        bundle: Digest([9; 32]),
        percent: 100,
        hold: false,
        notes: String::new(),
        refused: None,
    }
}

fn chosen(agent: &UpdateReport, offers: Vec<Offer>, settings: &Settings) -> Option<String> {
    let channel = ChannelReport { sequence: 1, issued_s: 1, expires_s: 2, offers };
    choose(agent, &channel, settings, &BOX).map(|offer| offer.version.clone())
}

#[test]
fn the_newest_open_release_is_taken() {
    let (agent, any) = (report("1.2.0"), Settings::default());
    let offers = |versions: &[&str]| versions.iter().map(|version| offer(version)).collect::<Vec<_>>();
    assert_eq!(chosen(&agent, offers(&["1.9.0", "1.10.0", "1.3.0"]), &any).as_deref(), Some("1.10.0"));
    assert_eq!(chosen(&agent, offers(&["1.2.0", "1.1.9", "0.9.0"]), &any), None, "never the same or an older one");
    assert_eq!(chosen(&agent, offers(&["1.3.0-rc.1", "nonsense", ""]), &any).as_deref(), Some("1.3.0-rc.1"));
    assert_eq!(chosen(&agent, Vec::new(), &any), None);
    let pinned = Settings { pinned: Some("1.3.0".to_owned()), ..any.clone() };
    assert_eq!(chosen(&agent, offers(&["1.4.0", "1.3.0"]), &pinned).as_deref(), Some("1.3.0"));
    assert_eq!(chosen(&agent, offers(&["1.4.0"]), &pinned), None);
    assert_eq!(
        chosen(&UpdateReport { running: None, ..agent }, offers(&["1.4.0"]), &any),
        None,
        "nothing to compare with"
    );
}

#[test]
fn what_is_held_refused_or_failed_before_is_left_alone() {
    let (agent, any) = (report("1.2.0"), Settings::default());
    let held = Offer { hold: true, ..offer("1.3.0") };
    let refused = Offer { refused: Some("it needs a newer EEPROM".to_owned()), ..offer("1.3.0") };
    let nobody = Offer { percent: 0, ..offer("1.3.0") };
    for open in [held, refused, nobody] {
        assert_eq!(chosen(&agent, vec![open.clone()], &any), None, "{open:?}");
        let beside = chosen(&agent, vec![open, offer("1.2.5")], &any);
        assert_eq!(beside.as_deref(), Some("1.2.5"), "the next one is taken instead");
    }
    let failed = offer("1.3.0");
    let build_id = failed.build_id;
    let quarantine = vec![Quarantined { version: "1.3.0".to_owned(), build_id, at_ms: 1, failures: 1 }];
    assert_eq!(chosen(&UpdateReport { quarantine, ..agent }, vec![failed], &any), None);
}

#[test]
fn waves_take_as_many_boxes_as_they_say_and_others_for_another_release() {
    let boxes: Vec<BoxId> = (0..2000u16).map(|number| Sha256::digest(number.to_le_bytes()).into()).collect();
    let in_wave =
        |offer: &Offer, percent: u8| -> Vec<bool> { boxes.iter().map(|id| wave(id, offer) < percent).collect() };
    let count = |taken: &[bool]| taken.iter().filter(|taken| **taken).count();
    let (one, other) = (offer("1.3.0"), offer("1.4.0"));
    for (percent, expected) in [(0, 0..=0), (10, 120..=280), (50, 850..=1150), (100, 2000..=2000)] {
        assert!(expected.contains(&count(&in_wave(&one, percent))), "{percent}");
    }
    let (tenth, half) = (in_wave(&one, 10), in_wave(&one, 50));
    assert!(tenth.iter().zip(&half).all(|(tenth, half)| half >= tenth), "a wave that grows keeps who was in it");
    assert_eq!(in_wave(&one, 10), tenth, "the same at each look");
    let both = tenth.iter().zip(in_wave(&other, 10)).filter(|(one, other)| **one && *other).count();
    assert!(both < 60, "{both} boxes go first twice");
}

#[test]
fn nothing_that_somebody_has_begun_is_disturbed() {
    let offer = offer("1.3.0");
    let bundle = offer.bundle;
    let with = |phase| UpdateReport { phase, ..report("1.2.0") };
    let writing = |bundle, active| Phase::Writing { incoming: incoming(bundle), offset: 5, bundle_bytes: 10, active };
    assert!(has_room(&with(Phase::Idle {}), &offer));
    assert!(has_room(&with(writing(bundle, false)), &offer), "this one was interrupted");
    assert!(!has_room(&with(writing(bundle, true)), &offer));
    assert!(!has_room(&with(writing(Digest([1; 32]), false)), &offer), "another one was interrupted");
    assert!(!has_room(&with(Phase::Written { incoming: incoming(bundle) }), &offer));
    assert!(!has_room(&with(Phase::Armed { incoming: None }), &offer));
}
