//! Channel files: what is on offer, checked here because the numbers that may not go back are kept here.
//!
//! Must never choose: whether and when a release is fetched is the supervisor's and the owner's.

use data_encoding::BASE64;
use lucid_agent_protocol::update::{ChannelReport, Offer};
use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_bundle::{COMPATIBLE, Channel, ChannelRelease};
use lucid_device::Reading;
use lucid_layout::Release;

use super::receive::untrusted;
use super::{Updates, failed};

impl Updates {
    /// Checks a channel file in base64, and keeps its number.
    pub(crate) fn channel(&self, file: &str) -> Result<ChannelReport, Refusal> {
        let malformed = |_| Refusal::new(RefusalCode::Malformed, "the channel file is not in base64: send it again");
        let bytes = BASE64.decode(file.as_bytes()).map_err(malformed)?;
        let now_s = self.surroundings.now_ms() / 1000;
        let channel = self.with_trust(|trust| trust.accept_channel(&bytes, COMPATIBLE, now_s))?;
        self.shown(channel.map_err(untrusted)?)
    }

    fn shown(&self, channel: Channel) -> Result<ChannelReport, Refusal> {
        let floor = self.epoch_floor()?;
        let running = match self.release(self.slots()?.running().map_err(failed)?) {
            Reading::Present(release) => release,
            Reading::Absent { reason } | Reading::Failed { reason } => return Err(failed(reason)),
        };
        let Channel { sequence, issued, expires, releases, .. } = channel;
        let offers = releases.into_iter().map(|release| self.offer(release, &running, floor)).collect();
        Ok(ChannelReport { sequence, issued_s: issued, expires_s: expires, offers })
    }

    fn offer(&self, release: ChannelRelease, running: &Release, floor: u64) -> Offer {
        let refused = if release.build_id == running.build_id {
            Some("it runs already".to_owned())
        } else if release.epoch < floor {
            Some(format!("below epoch {floor} nothing is installed any more"))
        } else if is_older(&release.version, &running.version) {
            Some(format!("it is older than {}, which runs", running.version))
        } else if self.state().history.is_quarantined(&release.build_id) {
            Some("it failed here before".to_owned())
        } else {
            None
        };
        let ChannelRelease { version, build_id, epoch, url, bytes, bundle, percent, hold, notes } = release;
        Offer { version, build_id, epoch, url, bytes, bundle, percent, hold, notes, refused }
    }
}

/// Whether a version is below another, by the numbers before any other sign. Versions that have none are not compared.
fn is_older(version: &str, than: &str) -> bool {
    match (numbers(version), numbers(than)) {
        (Some(version), Some(than)) => version < than,
        _ => false,
    }
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(version.len());
    version[..end].split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (one, other) in [("1.2.3", "1.2.4"), ("1.9.0", "1.10.0"), ("0.9-rc1", "1.0")] {
            assert!(is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
        for (one, other) in [("1.2.3", "1.2.3"), ("x", "1"), ("1", "x"), ("", ""), ("1.0-rc1", "1.0")] {
            assert!(!is_older(one, other), "{one} {other}");
        }
    }
}
