//! Writes the seeds of the fuzz targets: real documents, bundles and pieces, so that libFuzzer begins with what is
//! valid.
//!
//! Usage: `seeds DIRECTORY`; makes one folder for each target. The first byte of each seed chooses what the target does
//! with the rest. It replaces seeds of the same name, and leaves everything else alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use lucid_bundle::{DocumentKind, Kind};
use lucid_fuzz::*;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds DIRECTORY");
        return ExitCode::FAILURE;
    };
    match write_all(&directory) {
        Ok(count) => {
            println!("{count} seeds in {}", directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("seeds could not be written to {}: {error}; check the disk", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &Path) -> io::Result<usize> {
    let (header, bundle) = bundle();
    let manifest = &header.signed_manifest().bytes;
    let frame = |kind: Kind| {
        let manifest = header.manifest_unverified().expect("it is our own");
        let nth = usize::from(kind == Kind::Boot);
        let from = manifest.offset_of(&header, nth) as usize;
        bundle[from..from + manifest.payload(kind).pieces[0].compressed as usize].to_vec()
    };
    let mut trust = trust();
    trust.accept_channel(&channel_file(), NOW).expect("it is our own");
    let (root, keys) = (first_root(), authority().keys);
    let channel = lucid_bundle::ChannelFile::parse(&channel_file()).expect("it is our own").channel;
    let seeds: [(&str, u8, Vec<u8>); 13] = [
        ("manifest", 0, manifest.clone()),
        ("manifest", 1, manifest.clone()),
        ("manifest", 2, channel.bytes.clone()),
        ("manifest", 3, header.raw().to_vec()),
        ("keys", 0, root.bytes.clone()),
        ("keys", 1, keys.bytes.clone()),
        ("keys", 2, root.bytes),
        ("keys", 3, keys.bytes),
        ("keys", 4, keys_file(&authority().keys)),
        ("keys", 5, trust.to_bytes()),
        ("keys", 6, channel_file()),
        ("pieces", 0, bundle.clone()),
        ("pieces", 1, with_length(300, &frame(Kind::Root))),
    ];
    for (at, (target, mode, bytes)) in seeds.iter().enumerate() {
        let folder = directory.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{at}")), [&[*mode], &bytes[..]].concat())?;
    }
    fs::write(directory.join("pieces/seed-boot"), [&[1], &with_length(BOOT.len(), &frame(Kind::Boot))[..]].concat())?;
    Ok(seeds.len() + 1)
}

fn keys_file(keys: &lucid_bundle::Signed) -> Vec<u8> {
    keys.to_bytes(DocumentKind::Keys).expect("it is our own")
}

/// A frame with the length that the manifest would give in front.
fn with_length(length: usize, frame: &[u8]) -> Vec<u8> {
    [&(length as u32).to_le_bytes(), frame].concat()
}
