//! Channels: replayed, frozen, forged.

use super::*;

fn file(sequence: u64) -> Vec<u8> {
    channel_file(&channel(sequence), &[CHANNELS])
}

#[test]
fn a_fresh_appliance_needs_nothing_but_the_file() {
    let mut trust = trust();
    assert_eq!(trust.accept_channel(&file(7), "lucid-pi5", NOW), Ok(channel(7)));
    assert_eq!(trust.keys_version(), Some(1));
    assert_eq!(trust.accept_channel(&file(7), "lucid-pi5", NOW), Ok(channel(7)), "the same once more");
    assert_eq!(trust.accept_channel(&file(9), "lucid-pi5", NOW), Ok(channel(9)));
}

#[test]
fn an_old_one_is_not_replayed() {
    let mut trust = trust();
    trust.accept_channel(&file(7), "lucid-pi5", NOW).unwrap();
    let before = trust.clone();
    assert_eq!(trust.accept_channel(&file(6), "lucid-pi5", NOW), Err(Refused::ChannelReplayed { found: 6, seen: 7 }));
    let mut other = channel(7);
    other.releases[0].percent = 100;
    let other = channel_file(&other, &[CHANNELS]);
    assert_eq!(trust.accept_channel(&other, "lucid-pi5", NOW), Err(Refused::ChannelDiffers { sequence: 7 }));
    assert_eq!(trust, before);
}

#[test]
fn a_frozen_one_ends() {
    let mut trust = trust();
    trust.accept_channel(&file(7), "lucid-pi5", NOW + 10).unwrap();
    let over = Err(Refused::Expired { what: Expiring::Channel, at: NOW + 10 });
    assert_eq!(trust.accept_channel(&file(7), "lucid-pi5", NOW + 11), over);
    assert_eq!(trust.accept_channel(&file(8), "lucid-pi5", NOW + 11), over);
    assert_eq!(
        trust.accept_channel(&file(6), "lucid-pi5", NOW + 11),
        Err(Refused::ChannelReplayed { found: 6, seen: 7 })
    );
}

#[test]
fn only_keys_for_channels_sign_them() {
    let refusal = |keys: &[u8]| trust().accept_channel(&channel_file(&channel(1), keys), "lucid-pi5", NOW).unwrap_err();
    let name = format!("build machine {BUNDLES}");
    assert_eq!(refusal(&[BUNDLES]), Refused::WrongUse { name, wanted: Use::Channel });
    assert_eq!(refusal(&[STOLEN]), Refused::Revoked { key: public(STOLEN) });
    assert_eq!(refusal(&[OLD]), Refused::Expired { what: Expiring::Key, at: NOW - 1 });
    assert_eq!(refusal(&[99]), Refused::UnknownKey { kind: DocumentKind::Channel, key: public(99) });
    assert_eq!(refusal(&[1]), Refused::UnknownKey { kind: DocumentKind::Channel, key: public(1) });
    assert_eq!(refusal(&[BOTH, CHANNELS]), Refused::NotOneSignature { kind: DocumentKind::Channel, found: 2 });
}

/// A channel brings a revocation, and ends what the stolen key did to the numbers.
#[test]
fn a_stolen_channel_key_ends_with_its_revocation() {
    let mut trust = trust();
    trust.accept_channel(&channel_file(&channel(u64::MAX), &[CHANNELS]), "lucid-pi5", NOW).unwrap();
    assert!(trust.accept_channel(&channel_file(&channel(8), &[BOTH]), "lucid-pi5", NOW).is_err());
    let mut list = key_list(2);
    list.revoked.push(public(CHANNELS));
    let keys = signed_by(&list, &[1, 2]);
    let file = |signer| ChannelFile {
        authority: Authority { roots: vec![], keys: keys.clone() },
        channel: signed_by(&channel(8), &[signer]),
    };
    let revoked = trust.accept_channel(&file(CHANNELS).to_bytes().unwrap(), "lucid-pi5", NOW);
    assert_eq!(revoked, Err(Refused::Revoked { key: public(CHANNELS) }));
    assert_eq!(trust.accept_channel(&file(BOTH).to_bytes().unwrap(), "lucid-pi5", NOW), Ok(channel(8)));
}

/// Another list in which the key still counts does not let old files in again.
#[test]
fn a_newer_key_list_alone_does_not_forget_the_number() {
    let mut trust = trust();
    trust.accept_channel(&file(7), "lucid-pi5", NOW).unwrap();
    let keys = signed_by(&key_list(2), &[1, 2]);
    trust.accept(&header(Authority { roots: vec![], keys: keys.clone() }, &[BOTH]), NOW).unwrap();
    let authority = Authority { roots: vec![], keys };
    let old = ChannelFile { authority, channel: signed_by(&channel(6), &[CHANNELS]) }.to_bytes().unwrap();
    assert_eq!(trust.accept_channel(&old, "lucid-pi5", NOW), Err(Refused::ChannelReplayed { found: 6, seen: 7 }));
}

#[test]
fn every_flipped_bit_of_a_channel_file_is_refused() {
    let file = ChannelFile { authority: short_authority(), channel: signed_by(&channel(7), &[BOTH]) };
    let (bytes, trust) = (file.to_bytes().unwrap(), trust());
    assert!(trust.clone().accept_channel(&bytes, "lucid-pi5", NOW).is_ok());
    for (bit, flipped) in flipped(&bytes, 0) {
        assert!(trust.clone().accept_channel(&flipped, "lucid-pi5", NOW).is_err(), "bit {bit}");
    }
}

#[test]
fn the_numbers_of_other_hardwares_channels_are_not_ours() {
    let mut trust = trust();
    let other = Channel { compatible: "lucid-pi6".to_owned(), ..channel(900) };
    let refused = trust.accept_channel(&channel_file(&other, &[BOTH]), "lucid-pi5", NOW);
    assert!(matches!(refused, Err(Refused::WrongCompatible { .. })), "{refused:?}");
    assert_eq!(trust.accept_channel(&file(7), "lucid-pi5", NOW), Ok(channel(7)));
}
