use super::*;
use crate::fixture::{CHAIN, Chain, NOON_MS, at, key, public};
use crate::time::{TimeTrust, UNIX_MS_MAX};

fn anchor() -> Anchor {
    Anchor {
        session: [0x11; 16],
        root: [0x22; 32],
        manifest: [0x33; 32],
        chunks: 4,
        bytes: 5,
        started_ms: 6,
        ended_ms: 7,
    }
}

fn transaction() -> SignedTransaction {
    SignedTransaction::sign(Transaction::Anchor(anchor()), &[9; 32], &key(1))
}

fn block() -> Block {
    let mut chain = Chain::new(CHAIN, &[1, 2, 3, 4]);
    chain.grow_to(3);
    chain.append(vec![transaction(), transaction()], &[])
}

/// Whatever decodes must be all of the bytes: every shorter and longer input is refused, as is another version.
fn check_strict<T: std::fmt::Debug>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, DecodeError>) {
    decode(bytes).unwrap();
    for length in 0..bytes.len() {
        decode(&bytes[..length]).unwrap_err();
    }
    let longer = [bytes, &[0]].concat();
    assert!(matches!(decode(&longer), Err(DecodeError::Trailing { extra_bytes: 1, .. })));
    for version in [0, 2, 255] {
        let mut other = bytes.to_vec();
        other[0] = version;
        let error = decode(&other).unwrap_err();
        assert!(matches!(error, DecodeError::Version { found, known: 1, .. } if found == version), "{error:?}");
    }
}

#[test]
fn layouts_are_strict() {
    let (block, genesis) = (block(), Chain::new(CHAIN, &[1, 2]).genesis);
    let receipt = Receipt { transaction: [1; 32], outcome: Outcome::AlreadyAnchored };
    check_strict(&transaction().encode(), SignedTransaction::decode);
    check_strict(&block.header.encode(), Header::decode);
    check_strict(&block.certificate.encode().unwrap(), Certificate::decode);
    check_strict(&block.encode().unwrap(), Block::decode);
    check_strict(&receipt.encode(), Receipt::decode);
    check_strict(&genesis.encode(), Genesis::decode);

    assert_eq!(SignedTransaction::decode(&transaction().encode()).unwrap(), transaction());
    assert_eq!(Block::decode(&block.encode().unwrap()).unwrap(), block);
    assert_eq!(Receipt::decode(&receipt.encode()).unwrap(), receipt);
    assert_eq!(Genesis::decode(&genesis.encode()).unwrap(), genesis);
}

#[test]
fn the_anchor_has_the_documented_layout() {
    let bytes = transaction().encode();
    let mut expected = vec![1, 1];
    expected.extend([0x11; 16]);
    expected.extend([0x22; 32]);
    expected.extend([0x33; 32]);
    for number in 4_u8..8 {
        expected.extend([0, 0, 0, 0, 0, 0, 0, number]);
    }
    expected.extend(public(1));
    assert_eq!(bytes[..146], expected);
    assert_eq!(bytes.len(), 210);
}

#[test]
fn the_header_has_the_documented_layout() {
    let header = Header {
        chain_id: [1; 32],
        height: 0x0203,
        parent: [4; 32],
        time: Timestamp { unix_ms: 0x0506, trust: TimeTrust::Held },
        tx_root: [7; 32],
        receipts_root: [8; 32],
        state_root: [9; 32],
        validators: [10; 32],
        proposer: [11; 32],
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), HEADER_BYTES);
    assert_eq!(bytes[33..41], [0, 0, 0, 0, 0, 0, 2, 3]);
    assert_eq!(bytes[73..82], [0, 0, 0, 0, 0, 0, 5, 6, 1]);
    for (at, value) in [(1, 1), (41, 4), (82, 7), (114, 8), (146, 9), (178, 10), (210, 11)] {
        assert_eq!(bytes[at..at + 32], [value; 32], "at {at}");
    }
    assert_eq!(header.hash(), sha256(&[b"lucid.header/v1\n", &bytes]));
    assert_eq!(Header::decode(&bytes).unwrap(), header);
}

#[test]
fn values_out_of_bounds_are_refused() {
    let mut kind = transaction().encode();
    kind[1] = 2;
    assert!(matches!(SignedTransaction::decode(&kind), Err(DecodeError::Value { .. })));
    let mut header = block().header;
    header.time.unix_ms = UNIX_MS_MAX + 1;
    assert!(matches!(Header::decode(&header.encode()), Err(DecodeError::Limit { .. })));
    let mut trust = block().header.encode();
    trust[81] = 3;
    assert!(matches!(Header::decode(&trust), Err(DecodeError::Value { .. })));
    for outcome in [0, 4, 255] {
        let mut receipt = Receipt { transaction: [1; 32], outcome: Outcome::Anchored }.encode();
        receipt[33] = outcome;
        assert!(matches!(Receipt::decode(&receipt), Err(DecodeError::Value { .. })));
    }
}

