//! What stands in front of every manifest and every channel: the root sets and the key list by which to judge it. So an
//! appliance learns of a revocation from whichever of the two it sees first, and one that is new needs nothing else.

use crate::limits::ROOT_SETS_MAX;
use crate::signed::{DocumentKind, Signed};
use crate::wire::{LayoutError, Reader, put_count};

/// Root sets and key list, as they came; nothing of them is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Root sets in ascending order; at most [`ROOT_SETS_MAX`], and none if all appliances have the newest.
    pub roots: Vec<Signed>,
    /// The key list.
    pub keys: Signed,
}

impl Authority {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let count = reader.count("the root sets", 0, ROOT_SETS_MAX)?;
        let roots = (0..count).map(|_| Signed::read(DocumentKind::Root, reader)).collect::<Result<_, _>>()?;
        Ok(Self { roots, keys: Signed::read(DocumentKind::Keys, reader)? })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), LayoutError> {
        put_count(out, "the root sets", self.roots.len(), 0, ROOT_SETS_MAX)?;
        self.roots.iter().try_for_each(|root| root.write(DocumentKind::Root, out))?;
        self.keys.write(DocumentKind::Keys, out)
    }
}
