//! Signed notes (C2SP `signed-note`) with Ed25519 keys: a text, a blank line, signature lines.
//!
//! Stricter than the specification where it leaves room: base64 must be canonical, a key signs at most once, signatures
//! are checked with `verify_strict` (no small-order keys, no malleable encodings). Signatures by unknown keys are counted
//! and otherwise ignored, as the specification wants it. Must never show a signing key.

mod key;

pub(crate) use key::is_name;
pub use key::{Signer, VerifierKey};

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _};

/// The largest note read or written; a note of ours has less than 2 kB.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// The most signature lines in a note; each costs a signature check at most.
pub const SIGNATURES_MAX: usize = 128;

/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";
/// The bytes of a key id before the signature.
const KEY_ID_BYTES: usize = 4;

/// Why a note can't be made, read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Above [`NOTE_BYTES_MAX`].
    #[error("the note has {bytes} bytes, the limit is {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The text breaks a rule for the texts of notes.
    #[error("the note's text {problem}")]
    Text {
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// There is no blank line followed by signature lines.
    #[error("the note has no signatures after a blank line")]
    Unsigned,
    /// More than [`SIGNATURES_MAX`] signature lines.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A signature line can't be read.
    #[error("signature line {line} {problem}")]
    Line {
        /// Which line, from 1 after the blank line.
        line: usize,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// A signature by a known key does not hold.
    #[error("the signature by `{name}` does not fit the text")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// No signature is by a known key.
    #[error("none of the note's signatures is by a known key")]
    NoKnownKey,
    /// A key's name breaks a rule.
    #[error("`{name}` can't name a key: a name is not empty, has no space and no plus, and at most 255 bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// A verifier key can't be read.
    #[error("the verifier key {problem} (expected: NAME+HASH+BASE64)")]
    Key {
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
}

/// A note of which at least one signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The signed text, with its last newline.
    pub text: String,
    /// The keys whose signatures hold, in the order of the lines; never empty.
    pub verified_by: Vec<VerifierKey>,
    /// The names on signatures by keys that were not given.
    pub unknown: Vec<String>,
}

/// A note taken apart, nothing checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified<'a> {
    /// The text, with its last newline.
    pub text: &'a str,
    lines: Vec<Line<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<'a> {
    name: &'a str,
    key_id: [u8; KEY_ID_BYTES],
    signature: Vec<u8>,
}

/// Signs a text, which must end with a newline.
///
/// # Errors
/// [`NoteError::Text`], [`NoteError::TooLarge`]; [`NoteError::Unsigned`] without signers, and
/// [`NoteError::TooManySignatures`] with too many.
pub fn sign(text: &str, signers: &[&Signer]) -> Result<String, NoteError> {
    check_text(text)?;
    if signers.is_empty() {
        return Err(NoteError::Unsigned);
    }
    if signers.len() > SIGNATURES_MAX {
        return Err(NoteError::TooManySignatures);
    }
    let mut note = format!("{text}\n");
    for signer in signers {
        let key = signer.verifier();
        let mut bytes = key.id().to_vec();
        bytes.extend(signer.key().sign(text.as_bytes()).to_bytes());
        note += &format!("{LINE_START}{} {}\n", key.name(), BASE64.encode(&bytes));
    }
    check_size(&note)?;
    Ok(note)
}

/// Opens a note: every signature by one of the keys must hold, and there must be at least one.
///
/// # Errors
/// Says which rule the note breaks, or which signature does not hold.
pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Opened, NoteError> {
    let unverified = Unverified::parse(note)?;
    let (mut verified_by, mut unknown) = (Vec::new(), Vec::new());
    for line in &unverified.lines {
        match keys.iter().find(|key| key.name() == line.name && key.id() == line.key_id) {
            Some(key) => {
                line.verify(unverified.text, key)?;
                verified_by.push(key.clone());
            }
            None => unknown.push(line.name.to_owned()),
        }
    }
    if verified_by.is_empty() {
        return Err(NoteError::NoKnownKey);
    }
    Ok(Opened { text: unverified.text.to_owned(), verified_by, unknown })
}

impl<'a> Unverified<'a> {
    /// Takes a note apart and checks its form, not its signatures.
    ///
    /// # Errors
    /// Says which rule the note breaks.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        check_size(note)?;
        // The text may itself hold blank lines: the last one counts.
        let split = note.rfind("\n\n").ok_or(NoteError::Unsigned)?;
        let (text, signatures) = (&note[..=split], &note[split + 2..]);
        check_text(text)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
        let mut lines = Vec::new();
        for (line, number) in signatures.split('\n').zip(1..) {
            if number > SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let line = Line::parse(line).map_err(|problem| NoteError::Line { line: number, problem })?;
            if lines.iter().any(|other: &Line<'_>| other.name == line.name && other.key_id == line.key_id) {
                return Err(NoteError::Line { line: number, problem: "is a second signature by the same key" });
            }
            lines.push(line);
        }
        Ok(Self { text, lines })
    }

    /// The names on the signature lines, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.lines.iter().map(|line| line.name)
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Result<Self, &'static str> {
        let line = line.strip_prefix(LINE_START).ok_or("does not begin with an em dash and a space")?;
        let (name, base64) = line.split_once(' ').ok_or("has no space between name and signature")?;
        if !is_name(name) {
            return Err("has an invalid key name");
        }
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| "is not canonical base64")?;
        match bytes.split_first_chunk::<KEY_ID_BYTES>() {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name, key_id: *key_id, signature: signature.to_vec() })
            }
            _ => Err("is too short"),
        }
    }

    fn verify(&self, text: &str, key: &VerifierKey) -> Result<(), NoteError> {
        let wrong = || NoteError::Signature { name: self.name.to_owned() };
        let signature = Signature::from_slice(&self.signature).map_err(|_| wrong())?;
        key.key().verify_strict(text.as_bytes(), &signature).map_err(|_| wrong())
    }
}

fn check_size(note: &str) -> Result<(), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLarge { bytes: note.len() });
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Text { problem: "does not end with a newline" });
    }
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Text { problem: "has control characters" });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