#[test]
fn counts_are_limited_before_anything_is_read() {
    let mut block = block();
    let certificate = block.certificate.encode().unwrap().len();
    let mut bytes = block.encode().unwrap();
    let at = 1 + HEADER_BYTES + certificate;
    bytes[at..at + 2].copy_from_slice(&1001_u16.to_be_bytes());
    assert!(matches!(Block::decode(&bytes), Err(DecodeError::Limit { found: 1001, max: 1000, .. })));
    block.transactions = vec![transaction(); TRANSACTIONS_MAX];
    assert_eq!(Block::decode(&block.encode().unwrap()).unwrap().transactions.len(), TRANSACTIONS_MAX);
    block.transactions.push(transaction());
    assert!(matches!(block.encode(), Err(DecodeError::Limit { found: 1001, .. })));
    block.certificate.signatures = vec![([0; 32], [0; 64]); VALIDATORS_MAX + 1];
    assert!(matches!(block.certificate.encode(), Err(DecodeError::Limit { found: 101, .. })));
    assert!(matches!(Certificate::decode(&[1, 0, 101]), Err(DecodeError::Limit { found: 101, .. })));
}

#[test]
fn a_transaction_holds_on_its_own_chain_only() {
    let good = transaction();
    good.verify(&[9; 32]).unwrap();
    assert_eq!(good.verify(&[8; 32]), Err(TransactionError::Signature));
    let bytes = good.encode();
    for at in 2..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        // Times beyond the year 9999 do not decode at all.
        if let Ok(changed) = SignedTransaction::decode(&changed) {
            assert!(changed.verify(&[9; 32]).is_err(), "byte {at}");
            assert_ne!(changed.id(), good.id());
        }
    }
}

#[test]
fn a_header_commits_to_order_and_number_of_transactions() {
    let mut block = block();
    assert!(block.check_transactions());
    let other = SignedTransaction::sign(Transaction::Anchor(anchor()), &[8; 32], &key(2));
    block.transactions.push(other.clone());
    assert!(!block.check_transactions());
    let orders = [vec![transaction(), other.clone()], vec![other.clone(), transaction()], vec![other], vec![]];
    let roots: std::collections::BTreeSet<_> = orders.iter().map(|order| transactions_root(order)).collect();
    assert_eq!(roots.len(), orders.len());
    // Receipts and transactions have trees of their own.
    assert_ne!(transactions_root(&[]), receipts_root(&[]));
}

#[test]
fn quorums_are_more_than_two_thirds() {
    let table = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7), (100, 67)];
    for (validators, needed) in table {
        assert_eq!(quorum(validators), needed, "{validators} validators");
    }
}

#[test]
fn certificates_need_a_quorum_of_validators_and_nobody_else() {
    let hash = [5; 32];
    let certificate = |seeds: &[u8]| {
        Certificate::from_signatures(seeds.iter().map(|seed| Certificate::sign(&hash, &key(*seed))).collect())
    };
    let genesis = Chain::new(CHAIN, &[1, 2, 3, 4]).genesis;
    let verify = |certificate: &Certificate| certificate.verify(&hash, genesis.validators());
    verify(&certificate(&[4, 1, 3])).unwrap();
    verify(&certificate(&[1, 2, 3, 4])).unwrap();
    assert_eq!(verify(&certificate(&[1, 2])), Err(CertificateError::Quorum { found: 2, needed: 3 }));
    assert_eq!(verify(&certificate(&[])), Err(CertificateError::Quorum { found: 0, needed: 3 }));
    assert!(matches!(verify(&certificate(&[1, 2, 3, 9])), Err(CertificateError::Stranger { .. })));
    assert!(matches!(verify(&certificate(&[1, 2, 2])), Err(CertificateError::Order { position: 1 | 2 })));
    let mut unsorted = certificate(&[1, 2, 3]);
    unsorted.signatures.swap(0, 2);
    assert!(matches!(verify(&unsorted), Err(CertificateError::Order { position: 1 })));
    let good = certificate(&[1, 2, 3]);
    assert_eq!(good.verify(&[6; 32], genesis.validators()), Err(CertificateError::Signature { position: 0 }));
}

#[test]
fn a_header_hash_signed_elsewhere_is_no_certificate() {
    use ed25519_dalek::Signer as _;
    let hash = [5; 32];
    let bare = key(1).sign(&hash).to_bytes();
    let certificate = Certificate { signatures: vec![(public(1), bare)] };
    assert_eq!(certificate.verify(&hash, &[public(1)]), Err(CertificateError::Signature { position: 0 }));
}

