//! Values that nobody may see.

use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

/// A secret text: wiped when dropped, without `Debug`, in no error.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, to be written where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        // Serde's own error would show what it found instead of a text.
        let text = text.map_err(|_| de::Error::custom("this secret is not a text in quotes"))?;
        Ok(Self(Zeroizing::new(text)))
    }
}
