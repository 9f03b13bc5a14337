//! Which of a channel's offers is taken without anybody's word. Pure.

use lucid_agent_protocol::update::{ChannelReport, Offer, Phase, UpdateReport};
use semver::Version;
use sha2::{Digest as _, Sha256};

use super::settings::Settings;

/// What tells this box from others, whatever is installed on it: its public key.
pub type BoxId = [u8; 32];

/// Whether `text` is a version as releases have them (semver.org 2.0.0).
pub fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}

/// The newest release that this box should take by itself: in its wave, not held, not refused by the agent, not tried
/// in vain before, newer than what runs, and the pinned one where one is pinned.
pub(crate) fn choose<'a>(
    agent: &UpdateReport,
    channel: &'a ChannelReport,
    settings: &Settings,
    id: &BoxId,
) -> Option<&'a Offer> {
    let running = running_version(agent)?;
    let wanted = channel.offers.iter().filter(|offer| is_open(offer, agent, settings, id));
    let newer = wanted.filter_map(|offer| Some((Version::parse(&offer.version).ok()?, offer)));
    newer.filter(|(version, _)| *version > running).max_by(|one, other| one.0.cmp(&other.0)).map(|(_, offer)| offer)
}

/// Whether the agent may be given `offer`: nothing is under way, or exactly this one was interrupted.
pub(crate) fn has_room(agent: &UpdateReport, offer: &Offer) -> bool {
    match &agent.phase {
        Phase::Idle {} => true,
        Phase::Writing { incoming, active, .. } => !active && incoming.bundle == offer.bundle,
        Phase::Checking { .. } | Phase::Written { .. } | Phase::Armed { .. } | Phase::Trying { .. } => false,
    }
}

fn is_open(offer: &Offer, agent: &UpdateReport, settings: &Settings, id: &BoxId) -> bool {
    let is_pinned = settings.pinned.as_ref().is_none_or(|pinned| *pinned == offer.version);
    let has_failed = agent.quarantine.iter().any(|failed| failed.build_id == offer.build_id);
    let is_in_wave = wave(id, offer) < offer.percent;
    is_pinned && is_in_wave && !has_failed && !offer.hold && offer.refused.is_none()
}

/// Where this box stands among a hundred for this release: from 0 to 99, the same at each look, and another for another
/// release, so that it is not always the same boxes that go first.
fn wave(id: &BoxId, offer: &Offer) -> u8 {
    let digest = Sha256::new().chain_update(b"lucid-wave-1").chain_update(id).chain_update(offer.build_id.0).finalize();
    let (head, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    u8::try_from(u64::from_be_bytes(*head) % 100).expect("a remainder of 100 fits")
}

/// What runs; nothing where the agent does not know it, and then nothing is compared with it.
fn running_version(agent: &UpdateReport) -> Option<Version> {
    let running = agent.running?;
    let slot = agent.slots.iter().find(|slot| slot.slot == running)?;
    Version::parse(&slot.release.present()?.version).ok()
}

#[cfg(test)]
mod tests;
