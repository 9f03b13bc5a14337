//! Archives of all sorts: good, hostile, damaged.

use tar::{Builder, Header};

use super::*;

/// An archive of regular files. Names are written as they are: the library would refuse some.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        builder.append(&header(name, EntryType::Regular, bytes.len() as u64), *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

pub(crate) const GOOD: [(&str, &[u8]); 6] = [
    ("manifest", b"m"),
    ("leaves", b"l"),
    ("proof.json", b"{}"),
    ("checkpoint", b"c"),
    ("chunks/00000000.chunk", b"zero"),
    ("chunks/00000001.chunk", b""),
];

fn run(archive: &[u8]) -> Result<Unpacked, UnpackError> {
    let folder = tempfile::tempdir().unwrap();
    unpack(archive, folder.path(), |_| Ok(()))
}

fn refusal(archive: &[u8]) -> String {
    match run(archive) {
        Err(UnpackError::Refused(problem)) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_good_archive_is_unpacked_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = 0;
    let count = |length: usize| {
        bytes += length;
        Ok(())
    };
    let unpacked = unpack(&*archive(&GOOD), folder.path(), count).unwrap();
    assert_eq!((unpacked, bytes), (Unpacked { chunks: 2, bytes: 9 }, 9));
    assert_eq!(fs::read(folder.path().join("chunks/00000000.chunk")).unwrap(), b"zero");
    let mut reversed = GOOD;
    reversed.reverse();
    assert_eq!(run(&archive(&reversed)).unwrap(), Unpacked { chunks: 2, bytes: 9 });
}

#[test]
fn a_directory_entry_for_the_chunks_is_no_surprise() {
    let mut builder = Builder::new(Vec::new());
    builder.append(&header("chunks/", EntryType::Directory, 0), &b""[..]).unwrap();
    for (name, bytes) in GOOD {
        builder.append(&header(name, EntryType::Regular, bytes.len() as u64), bytes).unwrap();
    }
    run(&builder.into_inner().unwrap()).unwrap();
}

#[test]
fn names_that_are_not_of_an_export_are_refused() {
    for name in [
        "../manifest",
        "/etc/passwd",
        "./manifest",
        "chunks/../../x",
        "chunks//00000000.chunk",
        "chunks/0.chunk",
        "chunks/+0000001.chunk",
        "chunks/000000000.chunk",
        "chunks/01000000.chunk",
        "chunks/0000000\u{661}.chunk",
        "Manifest",
        "extra",
        "",
        "chunks/00000000.chunk/x",
        "proof.json\u{1b}[31m",
    ] {
        let mut files = GOOD.to_vec();
        files.push((name, b"x"));
        let problem = refusal(&archive(&files));
        assert!(problem.contains("does not belong to an export"), "{name}: {problem}");
        assert!(!problem.contains('\u{1b}'));
    }
}

#[test]
fn links_devices_and_extensions_are_refused() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::GNUSparse,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let mut builder = Builder::new(Vec::new());
        builder.append(&header("manifest", kind, 0), &b""[..]).unwrap();
        assert!(refusal(&builder.into_inner().unwrap()).contains("does not belong"), "{kind:?}");
    }
}

#[test]
fn sizes_are_bounded_before_anything_is_written() {
    for (name, bytes) in [("manifest", 1_000_001), ("chunks/00000000.chunk", (65 << 20) + 1), ("leaves", u64::MAX >> 1)]
    {
        let archive = header(name, EntryType::Regular, bytes).as_bytes().to_vec();
        let problem = match run(&archive) {
            Err(UnpackError::Refused(problem)) => problem,
            other => panic!("{name}: {other:?}"),
        };
        assert!(problem.contains("more than"), "{name}: {problem}");
    }
}

#[test]
fn doubles_and_gaps_are_named() {
    let mut files = GOOD.to_vec();
    files.push(GOOD[4]);
    assert_eq!(refusal(&archive(&files)), "`chunks/00000000.chunk` comes twice");
    for missing in 0..5 {
        let mut files = GOOD.to_vec();
        let (name, _) = files.remove(missing);
        assert_eq!(refusal(&archive(&files)), format!("`{name}` is missing"));
    }
    assert_eq!(refusal(b""), "`manifest` is missing");
}

#[test]
fn no_truncation_passes_for_the_whole() {
    let whole = archive(&GOOD);
    // Behind the last header come only the end marks.
    let end = whole.len() - 1024;
    for length in (0..end).step_by(128).chain((1..end).step_by(512)).chain((511..end).step_by(512)) {
        let cut = run(&whole[..length]);
        assert!(!matches!(cut, Ok(Unpacked { chunks: 2, .. })), "{length}: {cut:?}");
    }
}

#[test]
fn garbage_is_an_error() {
    assert!(matches!(run(&[0xaa; 2048]), Err(UnpackError::Stream(_))));
}

#[test]
fn the_step_can_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let stop = |_| Err(io::Error::from(io::ErrorKind::Interrupted));
    assert!(matches!(unpack(&*archive(&GOOD), folder.path(), stop), Err(UnpackError::Stream(_))));
}
