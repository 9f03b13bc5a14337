//! Transfers that break: at random places, with the agent ended, with another bundle in between.

use std::io::{self, Read};

use lucid_agent_protocol::RefusalCode;
use lucid_agent_protocol::update::Phase;
use lucid_layout::Slot;
use proptest::prelude::*;

use super::bundles::{Bundle, STOLEN, authority, bundle, key_list, signed};
use super::rig::{Rig, new, refused, small};
use super::world::Event;
use crate::update::Wish;

/// A connection that breaks after so many bytes.
struct Breaks<'a> {
    bytes: &'a [u8],
    after: usize,
    kind: io::ErrorKind,
}

impl Read for Breaks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.after == 0 {
            return Err(self.kind.into());
        }
        let length = buffer.len().min(self.after);
        let read = (&self.bytes[..length.min(self.bytes.len())]).read(buffer)?;
        (self.bytes, self.after) = (&self.bytes[read..], self.after - read);
        Ok(read)
    }
}

fn broken(rig: &Rig, bundle: &Bundle, from: usize, after: usize, kind: io::ErrorKind) {
    let wish = Wish { offset: from as u64, bundle: Some(bundle.id()), automatic: false };
    let transfer = rig.updates.begin(&wish).unwrap();
    let bytes = &bundle.bytes[usize::try_from(transfer.offset()).unwrap()..];
    let outcome = transfer.run(&mut Breaks { bytes, after, kind });
    assert!(outcome.is_err(), "the bundle has {} bytes, and {after} came", bundle.bytes.len());
}

/// Where the status says that the bundle is wanted from.
fn wanted(rig: &Rig) -> Option<u64> {
    match rig.phase() {
        Phase::Writing { offset, active: false, .. } => Some(offset),
        Phase::Idle {} => None,
        other => panic!("{other:?}"),
    }
}

fn written(rig: &Rig) -> usize {
    let of = |event: &Event| match event {
        Event::Write { bytes, .. } => bytes.len(),
        _ => 0,
    };
    rig.world.with(|inner| inner.log.iter().map(of).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_goes_on_wherever_it_broke(places in prop::collection::vec((0.0..1.0_f64, any::<bool>(), 0..3_u8), 1..5)) {
        thread_local!(static BUNDLE: Bundle = bundle(&new()));
        let bundle = BUNDLE.with(Clone::clone);
        let mut rig = Rig::new();
        for (place, ended, kind) in places {
            let from = wanted(&rig).unwrap_or(0);
            let left = bundle.bytes.len() as u64 - from;
            let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof, io::ErrorKind::TimedOut];
            broken(&rig, &bundle, from as usize, (left as f64 * place) as usize, kinds[usize::from(kind)]);
            prop_assert!(wanted(&rig).unwrap_or(0) >= from, "what is durable stays so");
            if ended {
                rig.agent_restarted();
            }
        }
        prop_assert_eq!(rig.send_rest(&bundle), Ok(()));
        prop_assert!(rig.holds(Slot::B, &[new()]).is_some());
        // Pieces were written once, but for the first sector, which is zeroed at every start, and held back.
        prop_assert!(written(&rig) <= new().root.len() + new().boot.len() + 100 * 512, "{}", written(&rig));
    }
}

#[test]
fn what_can_not_go_on_says_where_to_begin() {
    let rig = Rig::new();
    let (first, second) = (bundle(&new()), bundle(&small()));
    let begin = |offset, bundle| rig.updates.begin(&Wish { offset, bundle, automatic: false }).map(drop);
    refused(begin(1, Some(first.id())), RefusalCode::WrongState, "from its beginning");
    broken(&rig, &first, 0, first.bytes.len() * 3 / 4, io::ErrorKind::ConnectionReset);
    let offset = wanted(&rig).unwrap();
    assert!(offset > first.header.bytes, "at least one piece is there");
    refused(begin(1, Some(second.id())), RefusalCode::WrongState, "another bundle");
    refused(begin(1, None), RefusalCode::WrongState, "another bundle");
    refused(begin(offset + 1, Some(first.id())), RefusalCode::WrongState, &format!("from byte {offset}"));
    refused(begin(u64::MAX, Some(first.id())), RefusalCode::WrongState, &format!("from byte {offset}"));
    // Whoever can't go back to a place sends all of it once more.
    let before = written(&rig);
    assert_eq!(rig.send(&first), Ok(()));
    let whole = new().root.len() + new().boot.len();
    assert!(written(&rig) - before < whole, "what was there was not written again");
    assert!(rig.holds(Slot::B, &[new()]).is_some());
}

#[test]
fn another_bundle_takes_its_place_and_the_first_begins_anew() {
    let rig = Rig::new();
    let (first, second) = (bundle(&new()), bundle(&small()));
    broken(&rig, &first, 0, first.bytes.len() / 2, io::ErrorKind::ConnectionReset);
    assert_eq!(rig.send(&second), Ok(()));
    assert!(rig.holds(Slot::B, &[small()]).is_some());
    assert_eq!(rig.send_rest(&first), Ok(()));
    assert!(rig.holds(Slot::B, &[new()]).is_some());
}

#[test]
fn a_key_that_was_revoked_meanwhile_ends_it() {
    let rig = Rig::new();
    let stolen = bundle(&new()).signed_anew(authority(), STOLEN);
    broken(&rig, &stolen, 0, stolen.bytes.len() / 2, io::ErrorKind::ConnectionReset);
    assert!(wanted(&rig).is_some());
    // The word comes by a bundle that is otherwise of no use.
    let newer = lucid_bundle::Authority { roots: vec![], keys: signed(&key_list(2, 1, &[STOLEN]), &[1, 2]) };
    let messenger = bundle(&small()).signed_anew(newer, super::bundles::STRANGER);
    refused(rig.send(&messenger), RefusalCode::Untrusted, "not trusted");
    // What it carries is the list from before.
    refused(rig.send_rest(&stolen), RefusalCode::Untrusted, "older than 2");
    assert_eq!(wanted(&rig), None, "it was given up");
    refused(rig.send_rest(&stolen), RefusalCode::Untrusted, "");
}
