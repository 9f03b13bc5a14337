//! From the last byte to a proof that holds without us: sealing, anchoring, exports, verification on the box.

use std::io::Read;

use http::{Method, StatusCode};
use lucid_ports::{AnchorError, Anchoring as _, RecordingState, SessionId};
use lucid_proof::{
    block::Anchor,
    export::{Directory, Proof},
    manifest::Manifest,
    time::TimeTrust,
    verify::{Trust, Verdict, verify},
};

use super::{CHUNK, Reply, Running, World, stream_of};
use crate::{open_chunk, progress::ProgressError};

async fn export(running: &Running, id: SessionId) -> Reply {
    running.client.get("alice.user", &format!("/api/sessions/{id}/export")).await
}

async fn verified(running: &Running, id: SessionId) -> (String, Vec<String>) {
    let reply = running.client.call("alice.user", Method::POST, &format!("/api/sessions/{id}/verify")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let json = reply.json();
    let findings = json["findings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    (json["verdict"].as_str().unwrap().to_owned(), findings.collect())
}

/// Unpacks an archive as `tar -x` does.
fn unpack(archive: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = dir.path().join(entry.path().unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

#[tokio::test]
async fn an_export_is_proven_to_whoever_has_the_key() {
    let world = World::new();
    let running = world.start();
    for length in [0, 1, CHUNK, 5 * CHUNK + 17] {
        let stream = stream_of(1, length);
        let id = running.anchored(&world, &stream).await;
        world.chain.produce();
        let reply = export(&running, id).await;
        assert_eq!(reply.header("content-type"), "application/x-tar");
        assert_eq!(reply.header("content-disposition"), format!("attachment; filename=\"{id}.tar\""));
        let dir = unpack(&reply.body);
        let files = Directory(dir.path().to_owned());
        let key = world.chain.signer().verifier().clone();
        let report = verify(&files, &Trust::Key(key), &mut |_| {});
        assert_eq!((report.verdict, &report.findings[..]), (Verdict::Proven, &[][..]), "{length} bytes");
        let manifest = report.manifest.unwrap();
        assert_eq!((manifest.id, manifest.bytes), (id.bytes(), length as u64));
        assert_eq!(manifest.chunks, length.div_ceil(CHUNK) as u64);
        let untrusted = verify(&files, &Trust::None, &mut |_| {});
        assert_eq!(untrusted.verdict, Verdict::ConsistentUntrusted);

        // And with the recording's key it is what was recorded.
        let key = running.repository.key(id).unwrap();
        let plain = (0..manifest.chunks).flat_map(|index| {
            let sealed = std::fs::read(dir.path().join(lucid_proof::export::chunk_name(index))).unwrap();
            open_chunk(&key, id, index, sealed).unwrap()
        });
        assert_eq!(plain.collect::<Vec<_>>(), stream);
    }
    running.stop().await;
}

#[tokio::test]
async fn every_damage_to_what_lies_on_the_disk_is_found() {
    let world = World::new();
    let running = world.start();
    let id = running.anchored(&world, &stream_of(2, 3 * CHUNK)).await;
    assert_eq!(verified(&running, id).await, ("proven".to_owned(), vec![]));

    let mut rng = fastrand::Rng::with_seed(5);
    for index in 0..3 {
        let file = world.disks.chunk_file(id, index);
        let good = std::fs::read(&file).unwrap();
        for _ in 0..4 {
            let mut bent = good.clone();
            bent[rng.usize(..good.len())] ^= 1 << rng.u8(..8);
            std::fs::write(&file, &bent).unwrap();
            let (verdict, findings) = verified(&running, id).await;
            assert_eq!((&*verdict, findings.len()), ("wrong", 1), "{findings:?}");
            assert!(findings[0].starts_with(&lucid_proof::export::chunk_name(index)), "{findings:?}");
        }
        for cut in [&good[..good.len() - 1], &good[..0]] {
            std::fs::write(&file, cut).unwrap();
            assert_eq!(verified(&running, id).await.0, "wrong");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(verified(&running, id).await.0, "unreadable");
        std::fs::write(&file, good).unwrap();
    }
    let [one, two] = [0, 1].map(|index| world.disks.chunk_file(id, index));
    let aside = world.disks.dir.path().join("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        std::fs::rename(from, to).unwrap();
    }
    let (verdict, findings) = verified(&running, id).await;
    assert_eq!((&*verdict, findings.len()), ("wrong", 2), "swapped chunks: {findings:?}");
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_anchored_is_not_proven() {
    let world = World::new();
    let running = world.start();
    let open = running.client.create("alice.user", "").await;
    let sealed = running.recorded(b"complete").await;
    for id in [open, sealed] {
        assert_eq!(export(&running, id).await.problem(), (409, "not_anchored".to_owned()));
        let reply = running.client.call("alice.user", Method::POST, &format!("/api/sessions/{id}/verify")).await;
        assert_eq!(reply.problem(), (409, "not_anchored".to_owned()));
    }
    running.stop().await;
}

#[tokio::test]
async fn without_the_chain_nothing_is_proven_and_recording_goes_on() {
    let world = World::new();
    let running = world.start();
    let anchored = running.anchored(&world, b"before").await;
    world.chain.set_down(true);
    assert_eq!(export(&running, anchored).await.problem(), (503, "chain_unavailable".to_owned()));
    let id = running.recorded(b"meanwhile").await;
    let progress = world.progress();
    let refused = progress.advance(&running.repository, id).await;
    assert!(matches!(refused, Err(ProgressError::Anchor(_))), "{refused:?}");
    assert_eq!(running.row(id).state, RecordingState::Anchoring, "what was done stays done");

    world.chain.set_down(false);
    assert_eq!(progress.advance(&running.repository, id).await.unwrap(), RecordingState::Anchoring);
    world.chain.produce();
    assert_eq!(progress.advance(&running.repository, id).await.unwrap(), RecordingState::Anchored);
    assert_eq!(verified(&running, id).await.0, "proven");
    running.stop().await;
}

#[tokio::test]
async fn a_checkpoint_that_is_none_is_the_callers_mistake() {
    let world = World::new();
    let running = world.start();
    let id = running.anchored(&world, b"x").await;
    for (query, status) in [("checkpoint=garbage", 400), ("checkpoint=", 400), ("other=1", 400)] {
        let reply = running.client.get("alice.user", &format!("/api/sessions/{id}/export?{query}")).await;
        assert_eq!(reply.status.as_u16(), status, "{query}: {reply:?}");
    }
    running.stop().await;
}

/// Sealing and anchoring cut at each step: whatever is done again comes to the same.
#[tokio::test]
async fn each_step_survives_a_restart_behind_it() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(3, 2 * CHUNK + 5);
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", stream.clone()).await;
    let progress = world.progress();
    assert_eq!(progress.advance(&running.repository, id).await.unwrap(), RecordingState::Recording);
    running.stop().await;

    let restarted = || world.disks.open().unwrap();
    let now = crate::progress::stamp(&*world.clock);
    restarted().end(id, now).await.unwrap();

    // Sealed twice, by two who did not know of each other: the same manifest to the byte.
    world.chain.set_down(true);
    assert!(progress.advance(&restarted(), id).await.is_err());
    let manifest = restarted().row(id).unwrap().manifest.unwrap();
    let (read, _) = Manifest::open(&manifest, &[world.chain.signer().verifier().clone()]).unwrap();
    assert_eq!((read.bytes, read.chunks, read.time_trust), (2005, 3, TimeTrust::Synchronized));

    world.chain.set_down(false);
    for _ in 0..3 {
        assert_eq!(progress.advance(&restarted(), id).await.unwrap(), RecordingState::Anchoring);
    }
    world.chain.produce();
    for _ in 0..3 {
        assert_eq!(progress.advance(&restarted(), id).await.unwrap(), RecordingState::Anchored);
    }
    assert_eq!(restarted().row(id).unwrap().manifest.unwrap(), manifest);
    let submitted = world.chain.submitted();
    assert!(submitted.iter().all(|anchor| *anchor == submitted[0]), "it is the same anchor each time");
    let running = world.start();
    assert_eq!(verified(&running, id).await.0, "proven");
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    running.stop().await;
}

/// An anchor of something else under this recording's id does not make it an anchored one.
#[tokio::test]
async fn a_foreign_anchor_is_a_conflict() {
    let world = World::new();
    let running = world.start();
    world.chain.set_down(true);
    let id = running.recorded(&stream_of(5, 100)).await;
    let foreign = Anchor {
        session: id.bytes(),
        root: [9; 32],
        manifest: [9; 32],
        chunks: 1,
        bytes: 1,
        started_ms: 1,
        ended_ms: 2,
    };
    let progress = world.progress();
    running.stop().await;
    world.chain.set_down(false);
    world.chain.submit(foreign).await.unwrap();
    world.chain.produce();
    let repository = world.disks.open().unwrap();
    assert!(matches!(
        progress.advance(&repository, id).await,
        Err(ProgressError::Anchor(AnchorError::Conflict(conflicting))) if conflicting == id
    ));
    assert_eq!(repository.get(id).unwrap().state, RecordingState::Anchoring);
}

/// The proof speaks of this recording, and of no other that lies in the same block.
#[tokio::test]
async fn recordings_in_one_block_have_their_own_proofs() {
    let world = World::new();
    let running = world.start();
    let mut recordings = Vec::new();
    for seed in 0..3 {
        recordings.push(running.recorded(&stream_of(seed, 100)).await);
    }
    let progress = world.progress();
    for state in [RecordingState::Anchoring, RecordingState::Anchored] {
        for id in &recordings {
            assert_eq!(progress.advance(&running.repository, *id).await.unwrap(), state);
        }
        world.chain.produce();
    }
    for id in recordings {
        assert_eq!(running.row(id).block_height, Some(0));
        assert_eq!(verified(&running, id).await.0, "proven");
        let dir = unpack(&export(&running, id).await.body);
        let proof = Proof::parse(&std::fs::read_to_string(dir.path().join("proof.json")).unwrap()).unwrap();
        assert_eq!(proof.size, 3);
    }
    running.stop().await;
}
