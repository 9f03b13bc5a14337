//! Channels: the small file that an appliance fetches to learn which releases there are.
//!
//! `LUCIDCH1`, number of root sets (u8), the root sets, the key list, the channel; at most 10 KiB in all. Its number
//! rises and its end is near, so that neither an old file nor the lack of a new one goes unnoticed.

use lucid_layout::Digest;
use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::authority::Authority;
use crate::document::{Document, Malformed, is_prose, is_word, need};
use crate::limits::{CHANNEL_FILE_BYTES_MAX, CHANNEL_MAGIC, RELEASES_MAX, URL_BYTES_MAX};
use crate::signed::{DocumentKind, Signed};
use crate::wire::{LayoutError, Reader, bounded};

/// What a reader of layouts calls it.
const WHAT: &str = "the channel file";

/// Which releases there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Rises with every file.
    pub sequence: u64,
    /// From when it is.
    pub issued: UnixSeconds,
    /// The last second in which it counts.
    pub expires: UnixSeconds,
    /// Which hardware it is for.
    pub compatible: String,
    /// At most [`RELEASES_MAX`].
    pub releases: Vec<ChannelRelease>,
}

/// A release that can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRelease {
    /// As in its manifest.
    pub version: String,
    /// As in its manifest.
    pub build_id: Digest,
    /// As in its manifest.
    pub epoch: u64,
    /// Where its bundle is: `https://` or `http://`, at most [`URL_BYTES_MAX`]. The bundle is checked for itself.
    pub url: String,
    /// Size of the bundle.
    pub bytes: u64,
    /// The bundle's name: [`crate::BundleId`].
    pub bundle: Digest,
    /// Of a hundred appliances, so many take it by themselves.
    pub percent: u8,
    /// None takes it by itself.
    pub hold: bool,
    /// What is new, in short.
    pub notes: String,
}

impl Document for Channel {
    const KIND: DocumentKind = DocumentKind::Channel;

    fn check(&self) -> Result<(), Malformed> {
        let need = |holds, problem| need(Self::KIND, holds, problem);
        need(is_word(&self.compatible), "its `compatible` is not a short word")?;
        need(self.issued <= self.expires, "it ends before it begins")?;
        need(self.releases.len() <= RELEASES_MAX, "it offers too many releases")?;
        need(self.releases.iter().all(|release| is_word(&release.version)), "a version is not a short word")?;
        need(self.releases.iter().all(|release| is_url(&release.url)), "an address is none of http or https")?;
        need(self.releases.iter().all(|release| release.percent <= 100), "a percentage is above 100")?;
        let notes = |release: &ChannelRelease| is_prose(&release.notes, CHANNEL_FILE_BYTES_MAX);
        need(self.releases.iter().all(notes), "notes hold control characters")
    }
}

/// Whether the text can be an address: nothing in it that ends a line of HTTP.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= URL_BYTES_MAX
        && rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// A channel file, laid out well; nothing of it is checked further. [`crate::Trust::accept_channel`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFile {
    /// The root sets and the key list.
    pub authority: Authority,
    /// The channel and its signature.
    pub channel: Signed,
}

impl ChannelFile {
    /// Reads a channel file.
    ///
    /// # Errors
    /// If the bytes are none, or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        bounded("the length of the channel file", bytes.len(), 1, CHANNEL_FILE_BYTES_MAX)?;
        let mut reader = Reader::new(WHAT, bytes);
        if reader.array()? != *CHANNEL_MAGIC {
            return Err(LayoutError::Magic { what: "channel file" });
        }
        let authority = Authority::read(&mut reader)?;
        let channel = Signed::read(DocumentKind::Channel, &mut reader)?;
        reader.finish()?;
        Ok(Self { authority, channel })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If a part, or the whole, is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LayoutError> {
        let mut out = CHANNEL_MAGIC.to_vec();
        self.authority.write(&mut out)?;
        self.channel.write(DocumentKind::Channel, &mut out)?;
        bounded("the length of the channel file", out.len(), 1, CHANNEL_FILE_BYTES_MAX)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
