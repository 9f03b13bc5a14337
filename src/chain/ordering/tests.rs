//! What makes a header final, and what does not.

use super::*;
use crate::tests::{at, key};

fn genesis(seed: u8) -> Genesis {
    Genesis::new("test/chain", vec![key(seed).verifying_key().to_bytes()], at(0)).unwrap()
}

fn draft() -> Draft {
    let (parent, tx_root, receipts_root, state_root) = ([1; 32], [2; 32], [3; 32], [4; 32]);
    Draft { chain_id: genesis(1).hash(), height: 7, parent, time: at(0), tx_root, receipts_root, state_root }
}

#[test]
fn a_certified_header_is_final() {
    let signer = SingleSigner::new(key(1));
    let header = signer.propose(draft());
    assert_eq!(verify(&header, &signer.certify(&header).unwrap(), &genesis(1)), Ok(()));
}

#[test]
fn a_foreign_header_is_not_signed() {
    let header = SingleSigner::new(key(2)).propose(draft());
    let refused = SingleSigner::new(key(1)).certify(&header);
    assert_eq!(refused, Err(OrderingError::NotOurs { height: 7 }));
}

#[test]
fn every_change_ends_finality() {
    let signer = SingleSigner::new(key(1));
    let header = signer.propose(draft());
    let certificate = signer.certify(&header).unwrap();
    let quorum = CertificateError::Quorum { found: 0, needed: 1 };
    let signature = CertificateError::Signature { position: 0 };
    let cases: [(Header, Certificate, FinalityError); 5] = [
        (Header { chain_id: [9; 32], ..header.clone() }, certificate.clone(), FinalityError::Chain),
        (Header { validators: [9; 32], ..header.clone() }, certificate.clone(), FinalityError::Validators),
        (Header { proposer: [9; 32], ..header.clone() }, certificate.clone(), FinalityError::Proposer),
        (Header { height: 8, ..header.clone() }, certificate, FinalityError::Certificate(signature)),
        (header.clone(), Certificate::default(), FinalityError::Certificate(quorum)),
    ];
    for (header, certificate, expected) in cases {
        assert_eq!(verify(&header, &certificate, &genesis(1)), Err(expected));
    }
}
