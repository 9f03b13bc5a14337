//! Whoever has taken the supervisor over speaks to the agent as its user does, and says whatever it likes.

use lucid_hw_tests::machine::Ending;
use lucid_hw_tests::probe::Probe;
use lucid_layout::update::FAILED_BOOTS_MAX;
use lucid_layout::{Slot, paths, users};
use serde_json::{Value, json};

use super::forged::{self, Bundle, Document};
use super::speech::{ask, bundle, frame, refused, replies, request, say, speech, update_status};
use super::{OTHER, RUNNING, digests};
use crate::bench::{property, until};
use crate::updater::{Appliance, release};

const AGENT: &str = "lucid-agent.service";
const SUPERVISOR: &str = "lucid-supervisor.service";

/// How many connections the agent answers at a time (`src/agent/serve.rs`).
const CONNECTIONS_MAX: usize = 8;

/// Connections of the attacker.
const CROWD: usize = 64;

#[test]
fn a_taken_over_supervisor_can_neither_install_what_is_unsigned_nor_brick_the_box() {
    let mut box_ = Appliance::set_up("update-attack");
    let (all, disk) = ([&RUNNING[..], &OTHER].concat(), box_.bench.disk());
    let before = digests(&disk, &all);
    let agent = who(&mut box_.probe);
    let good = Bundle::read(&release("good"));

    nonsense(&mut box_.probe);
    orders_out_of_place(&mut box_.probe);
    disks(&mut box_.probe);
    unsigned(&mut box_, &good);
    crowd(&mut box_.probe);
    assert_eq!(who(&mut box_.probe), agent, "the agent has run through");
    assert_idle(&mut box_.probe);
    assert_eq!(digests(&disk, &all), before, "not even the other slot was written");
    broken_piece(&mut box_.probe, &good);
    box_.wait_healthy();

    restarts(&mut box_);
    let ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(None), "out of rescue");
    assert_eq!(digests(&disk, &RUNNING), before[..RUNNING.len()], "autoboot.txt and slot A, switched off");
    box_.boot(&ending, Slot::A);
    box_.come_up();
    box_.wait_healthy();
    assert_idle(&mut box_.probe);

    box_.push(&release("good"));
    let ending = box_.install();
    box_.boot(&ending, Slot::B);
    box_.come_up();
    box_.wait_committed("0.1.1");
    assert_eq!(box_.committed(), Slot::B.boot().number());
}

/// The agent's process, and how often systemd had to start it again.
fn who(probe: &mut Probe) -> [String; 2] {
    ["MainPID", "NRestarts"].map(|name| property(probe, AGENT, name))
}

/// Nothing is under way, nothing was tried, and slot A is what runs and what is committed.
fn assert_idle(probe: &mut Probe) {
    let status = update_status(probe);
    assert_eq!(status["phase"], json!({"phase": "idle"}), "{status}");
    assert_eq!((&status["running"], &status["committed"]["present"]), (&"a".into(), &"a".into()), "{status}");
    assert_eq!((&status["trial"], &status["quarantine"]), (&false.into(), &json!([])), "{status}");
    let is_tried = |attempt: &Value| attempt["outcome"]["outcome"] != "discarded";
    assert!(!status["history"].as_array().unwrap().iter().any(is_tried), "{status}");
}

/// Bytes that are no messages.
fn nonsense(probe: &mut Probe) {
    for length in [0_u32, 16 * 1024 + 1, u32::MAX] {
        refused(probe, &length.to_be_bytes(), "malformed", "are allowed");
    }
    let deep = vec![b'['; 16 * 1024];
    let mut random = fastrand::Rng::with_seed(7);
    let garbage: Vec<u8> = (0..1000).map(|_| random.u8(..)).collect();
    let texts: [&[u8]; 8] = [
        b"{}",
        b"status",
        b"{\"request\":\"shell\"}",
        b"{\"request\":\"status\",\"path\":\"/etc/shadow\"}",
        b"{\"request\":\"install_update\",\"soak_s\":-1}",
        b"{\"request\":\"reboot\",\"reason\":\"line\\nbreak\"}",
        &deep,
        &garbage,
    ];
    for text in texts {
        refused(probe, &frame(text), "malformed", "not a message");
    }
    // What ends in the middle has no answer, and what follows something wrong is not read.
    let cut = &request(&json!({"request": "ready"}))[..10];
    assert_eq!(say(probe, cut), Vec::<Value>::new());
    let both = [frame(b"{}"), request(&json!({"request": "reboot", "reason": "after nonsense"}))].concat();
    assert_eq!(say(probe, &both).len(), 1);
    let long = [request(&json!({"request": "bundle", "offset": 0})), u32::MAX.to_be_bytes().to_vec()].concat();
    refused(probe, &long, "malformed", "bytes");
}

