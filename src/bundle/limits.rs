//! Every limit of the format, in one place: a reader in another language needs the same.

/// First bytes of a bundle.
pub const BUNDLE_MAGIC: &[u8; 8] = b"LUCIDUP1";

/// First bytes of a channel file.
pub const CHANNEL_MAGIC: &[u8; 8] = b"LUCIDCH1";

/// What every signature is over begins with this, so that a key's signature under any other protocol is none here.
pub const SIGNING_CONTEXT: &[u8] = b"lucid-update-1\0";

/// Decompressed bytes of every piece of a payload but its last: what is lost when a transfer breaks, and what lies in
/// memory.
pub const PIECE_BYTES: u32 = 4 * 1024 * 1024;

/// Longest compressed piece in bytes: what does not compress grows by zstd's framing, which is far below 64 KiB.
pub const PIECE_COMPRESSED_BYTES_MAX: u32 = PIECE_BYTES + 64 * 1024;

/// Pieces of a bundle, all payloads together: 4 GiB decompressed, four times what both partitions hold.
pub const PIECES_MAX: usize = 1024;

/// Longest header in bytes: eight root sets, a key list and a manifest at their limits, with room.
pub const HEADER_BYTES_MAX: u32 = 1024 * 1024;

/// Longest manifest in bytes: [`PIECES_MAX`] pieces of some 120 bytes each, and the notes.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// Longest root set in bytes: [`KEYS_MAX`] keys of 67 bytes each, and a little.
pub const ROOT_SET_BYTES_MAX: usize = 4 * 1024;

/// Longest key list in bytes: [`KEYS_MAX`] keys, [`REVOKED_MAX`] revoked ones.
pub const KEY_LIST_BYTES_MAX: usize = 16 * 1024;

/// Longest channel file in bytes, its root sets and key list included: it goes to the agent in one message of 16 KiB,
/// in base64.
pub const CHANNEL_FILE_BYTES_MAX: usize = 10 * 1024;

/// Signatures of one document: a change of root keys needs two thresholds.
pub const SIGNATURES_MAX: usize = 16;

/// Keys of a root set, and of a key list.
pub const KEYS_MAX: usize = 16;

/// Revoked keys of a key list. One that has expired need not be listed any more.
pub const REVOKED_MAX: usize = 64;

/// Fewest root keys that must sign: no one person can.
pub const THRESHOLD_MIN: u8 = 2;

/// Root sets in one bundle: an appliance that is further behind needs a bundle from in between.
pub const ROOT_SETS_MAX: usize = 8;

/// Root sets that an appliance keeps, from its image's on: new ones come about once a year.
pub const ROOT_CHAIN_MAX: usize = 32;

/// Longest kept state of [`crate::Trust`] in bytes: the root sets and the key list in base64.
pub const TRUST_BYTES_MAX: usize = 512 * 1024;

/// Longest release notes in bytes.
pub const NOTES_BYTES_MAX: usize = 16 * 1024;

/// Build inputs that a manifest names.
pub const INPUTS_MAX: usize = 64;

/// Longest version, name of a key, name or value of a build input in bytes: one line on a page.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest address of a bundle in bytes.
pub const URL_BYTES_MAX: usize = 1024;

/// Releases that a channel offers.
pub const RELEASES_MAX: usize = 16;

/// Longest key file in bytes: a role, a name, 64 digits.
pub const KEY_FILE_BYTES_MAX: usize = 512;