#[test]
fn keys_of_small_order_sign_nothing() {
    // The neutral element as key and as first half, zero as second half: the plain equation holds for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let certificate = Certificate { signatures: vec![(neutral, signature)] };
    assert_eq!(certificate.verify(&[5; 32], &[neutral]), Err(CertificateError::Signature { position: 0 }));
    let transaction = SignedTransaction { tx: Transaction::Anchor(anchor()), sender: neutral, signature };
    assert_eq!(transaction.verify(&[9; 32]), Err(TransactionError::Signature));
}

#[test]
fn genesis_rules() {
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| public(*seed)).collect::<Vec<_>>();
    let make = |name: &str, validators| Genesis::new(name, validators, at(NOON_MS));
    assert_eq!(make("a", keys(&[1, 2])).unwrap(), make("a", keys(&[2, 1])).unwrap());
    let hash = make("a", keys(&[1])).unwrap().hash();
    assert_ne!(hash, make("b", keys(&[1])).unwrap().hash());
    assert_ne!(hash, make("a", keys(&[2])).unwrap().hash());
    for name in ["", "a b", "a+b"] {
        assert!(matches!(make(name, keys(&[1])), Err(GenesisError::Name { .. })), "{name:?}");
    }
    assert_eq!(make("a", vec![]), Err(GenesisError::Validators { count: 0 }));
    assert_eq!(make("a", keys(&[1, 1])), Err(GenesisError::Validators { count: 2 }));
    let many = (0..=VALIDATORS_MAX as u8).map(public).collect();
    assert_eq!(make("a", many), Err(GenesisError::Validators { count: 101 }));
}

#[test]
fn a_genesis_out_of_order_is_refused() {
    let genesis = Chain::new("a", &[1, 2]).genesis;
    let mut bytes = genesis.encode();
    let at = bytes.len() - 64;
    let keys = bytes.split_off(at);
    let swapped = [&bytes[..], &keys[32..], &keys[..32]].concat();
    let doubled = [&bytes[..], &keys[..32], &keys[..32]].concat();
    for wrong in [swapped, doubled] {
        assert!(matches!(Genesis::decode(&wrong), Err(DecodeError::Value { what: "the validators", .. })));
    }
    let mut name = genesis.encode();
    name[3] = b'+';
    assert!(matches!(Genesis::decode(&name), Err(DecodeError::Value { what: "the chain's name", .. })));
}

proptest::proptest! {
    // Failures are printed with their input; no file of seeds is left in the source tree.
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        // What decodes by chance must encode to the same bytes.
        if let Ok(block) = Block::decode(&bytes) {
            proptest::prop_assert_eq!(block.encode().unwrap(), bytes.clone());
        }
        if let Ok(genesis) = Genesis::decode(&bytes) {
            proptest::prop_assert_eq!(genesis.encode(), bytes.clone());
        }
        if let Ok(certificate) = Certificate::decode(&bytes) {
            proptest::prop_assert_eq!(certificate.encode().unwrap(), bytes);
        }
    }
}

#[test]
fn the_documentation_has_the_right_vectors() {
    let documentation = include_str!("../../../docs/formats.md");
    let mut chain = Chain::new(CHAIN, &[1]);
    let chain_id = chain.genesis.hash();
    let transaction = SignedTransaction::sign(Transaction::Anchor(anchor()), &chain_id, &key(1));
    let receipt = Receipt { transaction: transaction.id(), outcome: Outcome::Anchored };
    let block = chain.append(vec![transaction.clone()], &[receipt]);
    let vectors = [
        ("public key", public(1).to_vec()),
        ("genesis", chain.genesis.encode()),
        ("chain id", chain_id.to_vec()),
        ("validators' hash", validators_hash(chain.genesis.validators()).to_vec()),
        ("transaction", transaction.encode()),
        ("transaction id", transaction.id().to_vec()),
        ("receipt", receipt.encode()),
        ("header", block.header.encode()),
        ("header hash", block.header.hash().to_vec()),
        ("certificate", block.certificate.encode().unwrap()),
    ];
    for (name, bytes) in vectors {
        let line = format!("| {name} | `{}` |", data_encoding::HEXLOWER.encode(&bytes));
        assert!(documentation.contains(&line), "docs/formats.md should have the line\n{line}");
    }
    let texts = [chain.verifier().to_string(), chain.sign_checkpoint(1)];
    for text in texts {
        assert!(documentation.contains(&text), "docs/formats.md should have the text\n{text}");
    }
}
