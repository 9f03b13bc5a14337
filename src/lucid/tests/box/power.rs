//! The power is cut while a recording runs: what was acknowledged is there, on whatever the disks had written by then.
//!
//! State and data lie on two disks with write caches of their own, as on the appliance, and lose their power together.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{
    bench::{
        LONG, Log, LoggedDisks, Moment, Moments, Mount, Owner, Place, Program, Running, eventually, login, mix, pause,
        require_success, seed, text, wait_for_health,
    },
    crash::{Pour, announced, assert_no_panic},
    proof::{assert_restored, export, key, record, verify},
};

/// How many cuts, unless `LUCID_CUTS` says otherwise.
const CUTS: usize = 8;
/// Room for everything that is recorded here, and for the reserve.
const DISK_MIB: u64 = 256;
/// Bytes that the source is given at a time.
const STEP_BYTES: u64 = 300_000;
/// Looks at what is acknowledged before the source ends.
const LOOKS: usize = 120;
/// One cut of so many comes anywhere, the others where a disk has something to lose.
const ANYWHERE_EVERY: usize = 4;
/// Boxes that are looked at together: each waits for its blocks most of the time.
const BOXES_AT_ONCE: usize = 3;
/// The longest pause between two looks.
const PAUSE_MS_MAX: u64 = 40;

/// What was acknowledged before a moment.
struct Look {
    /// The number of that moment.
    moment: usize,
    durable_bytes: u64,
    state: String,
    height: u64,
    deleted: bool,
}

/// One box, recorded for all cuts.
struct Scene {
    place: Place,
    kept: String,
    deleted: String,
    running: String,
    key: PathBuf,
    logs: Vec<Log>,
    looks: Vec<Look>,
    /// When the power may be cut.
    moments: Vec<Moment>,
}

