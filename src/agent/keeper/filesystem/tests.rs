use super::*;

#[test]
fn the_exit_status_is_read_bit_by_bit() {
    for (status, expected) in [
        (0, CheckOutcome::Clean),
        (1, CheckOutcome::Corrected),
        (2, CheckOutcome::Corrected),
        (3, CheckOutcome::Corrected),
        (4, CheckOutcome::Uncorrected),
        (5, CheckOutcome::Uncorrected),
        (8, CheckOutcome::Failed),
        (12, CheckOutcome::Failed),
        (16, CheckOutcome::Failed),
        (32, CheckOutcome::Failed),
        (128, CheckOutcome::Failed),
    ] {
        assert_eq!(outcome(status), expected, "{status}");
    }
}
