use proptest::prelude::*;

use super::*;

#[test]
fn only_64_lower_case_digits_are_a_digest() {
    let text = "0123456789abcdef".repeat(4);
    assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
    let wide = format!("{}ü", &text[..62]);
    for wrong in ["", &text[1..], &format!("{text}0"), &text.to_uppercase(), &text.replace('0', "g"), &wide] {
        assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
    }
    assert!(serde_json::from_str::<Digest>("\"00\"").is_err() && serde_json::from_str::<Digest>("0").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_digest_reads_back(bytes: [u8; 32]) {
        let digest = Digest(bytes);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        prop_assert_eq!(serde_json::from_str::<Digest>(&serde_json::to_string(&digest).unwrap()).unwrap(), digest);
    }
}
