use lucid_device::{DiskState, Reading, Transport};

use super::*;
use crate::update::EepromReport;
use crate::{Adoption, Content, Partition};

fn absent<T>() -> Reading<T> {
    Reading::absent("the drive reports none")
}

fn disk(partitions: u32) -> Disk {
    let partition = |number| Partition {
        number,
        name: format!("nvme0n1p{number}"),
        size_bytes: 1 << 40,
        content: Content::Signature {
            kind: "crypto_LUKS".to_owned(),
            label: Some("a label".to_owned()),
            uuid: Some("8095fee0-bcda-4d6a-abd6-22e604fc26db".to_owned()),
        },
        mounted_at: None,
    };
    let drive = DiskState {
        name: "nvme0n1".to_owned(),
        transport: Transport::Nvme,
        model: Reading::Present("Some Model 2 TB".to_owned()),
        serial: Reading::Present("S4EWNX0R123456".to_owned()),
        size_bytes: Reading::Present(2_000_398_934_016),
        state: absent(),
        write_protected: absent(),
        temperature_mc: absent(),
        temperature_alarm: absent(),
        smart: absent(),
    };
    Disk {
        id: "S4EWNX0R123456".parse().unwrap(),
        drive,
        content: Content::PartitionTable { kind: "gpt".to_owned(), uuid: None },
        partitions: (1..=partitions).map(partition).collect(),
        partitions_omitted: 0,
        mounted_at: None,
        system: false,
        adoption: Adoption::Refused { reason: "it holds a partition table".to_owned() },
    }
}

#[test]
fn disks_that_do_not_fit_are_counted() {
    let mut sent = Vec::new();
    for (count, fitting) in [(0, 0), (3, 3)] {
        let reply = Reply::disks(vec![disk(7); count]);
        assert!(matches!(&reply, Reply::Disks { disks, omitted: 0 } if disks.len() == fitting));
    }
    let reply = Reply::disks(vec![disk(16); 20]);
    let Reply::Disks { disks, omitted } = &reply else { panic!("not a list of disks") };
    assert!(!disks.is_empty() && disks.len() + omitted == 20 && *omitted > 0, "{} {omitted}", disks.len());
    crate::send(&mut sent, &reply).unwrap();
    let received = crate::receive::<Reply>(&mut sent.as_slice()).unwrap();
    assert_eq!(received, Some(reply));
}

#[test]
fn a_refusal_says_its_code_and_its_reason() {
    let refusal = Reply::Refused(Refusal::new(RefusalCode::NotConfirmed, "type the id"));
    let json = serde_json::json!({"reply": "refused", "code": "not_confirmed", "message": "type the id"});
    assert_eq!(serde_json::to_value(&refusal).unwrap(), json);
}

#[test]
fn a_report_of_updates_gives_up_its_oldest_logs_first() {
    use crate::update::{Attempt, Cause, Phase, TrustReport, TrybootWay};
    let attempt = |at_ms| Attempt {
        at_ms,
        version: "1.0.0".to_owned(),
        build_id: None,
        slot: lucid_layout::Slot::B,
        outcome: Outcome::RolledBack { cause: Cause::Service, why: "w".repeat(600), log: vec!["l".repeat(300); 12] },
    };
    let report = |attempts: u64| UpdateReport {
        running: None,
        trial: false,
        remark: None,
        committed: absent(),
        slots: vec![],
        phase: Phase::Idle {},
        history: (0..attempts).map(attempt).collect(),
        quarantine: vec![],
        trust: TrustReport { root_version: None, keys_version: None, is_test: false, problem: None },
        tryboot: TrybootWay::Mailbox,
        eeprom_s: absent(),
        epoch_floor: 0,
        eeprom: EepromReport { carried: Reading::absent("none"), hindrance: None, last: None },
        selftest: None,
    };
    let shown = |attempts| {
        let reply = Reply::update(report(attempts));
        assert!(json_bytes(&reply) <= FRAME_BYTES_MAX, "{}", json_bytes(&reply));
        let Reply::Update(shown) = reply else { panic!("{reply:?}") };
        let has_log =
            |attempt: &Attempt| matches!(&attempt.outcome, Outcome::RolledBack { log, .. } if !log.is_empty());
        (
            shown.history.len(),
            shown.history.iter().filter(|attempt| has_log(attempt)).count(),
            has_log(&shown.history[0]),
        )
    };
    assert_eq!(shown(2), (2, 2, true), "as it is");
    assert_eq!(shown(8), (8, 2, true), "the newest keep theirs");
    let (left, logs, _) = shown(40);
    assert!(left < 40 && logs == 0, "{left} attempts, {logs} with a log");
}
