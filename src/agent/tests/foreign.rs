//! Whatever is on a disk that is not the appliance's stays there.

use std::fs;

use lucid_agent_protocol::{Adoption, Content, RefusalCode, Reply, SsdState};

use super::rig::{Disk, LARGE, MIB, Rig, expect, order, run};
use crate::keeper::{self, Command};

/// Puts something on a disk.
type Make = fn(&Disk);

fn table(disk: &Disk, label: &str) {
    let script = disk.file.with_extension("table");
    fs::write(&script, format!("label: {label}\n,\n")).unwrap();
    let command = format!("sfdisk --quiet --no-reread --no-tell-kernel {} < {}", disk.device(), script.display());
    run("sh", &["-c", &command]);
}

/// Things that people have on disks, and what `blkid` calls them.
const THINGS: [(&str, Make); 12] = [
    ("ext4", |disk| disk.make_ext4("holiday")),
    ("ext4", |disk| disk.make_ext4("")),
    ("ext3", |disk| drop(run("mke2fs", &["-q", "-F", "-t", "ext3", "-L", "lucid-data", &disk.device()]))),
    ("vfat", |disk| drop(run("mkfs.vfat", &["-I", &disk.device()]))),
    ("ntfs", |disk| drop(run("mkfs.ntfs", &["-Q", "-F", &disk.device()]))),
    ("xfs", |disk| drop(run("mkfs.xfs", &["-q", "-L", "lucid-data", &disk.device()]))),
    ("swap", |disk| drop(run("mkswap", &[&disk.device()]))),
    ("crypto_LUKS", |disk| {
        let command = format!(
            "printf key | cryptsetup luksFormat -q --pbkdf-force-iterations 1000 --pbkdf pbkdf2 {} -",
            disk.device()
        );
        run("sh", &["-c", &command]);
    }),
    ("LVM2_member", |disk| {
        // The label of a physical volume (lvm2's label.h) in the second sector; its checksum counts for lvm, not here.
        let mut sector = [0; 512];
        sector[..8].copy_from_slice(b"LABELONE");
        sector[8] = 1;
        sector[20] = 32;
        sector[24..32].copy_from_slice(b"LVM2 001");
        let crc = lvm_crc(&sector[20..]);
        sector[16..20].copy_from_slice(&crc.to_le_bytes());
        disk.write(512, &sector);
    }),
    ("gpt", |disk| table(disk, "gpt")),
    ("dos", |disk| table(disk, "dos")),
    ("iso9660", |disk| {
        let mut descriptor = [0; 2048];
        descriptor[..6].copy_from_slice(b"\x01CD001");
        descriptor[6] = 1;
        disk.write(32 * 1024, &descriptor);
    }),
];

/// The checksum of lvm2 (`calc_crc`): CRC-32 with another start.
fn lvm_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn it_is_neither_adopted_nor_formatted_whoever_allows_it() {
    for (kind, make) in THINGS {
        let rig = Rig::new("empty");
        let disk = rig.plugged("SERIAL1", LARGE);
        make(&disk);
        let before = disk.fingerprint();
        let mut keeper = rig.start();
        expect(&keeper, &SsdState::NotAdopted, "no empty disk");
        let command = Command::Adopt { disk: disk.id(), confirmation: Some(disk.id()) };
        let reply = order(&mut keeper, command);
        let Reply::Refused(refusal) = &reply else { panic!("{kind}: {reply:?}") };
        assert_eq!(refusal.code, RefusalCode::Foreign, "{kind}");
        assert!(refusal.message.contains(kind), "{kind}: {refusal}");
        let list = keeper::list(&rig.config, None).unwrap();
        assert!(matches!(&list[0].adoption, Adoption::Refused { reason } if reason.contains(kind)), "{list:?}");
        assert!(disk.fingerprint() == before && rig.mount().is_none(), "{kind} was touched");
        assert!(!rig.config.intent.exists());
    }
}

#[test]
fn what_nobody_can_name_is_formatted_only_by_hand() {
    for at in [0, LARGE - MIB] {
        let rig = Rig::new("empty");
        let disk = rig.plugged("SERIAL1", LARGE);
        disk.write(at, b"something without a signature, an encrypted disk for example");
        let before = disk.fingerprint();
        let mut keeper = rig.start();
        expect(&keeper, &SsdState::NotAdopted, "no empty disk");
        assert!(disk.fingerprint() == before);
        let list = keeper::list(&rig.config, None).unwrap();
        assert_eq!((&list[0].content, &list[0].adoption), (&Content::Unknown, &Adoption::Formats));
        let command = Command::Adopt { disk: disk.id(), confirmation: Some(disk.id()) };
        assert_eq!(order(&mut keeper, command), Reply::Accepted);
        expect(&keeper, &SsdState::Mounted, "");
    }
}

#[test]
fn a_disk_in_use_is_left_alone() {
    let rig = Rig::new("empty");
    let disk = rig.plugged("SERIAL1", LARGE);
    disk.make_ext4("lucid-data");
    let elsewhere = rig.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    rustix::mount::mount(disk.device(), &elsewhere, "ext4", rustix::mount::MountFlags::empty(), None).unwrap();
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::NotAdopted, "");
    let reply = order(&mut keeper, Command::Adopt { disk: disk.id(), confirmation: Some(disk.id()) });
    assert!(matches!(&reply, Reply::Refused(refusal) if refusal.code == RefusalCode::Busy), "{reply:?}");
    let list = keeper::list(&rig.config, None).unwrap();
    assert_eq!(list[0].mounted_at.as_deref(), elsewhere.to_str());
    // Held by something that is no mount: only opening it alone tells.
    let held = rig.plugged("SERIAL2", LARGE);
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::EXCL;
    let holder = rustix::fs::open(held.device(), flags, rustix::fs::Mode::empty()).unwrap();
    let before = held.fingerprint();
    order(&mut keeper, Command::Adopt { disk: held.id(), confirmation: Some(held.id()) });
    expect(&keeper, &SsdState::Failed, "in use");
    assert!(held.fingerprint() == before);
    drop(holder);
    order(&mut keeper, Command::Mount);
    expect(&keeper, &SsdState::Mounted, "");
}