#[test]
fn what_is_acknowledged_survives_power_cuts() {
    let cuts = std::env::vars().find(|(name, _)| name == "LUCID_CUTS").map(|(_, value)| value.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed());
    let scene = Scene::play(&mut random);
    let places = scene.cuts(&mut random, cuts.unwrap_or(CUTS)).into_iter();
    let cuts: Vec<(usize, u64)> = places.map(|place| (place, random.u64(..))).collect();
    let (began, next, lost) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some((place, seed)) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
            lost.fetch_add(scene.survive(*place, *seed), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..BOXES_AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let (count, lost) = (cuts.len(), lost.into_inner());
    eprintln!("{count} cuts survived in {:.0} s; {lost} writes were lost or torn", began.elapsed().as_secs_f64());
    assert!(lost > 0, "no cut has lost anything, so nothing is shown: run it again with more of LUCID_CUTS");
}

impl Look {
    /// Asks first, and counts the moments then: whatever was answered was on the disks before the next.
    fn take(owner: &Owner, id: &str, deleted: bool, moments: &Moments) -> Self {
        let session = owner.session(id).unwrap();
        let height = owner.head()["height"].as_u64().unwrap();
        let state = session["state"].as_str().unwrap().to_owned();
        let durable_bytes = session["durable_bytes"].as_u64().unwrap();
        Self { moment: moments.next(), durable_bytes, state, height, deleted }
    }
}

impl Scene {
    /// Records, and looks again and again at what is acknowledged.
    fn play(random: &mut fastrand::Rng) -> Self {
        let mut place = Place::new();
        let disks = LoggedDisks::start(&place, &["data", "state"], DISK_MIB);
        let (data, state) = (place.path("disk-data"), place.path("disk-state"));
        let (data_mount, state_mount) = (disks.mount(0, &data), disks.mount(1, &state));
        (place.data, place.state) = (data.join("lucid"), state.join("lucid"));
        let running = place.start();
        let owner = Owner::claim(&place, &running);
        let kept = record(&place, "kept.bin", &mix(21, 2_500_000));
        let deleted = record(&place, "deleted.bin", &mix(22, 1_200_000));
        let key = key(&place, "key");

        let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
        let source = Pour::start(&mut client, &place, 23);
        let id = announced(&client);
        let moments = disks.watch();
        let mut looks = Vec::new();
        for number in 0..LOOKS {
            source.allow(number as u64 * STEP_BYTES);
            if number == LOOKS / 2 {
                place.cli(&["delete", &deleted, "--yes"]).expect(0);
            }
            looks.push(Look::take(&owner, &id, number >= LOOKS / 2, &moments));
            pause(Duration::from_millis(random.u64(0..PAUSE_MS_MAX)));
        }
        source.finish();
        client.end(LONG).expect(0);
        looks.push(Look::take(&owner, &id, true, &moments));
        pause(Duration::from_millis(PAUSE_MS_MAX));
        let moments = moments.end();
        // The cuts come from the logs: how this box ends does not matter.
        running.kill();
        [data_mount, state_mount].into_iter().for_each(Mount::take_off);
        let logs = disks.logs();
        Self { place, kept, deleted, running: id, key, logs, looks, moments }
    }

    /// Moments at which to cut: some anywhere, most where some disk has not flushed everything.
    fn cuts(&self, random: &mut fastrand::Rng, count: usize) -> Vec<usize> {
        let all: Vec<usize> = (self.looks[0].moment..self.moments.len()).collect();
        let is_open =
            |place: &usize| self.logs.iter().zip(&self.moments[*place]).any(|(log, length)| log.unflushed(*length) > 0);
        let open: Vec<usize> = all.iter().copied().filter(is_open).collect();
        eprintln!("{} moments, {} of them with writes that are not flushed", all.len(), open.len());
        let pick = |number| if number % ANYWHERE_EVERY == 0 { &all } else { &open };
        (0..count).map(|number| *random.choice(pick(number)).expect("some writes are not flushed")).collect()
    }

    /// The last look before a moment.
    fn acknowledged(&self, place: usize) -> &Look {
        &self.looks[self.looks.partition_point(|look| look.moment <= place) - 1]
    }

    /// Cuts the power and starts a box on what that has left. How many writes were lost or torn.
    fn survive(&self, place: usize, seed: u64) -> usize {
        let (moment, look) = (&self.moments[place], self.acknowledged(place));
        let (now, mut random) = (Place::new(), fastrand::Rng::with_seed(seed));
        let images = ["data", "state"].map(|name| now.path(&format!("cut-{name}")));
        let disks = self.logs.iter().zip(moment).zip(&images);
        let lost = disks.map(|((log, length), image)| log.cut(*length, &mut random, image)).sum();
        let Look { durable_bytes, state, height, deleted, .. } = look;
        eprintln!("cut {place}: {durable_bytes} bytes, {state}, height {height}, deleted: {deleted}, lost: {lost}");
        self.check(look, now, &images);
        lost
    }

    fn check(&self, look: &Look, mut place: Place, images: &[PathBuf; 2]) {
        let (data, state) = (place.path("disk-data"), place.path("disk-state"));
        let mounts = [Mount::image(&images[0], &data), Mount::image(&images[1], &state)];
        (place.data, place.state) = (data.join("lucid"), state.join("lucid"));
        let running = place.start();
        wait_for_health(place.port("auth-service"), "healthy");
        login(&place, &running);
        let owner = Owner::enter(&place);
        owner.wait_for_all();
        self.check_acknowledged(look, &owner);
        self.go_on(&place, &owner, &running);
        assert_eq!(running.terminate(LONG).code(), Some(0));
        mounts.into_iter().for_each(Mount::take_off);
    }

    fn check_acknowledged(&self, look: &Look, owner: &Owner) {
        let height = owner.head()["height"].as_u64().unwrap();
        assert!(height >= look.height, "block {} was told of, and the chain ends at {height}", look.height);
        let session = owner.session(&self.running).unwrap();
        let durable = session["durable_bytes"].as_u64().unwrap();
        assert!(durable >= look.durable_bytes, "{} bytes were acknowledged: {session}", look.durable_bytes);
        if look.state != "recording" {
            assert_ne!(session["state"], "recording", "its end was acknowledged: {session}");
        }
        assert_eq!(owner.session(&self.kept).unwrap()["state"], "anchored");
        if look.deleted {
            owner.get(&format!("/api/sessions/{}", self.deleted)).expect_problem(404, "no_such_recording");
        }
    }

    /// The recording is taken up again, and everything is as if nothing had been.
    fn go_on(&self, place: &Place, owner: &Owner, running: &Running) {
        let poured = self.place.path("poured.bin");
        place.cli(&["record", "--resume", &self.running, text(&poured)]).expect(0);
        assert_restored(place, &self.running, &poured, "restored.bin");
        assert_restored(place, &self.kept, &self.place.path("kept.bin"), "kept.bin");
        for (id, name) in [(&self.running, "exported"), (&self.kept, "exported-kept")] {
            verify(place, &export(place, id, name), Some(&self.key), 0, "PROVEN");
        }
        owner.validate_chain();
        owner.wait_for_all();
        assert_no_panic(running);
    }
}

/// The bench itself: a cut takes nothing that was flushed, and of the rest sometimes this and sometimes that.
#[test]
fn a_cut_spares_what_was_flushed_and_nothing_else() {
    const BYTES: usize = 65536;
    let place = Place::new();
    let disks = LoggedDisks::start(&place, &["only"], 32);
    let at = place.path("disk");
    let mount = disks.mount(0, &at);
    let [safe, late] = ["safe", "late"].map(|name| at.join(name));
    for path in [&safe, &late] {
        let file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut &file, &[b'1'; BYTES]).unwrap();
        file.sync_all().unwrap();
    }
    require_success("sync", &["-f", text(&at)], "install `coreutils`");
    let moments = disks.watch();
    // Past the page cache onto the disk, and no flush after it.
    let source = place.file("source", &[b'2'; BYTES]);
    let (input, output) = (format!("if={}", text(&source)), format!("of={}", text(&late)));
    let direct = ["bs=64k", "oflag=direct", "conv=notrunc,nocreat", "status=none", &input, &output];
    require_success("dd", &direct, "install `coreutils`");
    // Two are taken after it.
    let after = moments.next() + 1;
    eventually("the moments after it", LONG, || if moments.next() > after { Ok(()) } else { Err(String::new()) });
    let moments = moments.end();
    let log = &disks.logs()[0];
    // The file system itself flushes every few seconds.
    let end = moments.iter().rev().map(|moment| moment[0]).find(|end| log.unflushed(*end) > 0);
    let end = end.expect("something waits for a flush");

    let (mut random, mut found) = (fastrand::Rng::with_seed(7), std::collections::BTreeSet::new());
    for _ in 0..16 {
        let image = place.path("cut");
        log.cut(end, &mut random, &image);
        let seen = Mount::image(&image, &place.path("seen"));
        let read = |name: &str| std::fs::read(place.path("seen").join(name)).unwrap();
        assert_eq!(read("safe"), [b'1'; BYTES]);
        let late = read("late");
        assert_eq!(late.len(), BYTES);
        found.insert((late.contains(&b'1'), late.contains(&b'2')));
        seen.take_off();
    }
    let (lost, torn) = ((true, false), (true, true));
    assert!(found.contains(&lost) && found.contains(&torn), "{found:?}");
    mount.take_off();
}