/// What has a meaning at another time, or in rescue.
fn orders_out_of_place(probe: &mut Probe) {
    let no = |probe: &mut Probe, asked: Value, code: &str, word: &str| refused(probe, &request(&asked), code, word);
    no(probe, json!({"request": "install_update", "soak_s": 0}), "wrong_state", "no release is written");
    no(probe, json!({"request": "discard_update"}), "wrong_state", "nothing to give up");
    no(probe, json!({"request": "forget_network"}), "wrong_state", "rescue");
    let resumed = json!({"request": "bundle", "offset": 4096, "bundle": "00".repeat(32)});
    no(probe, resumed, "wrong_state", "no bundle was interrupted");
    // A trial that is not there can't be kept, whoever says that he is fit.
    for report in [
        json!({"supervisor": "attacker", "restarts": 0, "faults": []}),
        json!({"supervisor": "", "restarts": u64::MAX, "faults": [
            {"cause": "panic", "service": null, "why": "x".repeat(9000), "log": vec!["y"; 500]},
        ]}),
    ] {
        let answer = ask(probe, &json!({"request": "gate", "report": report}));
        assert_eq!(answer, json!({"reply": "gate", "answer": "not_on_trial"}));
    }
    let done = json!({"reply": "done"});
    assert_eq!(say(probe, &request(&json!({"request": "ready"})).repeat(50)), vec![done; 50]);
}

/// Disks that are not the data disk, and names that are none of disks.
fn disks(probe: &mut Probe) {
    let listed = ask(probe, &json!({"request": "disks"}));
    let system =
        listed["disks"].as_array().unwrap().iter().find(|disk| disk["system"] == true).expect("it runs from one");
    let boot = system["id"].as_str().unwrap().to_owned();
    let adopt = |disk: &str| request(&json!({"request": "adopt", "disk": disk, "confirmation": disk}));
    refused(probe, &adopt(&boot), "foreign", "the system runs from it");
    // Something else has it open, and what it holds is not ours.
    refused(probe, &adopt("PROBE"), "busy", "in use");
    for name in ["/dev/nvme0n1", "/dev/vda", "../../state", "nvme0n1p2", "-f", "."] {
        refused(probe, &adopt(name), "not_found", "no disk");
        let smart = request(&json!({"request": "smart", "disk": name}));
        refused(probe, &smart, "not_found", "no disk");
    }
    let repair = |disk: &str| request(&json!({"request": "repair", "confirmation": disk}));
    refused(probe, &repair(&boot), "not_confirmed", "confirm by typing");
    refused(probe, &repair("LUCID-SSD"), "wrong_state", "mounted");
}

/// Bundles, and a channel file, that no trusted key has signed.
fn unsigned(box_: &mut Appliance, good: &Bundle) {
    let folder = box_.path("forged");
    std::fs::create_dir(&folder).unwrap();
    let (stranger, _) = forged::new_key(&folder, "stranger");
    let with = |signatures: &[u8]| {
        let mut bundle = good.clone();
        bundle.manifest.signatures = signatures.to_vec();
        bundle.header()
    };
    let probe = &mut box_.probe;
    refused(probe, &bundle(b""), "malformed", "ends early");
    refused(probe, &bundle(&with(&[0])), "malformed", "signatures");
    let mut zeros = good.manifest.signatures.clone();
    zeros[1 + 32..].fill(0);
    refused(probe, &bundle(&with(&zeros)), "untrusted", "is not valid");
    let mut flipped = good.clone();
    *flipped.manifest.json.last_mut().unwrap() ^= 1;
    refused(probe, &bundle(&flipped.header()), "untrusted", "is not valid");
    refused(probe, &bundle(&good.signed(&folder, &stranger, &[]).header()), "untrusted", "not trusted");
    let foreign = forged::foreign_authority(&folder);
    let whole = Bundle { roots: foreign.0, keys: foreign.1, ..good.signed(&folder, &stranger, &[]) };
    refused(probe, &bundle(&whole.header()), "untrusted", "another root set");
    let channel =
        |document: &Document| request(&json!({"request": "channel", "file": forged::channel(good, document)}));
    for document in [&good.manifest, &whole.manifest] {
        refused(probe, &channel(document), "untrusted", "channel");
    }
    refused(probe, &request(&json!({"request": "channel", "file": "?"})), "malformed", "");
}

