//! The three services as the box runs them, with kit around them: ticks, restarts, a disk that comes and goes.

use std::time::Duration;

use lucid_device::{ClockTrust, Now};
use lucid_kit::{Board, Gate, Health, Life, Service, Slot, Spec, slot, supervise, wire};
use lucid_ports::{RecordingState, Storage};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{CHUNK, Client, NOON_MS, World, app, attach, ready, stream_of, until};
use crate::{
    Repository, SessionApi, SessionApiDeps, SessionPipeline, SessionPipelineDeps, SessionPipelineStatus,
    SessionStorage, SessionStorageDeps, routes,
};

struct Services {
    client: Client,
    repository: Slot<Repository>,
    board: Board,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

fn spec(name: &'static str, needs: &'static [&'static str]) -> Spec {
    Spec { name, purpose: "a test", needs, critical: true, storage: true, stop_grace_s: 30 }
}

/// Wires the services as the appliance does.
fn start(world: &World) -> Services {
    let (board, stop) = (Board::default(), CancellationToken::new());
    let (repository_lender, repository) = slot(SessionStorage::NAME);
    let (uploads_lender, uploads) = slot(SessionPipeline::NAME);
    let (api_lender, api) = slot(SessionApi::NAME);
    let gates = || vec![Gate::new(world.storage.subscribe(), |storage| storage.waiting().map(str::to_owned))];
    let (data_dir, state_dir) = (world.disks.data(), world.disks.state());
    let identity = lucid_vault::Identity::open(&state_dir).unwrap();
    let storage = SessionStorageDeps { data_dir, state_dir, identity, repository: repository_lender, migrate: true };
    let pipeline = SessionPipelineDeps {
        repository: repository.clone(),
        uploads: uploads_lender,
        pool: world.pool.clone(),
        clock: world.clock.clone(),
        storage: world.storage.subscribe(),
        progress: world.progress(),
    };
    let face = SessionApiDeps {
        repository: repository.clone(),
        uploads,
        accounts: std::sync::Arc::new(world.removed.clone()),
        chain: world.chain.clone(),
        pool: world.pool.clone(),
        load: world.load.subscribe(),
        api: api_lender,
    };
    let tasks = vec![
        supervise::<SessionStorage>(
            spec(SessionStorage::NAME, &[]),
            wire().1,
            (),
            storage,
            gates(),
            &board,
            stop.clone(),
        ),
        supervise::<SessionPipeline>(
            spec(SessionPipeline::NAME, &[SessionStorage::NAME]),
            wire().1,
            world.config,
            pipeline,
            gates(),
            &board,
            stop.clone(),
        ),
        supervise::<SessionApi>(
            spec(SessionApi::NAME, &[SessionStorage::NAME]),
            wire().1,
            (),
            face,
            Vec::new(),
            &board,
            stop.clone(),
        ),
    ];
    Services { client: Client(app(routes(api))), repository, board, stop, tasks }
}

impl Services {
    async fn life(&self, name: &str, right: impl Fn(&Life) -> bool) {
        let mut life = self.board.life(name).unwrap();
        tokio::time::timeout(super::WAIT_MAX, life.wait_for(right)).await.expect("that life").unwrap();
    }

    async fn up(&self) {
        for name in [SessionStorage::NAME, SessionPipeline::NAME, SessionApi::NAME] {
            self.life(name, |life| *life == Life::Running).await;
        }
    }

    async fn state(&self, id: lucid_ports::SessionId, state: RecordingState) {
        until("that state", || {
            self.repository.get().is_ok_and(|repository| repository.get(id).unwrap().state == state)
        })
        .await;
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_recording_finds_its_way_into_a_block_by_itself() {
    let world = World::new();
    let services = start(&world);
    services.up().await;
    let stream = stream_of(1, 3 * CHUNK + 1);
    let id = services.client.create("alice.user", "").await;
    services.client.append("alice.user", id, 0, "?1", stream.clone()).await;
    // Sealed and submitted without a tick: the upload itself goes on to that.
    until("the anchor is submitted", || !world.chain.submitted().is_empty()).await;
    world.chain.produce();
    services.state(id, RecordingState::Anchored).await;
    assert_eq!(services.client.content("alice.user", id).await.body, stream);
    until("the status says so", || {
        let status = services.board.report(SessionStorage::NAME).unwrap().status;
        status["recordings"] == 1 && status["unfinished"] == 0
    })
    .await;
    services.stop().await;
}

#[tokio::test]
async fn a_recording_whose_client_stays_away_is_ended_as_it_is() {
    let world = World::new();
    let services = start(&world);
    services.up().await;
    let idle = services.client.create("alice.user", "").await;
    services.client.append("alice.user", idle, 0, "?0", vec![1; 1500]).await;
    services.repository.get().unwrap().put_chunk(idle, 2, vec![0; 60]).await.unwrap();
    let attached = services.client.create("alice.user", "").await;
    let (body, uploading) = attach(&services.client, attached, 0);
    body.send(Ok(vec![2; CHUNK].into())).await.unwrap();
    body.send(Ok(vec![2; CHUNK].into())).await.unwrap();

    // The wall clock leaps, as it does when a time server is found: that is no waiting.
    ticked(&services).await;
    let leapt = Now { unix_ms: NOON_MS + 10 * 24 * 3600 * 1000, trust: ClockTrust::Synchronized };
    world.clock.step_to(leapt);
    ticked(&services).await;
    assert_eq!(services.repository.get().unwrap().get(idle).unwrap().state, RecordingState::Recording);

    world.clock.advance(61_000);
    until("the idle one is ended", || {
        services.repository.get().unwrap().get(idle).unwrap().state != RecordingState::Recording
    })
    .await;
    let ended = services.repository.get().unwrap().get(idle).unwrap();
    assert_eq!((ended.durable_bytes, ended.chunks, world.disks.chunk_files(idle)), (1500, 2, 2));
    assert_eq!(ended.ended_ms, Some(NOON_MS), "when its last byte came");
    let late = services.client.append("alice.user", idle, 1500, "?1", "late").await;
    assert_eq!(late.problem(), (409, "completed_upload".to_owned()));

    // Who is connected is not idle, however little it sends.
    assert_eq!(services.repository.get().unwrap().get(attached).unwrap().state, RecordingState::Recording);
    drop(body);
    assert_eq!(uploading.await.unwrap().header("upload-offset"), "2000");
    services.stop().await;
}

/// Waits for a whole turn of session-pipeline: two ticks, as the first may have begun before.
async fn ticked(services: &Services) {
    for _ in 0..2 {
        let created = services.client.create("alice.user", "").await;
        services.client.append("alice.user", created, 0, "?1", "x").await;
        let waiting = || services.board.report(SessionPipeline::NAME).unwrap().status["waiting_for_chain"].as_u64();
        let before = waiting().unwrap_or(0);
        until("a tick counts it", || waiting() > Some(before)).await;
    }
}

/// The appliance was off for longer than any client may stay away: none could have come back.
#[tokio::test]
async fn a_restart_ends_nobodys_recording() {
    let world = World::new();
    let services = start(&world);
    services.up().await;
    let id = services.client.create("alice.user", "").await;
    services.client.append("alice.user", id, 0, "?0", vec![1; CHUNK]).await;
    services.stop().await;
    world.clock.advance(10 * 24 * 3600 * 1000);
    let services = start(&world);
    services.up().await;
    ticked(&services).await;
    let reply = services.client.append("alice.user", id, CHUNK as u64, "?1", vec![2; CHUNK]).await;
    assert_eq!(reply.status, http::StatusCode::NO_CONTENT, "{reply:?}");
    services.stop().await;
}

#[tokio::test]
async fn a_disk_that_goes_stops_the_services_and_one_that_comes_back_starts_them() {
    let world = World::new();
    let services = start(&world);
    services.up().await;
    let stream = stream_of(2, 4 * CHUNK);
    let id = services.client.create("alice.user", "").await;
    let (body, uploading) = attach(&services.client, id, 0);
    body.send(Ok(stream[..2 * CHUNK].to_vec().into())).await.unwrap();
    until("two chunks are durable", || services.repository.get().unwrap().get(id).unwrap().chunks == 2).await;

    world.storage.send_replace(Storage::Waiting { reason: "the SSD was pulled out".to_owned() });
    services.life(SessionStorage::NAME, |life| matches!(life, Life::Waiting { .. })).await;
    assert_eq!(uploading.await.unwrap().status, http::StatusCode::SERVICE_UNAVAILABLE);
    drop(body);
    for path in ["/api/sessions".to_owned(), format!("/api/sessions/{id}/content")] {
        assert_eq!(services.client.get("alice.user", &path).await.problem(), (503, "service_unavailable".to_owned()));
    }

    world.storage.send_replace(ready(false));
    services.up().await;
    let (offset, _) = services.client.offset("alice.user", id).await;
    assert_eq!(offset, 2 * CHUNK as u64);
    services.client.append("alice.user", id, offset, "?1", stream[offset as usize..].to_vec()).await;
    assert_eq!(services.client.content("alice.user", id).await.body, stream);
    services.stop().await;
}

/// Any of the three may be restarted while a recording runs: its client resumes, and the bytes are one recording.
#[tokio::test]
async fn restarts_in_the_middle_of_a_recording() {
    let mut world = World::new();
    world.config.chunk_age = Duration::from_millis(10);
    let services = start(&world);
    services.up().await;
    let stream = stream_of(3, 12 * CHUNK);
    let id = services.client.create("alice.user", "").await;
    for name in [SessionPipeline::NAME, SessionApi::NAME, SessionStorage::NAME] {
        let (offset, _) = services.client.offset("alice.user", id).await;
        let (body, uploading) = attach(&services.client, id, offset);
        let from = offset as usize;
        body.send(Ok(stream[from..from + 2 * CHUNK + 300].to_vec().into())).await.unwrap();
        let arrived = offset + 2 * CHUNK as u64 + 300;
        until("it is durable", || services.repository.get().unwrap().get(id).unwrap().durable_bytes == arrived).await;
        let before = services.board.report(name).unwrap().restarts;
        services.board.restart(name).unwrap();
        // The upload of a storage that restarts ends by itself only with its connection.
        drop(body);
        until("it was restarted", || services.board.report(name).unwrap().restarts > before).await;
        services.up().await;
        uploading.await.unwrap();
    }
    let (offset, _) = services.client.offset("alice.user", id).await;
    let reply = services.client.append("alice.user", id, offset, "?1", stream[offset as usize..].to_vec()).await;
    assert_eq!(reply.status, http::StatusCode::NO_CONTENT, "{reply:?}");
    assert_eq!(services.client.content("alice.user", id).await.body, stream);
    services.stop().await;
}

#[test]
fn waiting_for_the_chain_is_degraded_when_it_is_long() {
    for (waiting_for_chain, healthy) in [(0, true), (100, true), (101, false)] {
        let health = SessionPipeline::health(&SessionPipelineStatus { uploads: 0, waiting_for_chain });
        assert_eq!(health == Health::Healthy, healthy, "{waiting_for_chain}: {health:?}");
    }
}
