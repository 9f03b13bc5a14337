use lucid_agent_protocol::Adopted;
use proptest::prelude::*;

use super::*;
use crate::keeper::intent::Format;

const UUID: &str = "8095fee0-bcda-4d6a-abd6-22e604fc26db";

fn signature(kind: &str, label: Option<&str>, uuid: &str) -> Content {
    Content::Signature { kind: kind.to_owned(), label: label.map(str::to_owned), uuid: Some(uuid.to_owned()) }
}

fn ours() -> Content {
    signature("ext4", Some("lucid-data"), UUID)
}

fn volume(name: &str, content: Content) -> Volume {
    Volume {
        name: name.to_owned(),
        device: "8:0".to_owned(),
        disk: format!("SERIAL-{name}").parse().unwrap(),
        model: Some("Model".to_owned()),
        has_serial: true,
        transport: Transport::Usb,
        partition: None,
        size_bytes: 1 << 40,
        read_only: false,
        content,
        system: false,
        in_use: false,
    }
}

fn own(content: Content) -> Volume {
    Volume { partition: Some((7, Some("data".to_owned()))), system: true, ..volume("nvme0n1p7", content) }
}

fn consent(consent: Consent) -> Ssd {
    Ssd { consent, serial: None }
}

/// What is decided of `volumes`, all else being favourable.
fn step(intent: &Intent, consent: &Ssd, volumes: &[Volume]) -> Step {
    let room_on_system_disk = true;
    decide(&Scene { intent, consent, volumes, settled: true, detached: false, room_on_system_disk })
}

fn used() -> Intent {
    Intent::Use(Adopted { uuid: UUID.to_owned(), disk: "SERIAL-sda".parse().unwrap(), model: Some("T7".to_owned()) })
}

fn formatting() -> Format {
    let disk = "SERIAL-sda".parse().unwrap();
    Format { disk, has_serial: true, model: None, partition: None, uuid: UUID.to_owned() }
}

fn rests(step: &Step, state: &SsdState, word: &str) -> bool {
    matches!(step, Step::Rest(is, reason) if is == state && reason.contains(word))
}

#[test]
fn the_adopted_filesystem_is_found_by_its_uuid() {
    let none = consent(Consent::None);
    let here = volume("sdb", ours());
    let others = [volume("sda", signature("ext4", Some("lucid-data"), "other")), volume("sdc", Content::Empty)];
    let all = [&others[..], std::slice::from_ref(&here)].concat();
    assert_eq!(step(&used(), &none, &all), Step::Mount(here.clone()));
    assert!(rests(&step(&used(), &none, &others), &SsdState::Absent, "T7 with serial number `SERIAL-sda`"));
    let twice = [here.clone(), volume("sdd", ours())];
    assert!(rests(&step(&used(), &none, &twice), &SsdState::Failed, "two copies"));
    let other_kind = [volume("sda", signature("xfs", Some("lucid-data"), UUID))];
    assert!(rests(&step(&used(), &none, &other_kind), &SsdState::Absent, "connect it"));
    let dying = [volume("sda", Content::Unreadable { reason: "Input/output error".to_owned() })];
    assert!(rests(&step(&used(), &none, &dying), &SsdState::Absent, "Input/output error"));
    let scene = Scene {
        intent: &used(),
        consent: &none,
        volumes: &[here],
        settled: true,
        detached: true,
        room_on_system_disk: false,
    };
    assert!(rests(&decide(&scene), &SsdState::Detached, "may be unplugged"));
}

#[test]
fn a_label_is_enough_where_it_was_allowed() {
    let (here, empty) = (volume("sda", ours()), volume("sdb", Content::Empty));
    for allowed in [Consent::Labelled, Consent::Empty] {
        let both = [here.clone(), empty.clone()];
        assert_eq!(step(&Intent::None, &consent(allowed), &both), Step::Adopt(here.clone()));
        let two = [here.clone(), volume("sdb", ours())];
        assert!(rests(&step(&Intent::None, &consent(allowed), &two), &SsdState::NotAdopted, "several"));
        let one = Ssd { consent: allowed, serial: Some("SERIAL-sda".parse().unwrap()) };
        assert_eq!(step(&Intent::None, &one, &two), Step::Adopt(here.clone()));
        let in_use = [Volume { in_use: true, ..here.clone() }];
        assert!(rests(&step(&Intent::None, &consent(allowed), &in_use), &SsdState::NotAdopted, "connect one"));
    }
    let other = Ssd { consent: Consent::Labelled, serial: Some("OTHER".parse().unwrap()) };
    assert!(rests(&step(&Intent::None, &other, std::slice::from_ref(&here)), &SsdState::NotAdopted, "connect one"));
    assert!(rests(&step(&Intent::None, &consent(Consent::Labelled), &[empty]), &SsdState::NotAdopted, "label"));
    let unlabelled = volume("sda", signature("ext4", None, UUID));
    assert!(rests(&step(&Intent::None, &consent(Consent::Empty), &[unlabelled]), &SsdState::NotAdopted, "empty"));
}