/// More connections than the agent takes, which say nothing, half a message, or all that they want a bundle taken.
fn crowd(probe: &mut Probe) {
    let held = |probe: &mut Probe, limit_s: u64| {
        let heard = probe.speak(speech(&[0, 0], CROWD, limit_s)).unwrap();
        heard.iter().filter(|heard| !heard.hung_up).count()
    };
    // Silence ends a connection after ten seconds.
    let first = held(probe, 4);
    assert!((1..=CONNECTIONS_MAX).contains(&first), "{first} connections are held");
    assert_eq!(held(probe, 60), 0, "none is held for ever");
    let order = request(&json!({"request": "bundle", "offset": 0}));
    let heard = probe.speak(speech(&order, CONNECTIONS_MAX / 2, 4)).unwrap();
    let answers: Vec<Value> = heard.iter().flat_map(|heard| replies(&heard.bytes)).collect();
    let taken = answers.iter().filter(|answer| answer["reply"] == "send").count();
    let refused = answers.iter().filter(|answer| answer["code"] == "busy").count();
    println!("of {} orders {taken} was taken, {refused} were refused", heard.len());
    assert!(taken == 1 && taken + refused == answers.len() && refused > 0, "{answers:?}");
}

/// A bundle that a trusted key has signed, of which a piece was changed on the way: the other slot, which held what was
/// flashed, holds nothing then, and nobody can have it booted.
fn broken_piece(probe: &mut Probe, good: &Bundle) {
    let (start, bytes) = good.piece(0, 0);
    let mut piece = good.pieces[start..start + bytes].to_vec();
    piece[bytes / 2] ^= 1;
    let others = ["return_to_other", "selftest"].map(|order| match order {
        "selftest" => request(&json!({"request": order})),
        _ => request(&json!({"request": order, "soak_s": 5})),
    });
    refused(probe, &bundle(&[good.header(), piece].concat()), "untrusted", "not the one that was signed");
    refused(
        probe,
        &request(&json!({"request": "install_update", "soak_s": 0})),
        "wrong_state",
        "no release is written",
    );
    others.iter().for_each(|order| refused(probe, order, "wrong_state", "under way"));
    assert_eq!(ask(probe, &json!({"request": "discard_update"})), json!({"reply": "done"}));
    others.iter().for_each(|order| refused(probe, order, "unsuitable", "holds no release"));
}

/// Restarts in a row, each before the box is ready: the most that comes of it is rescue, which takes no order that it
/// would not take otherwise, and ends with the next restart.
fn restarts(box_: &mut Appliance) {
    let reboot = request(&json!({"request": "reboot", "reason": "because I can"}));
    let done = json!({"reply": "done"});
    assert_eq!(say(&mut box_.probe, &reboot.repeat(20)), vec![done.clone(); 20]);
    for boot in 1..=FAILED_BOOTS_MAX {
        let ending = box_.wait_end();
        assert_eq!(ending, Ending::Reboot(None), "twenty orders are one restart");
        listens(box_, &ending);
        // Taken over, it does not say that it is ready; here it is ended before it can. There may be nothing to kill.
        box_.probe.run("/usr/bin/systemctl", &["kill", "--signal=KILL", SUPERVISOR]).unwrap();
        let stopped = box_.probe.run("/usr/bin/systemctl", &["stop", SUPERVISOR]).unwrap();
        assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
        assert_eq!(attempts(&mut box_.probe), boot, "it has not become ready");
        assert_eq!(say(&mut box_.probe, &reboot), std::slice::from_ref(&done));
    }
    let ending = box_.wait_end();
    listens(box_, &ending);
    let why = box_.probe.text("/run/lucid/rescue").unwrap();
    assert!(why.contains("without becoming ready"), "{why}");
    let (run, owner) = (box_.run.as_ref().expect("it is switched on"), &box_.owner);
    until(run, "the page in rescue", || property(&mut box_.probe, "lucid-rescue.service", "ActiveState") == "active");
    let (status, text) = owner.ask("GET", "/api/rescue/status", None);
    assert_eq!(status, 200, "{text}");
    assert_eq!(box_.committed(), Slot::A.boot().number());
    let probe = &mut box_.probe;
    refused(
        probe,
        &request(&json!({"request": "install_update", "soak_s": 0})),
        "wrong_state",
        "no release is written",
    );
    assert_eq!(say(probe, &reboot), [done]);
}

/// Boots slot A, and waits until the agent listens.
fn listens(box_: &mut Appliance, ending: &Ending) {
    box_.boot(ending, Slot::A);
    box_.probe = box_.run().probe().unwrap();
    let run = box_.run.as_ref().expect("it is switched on");
    until(run, "the agent", || box_.probe.connects(users::LUCID, paths::AGENT_SOCKET).unwrap());
}

/// Boots in a row that have not become ready.
fn attempts(probe: &mut Probe) -> u32 {
    let kept: Value = serde_json::from_str(&probe.text(paths::BOOT_ATTEMPTS).unwrap()).unwrap();
    kept["boots_without_ready"].as_u64().unwrap().try_into().unwrap()
}