#[test]
fn one_empty_disk_is_formatted_where_it_was_allowed() {
    let empty = volume("sda", Content::Empty);
    let allowed = consent(Consent::Empty);
    assert_eq!(step(&Intent::None, &allowed, std::slice::from_ref(&empty)), Step::Format(empty.clone()));
    for unfit in [
        Volume { content: Content::Unknown, ..empty.clone() },
        Volume { has_serial: false, ..empty.clone() },
        Volume { transport: Transport::Mmc, ..empty.clone() },
        Volume { size_bytes: FORMAT_BYTES_MIN - 1, ..empty.clone() },
        Volume { partition: Some((1, None)), ..empty.clone() },
        Volume { system: true, ..empty.clone() },
        Volume { in_use: true, ..empty.clone() },
        Volume { read_only: true, ..empty.clone() },
    ] {
        assert!(
            rests(&step(&Intent::None, &allowed, std::slice::from_ref(&unfit)), &SsdState::NotAdopted, "empty"),
            "{unfit:?}"
        );
        let both = [unfit, empty.clone()];
        assert_eq!(step(&Intent::None, &allowed, &both), Step::Format(empty.clone()));
    }
    let two = [empty.clone(), volume("sdb", Content::Empty)];
    assert!(rests(&step(&Intent::None, &allowed, &two), &SsdState::NotAdopted, "several"));
}

#[test]
fn nothing_is_chosen_while_disks_are_still_coming() {
    for allowed in [Consent::None, Consent::Labelled, Consent::Empty] {
        let scene = Scene {
            intent: &Intent::None,
            consent: &consent(allowed),
            volumes: &[volume("sda", ours())],
            settled: false,
            detached: false,
            room_on_system_disk: true,
        };
        assert!(rests(&decide(&scene), &SsdState::NotAdopted, "looking"));
    }
}

#[test]
fn a_system_on_nvme_brings_its_own_partition() {
    let none = consent(Consent::None);
    let step = |volumes: &[Volume]| step(&Intent::None, &none, volumes);
    assert_eq!(step(&[]), Step::Partition);
    assert_eq!(step(&[own(ours())]), Step::Adopt(own(ours())));
    assert_eq!(step(&[own(Content::Unknown)]), Step::Format(own(Content::Unknown)));
    assert!(rests(&step(&[own(signature("btrfs", None, "x"))]), &SsdState::NotAdopted, "something else"));
    // The same partition of another disk, or with another name, is none of the agent's business.
    let foreign = Volume { system: false, ..own(Content::Empty) };
    let unnamed = Volume { partition: Some((7, None)), ..own(Content::Empty) };
    assert_eq!(step(&[foreign, unnamed, volume("sda", ours())]), Step::Partition);
}

#[test]
fn what_was_interrupted_is_finished_on_the_same_disk_only() {
    let none = consent(Consent::None);
    let intent = Intent::Format(formatting());
    for content in [Content::Empty, Content::Unknown, ours()] {
        let here = volume("sda", content);
        assert_eq!(step(&intent, &none, std::slice::from_ref(&here)), Step::Finish(here, formatting()));
    }
    let foreign = volume("sda", signature("ntfs", None, "x"));
    assert!(rests(&step(&intent, &none, &[foreign]), &SsdState::Failed, "something else"));
    assert!(rests(&step(&intent, &none, &[volume("sdb", Content::Empty)]), &SsdState::Absent, "connect it"));
    let two = [volume("sda", Content::Empty), volume("sda", Content::Empty)];
    assert!(rests(&step(&intent, &none, &two), &SsdState::Failed, "unplug one"));
    let nameless = Intent::Format(Format { has_serial: false, ..formatting() });
    assert!(rests(&step(&nameless, &none, &[volume("sda", Content::Empty)]), &SsdState::Failed, "adopt it again"));
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Empty),
        Just(Content::Unknown),
        Just(Content::Ambiguous),
        Just(Content::Unreadable { reason: "dead".to_owned() }),
        Just(Content::PartitionTable { kind: "gpt".to_owned(), uuid: None }),
        Just(ours()),
        ("ext4|ntfs|crypto_LUKS|LVM2_member", prop::option::of("lucid-data|mine")).prop_map(|(kind, label)| signature(
            &kind,
            label.as_deref(),
            "other"
        )),
    ]
}

prop_compose! {
    fn volumes()(
        name in "sd[a-c]",
        content in contents(),
        flags in any::<[bool; 4]>(),
        partition in prop::option::of((1_u32..9, prop::option::of("data|root-a"))),
        transport in prop::sample::select(vec![Transport::Usb, Transport::Mmc, Transport::Nvme]),
    ) -> Volume {
        let [has_serial, read_only, system, in_use] = flags;
        Volume { has_serial, read_only, system, in_use, partition, transport, ..volume(&name, content) }
    }
}

proptest! {
    #[test]
    fn nothing_with_a_foreign_signature_is_ever_formatted(
        volumes in prop::collection::vec(volumes(), 0..5),
        intent in prop::sample::select(vec![Intent::None, used(), Intent::Format(formatting())]),
        allowed in prop::sample::select(vec![Consent::None, Consent::Labelled, Consent::Empty]),
        flags in any::<[bool; 3]>(),
    ) {
        let [settled, detached, room_on_system_disk] = flags;
        let consent = consent(allowed);
        let (intent, consent, volumes) = (&intent, &consent, &volumes[..]);
        match decide(&Scene { intent, consent, volumes, settled, detached, room_on_system_disk }) {
            Step::Format(volume) => {
                prop_assert!(volume.has_no_signature());
                prop_assert!(*intent == Intent::None && settled);
                prop_assert!(allowed == Consent::Empty || volume.system);
            }
            Step::Finish(volume, format) => {
                prop_assert!(volume.has_no_signature() || volume.uuid() == Some(&*format.uuid));
                prop_assert_eq!(intent.clone(), Intent::Format(format));
            }
            Step::Adopt(volume) => prop_assert!(volume.is_ours() && settled),
            Step::Mount(volume) => prop_assert!(volume.uuid() == Some(UUID) && !detached),
            Step::Partition | Step::Rest(..) => {}
        }
    }
}
