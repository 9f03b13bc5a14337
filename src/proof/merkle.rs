//! Merkle trees as in RFC 6962 section 2.1 and RFC 9162 section 2.1: roots, inclusion proofs, consistency proofs.
//!
//! Generic over the hash. A tree's shape follows from its size alone: the left subtree of every node is the largest
//! complete one that leaves something to its right. Proofs come from all leaves ([`inclusion`]) or from stored complete
//! subtrees ([`inclusion_from`], O(log n)); both run the same code. Verifying never allocates and never recurses.

mod frontier;
mod subtrees;

pub use frontier::{Frontier, new_nodes};
pub use subtrees::{FromNodesError, Nodes, consistency_from, inclusion_from, root_from};

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::hash::{Hash, TreeHash};

/// Why a proof can't be made or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The index is not below the tree's size.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    OutOfRange {
        /// The leaf asked for.
        index: u64,
        /// The tree's size in leaves.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {old} leaves can't grow into one of {new}")]
    Shrunk {
        /// The older tree's size in leaves.
        old: u64,
        /// The newer tree's size in leaves.
        new: u64,
    },
    /// The path has too few or too many hashes for the index and the sizes.
    #[error("the path has {found} hashes, which does not fit index and size")]
    PathLength {
        /// How many hashes the path has.
        found: usize,
    },
    /// The path leads to another root.
    #[error("the path leads to another root than the one given")]
    Root,
    /// The path does not lead to the older tree's root.
    #[error("the path does not lead to the older root")]
    OldRoot,
    /// The number of peaks does not fit the size.
    #[error("a tree of {size} leaves has {expected} complete subtrees, {found} were given")]
    Peaks {
        /// The tree's size in leaves.
        size: u64,
        /// How many complete subtrees that size has.
        expected: u32,
        /// How many were given.
        found: usize,
    },
}

/// The root over these leaf hashes.
#[must_use]
pub fn root<H: TreeHash>(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::<H>::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// The inclusion path of the leaf at `index`, from the bottom up.
///
/// # Errors
/// [`MerkleError::OutOfRange`] if there is no such leaf.
pub fn inclusion<H: TreeHash>(leaves: &[Hash], index: u64) -> Result<Vec<Hash>, MerkleError> {
    inclusion_from::<H, _>(&Leaves::<H>(leaves, PhantomData), index, leaves.len() as u64).map_err(without_store)
}

/// The proof that the tree over the first `old` leaves grew into the tree over all of them.
///
/// # Errors
/// [`MerkleError::Shrunk`] if there are fewer than `old` leaves.
pub fn consistency<H: TreeHash>(leaves: &[Hash], old: u64) -> Result<Vec<Hash>, MerkleError> {
    consistency_from::<H, _>(&Leaves::<H>(leaves, PhantomData), old, leaves.len() as u64).map_err(without_store)
}

/// Checks that `leaf` is the leaf at `index` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
///
/// The root alone does not bind the size: some sizes share a path. Where the size matters it must come from something
/// that is itself proven, as in a checkpoint.
///
/// # Errors
/// Says whether the index, the path's length or the root does not fit.
pub fn verify_inclusion<H: TreeHash>(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), MerkleError> {
    if implied_root::<H>(leaf, index, size, path)? != *root {
        return Err(MerkleError::Root);
    }
    Ok(())
}

/// The root that an inclusion path leads to.
///
/// # Errors
/// Says whether the index or the path's length does not fit.
pub fn implied_root<H: TreeHash>(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, MerkleError> {
    if index >= size {
        return Err(MerkleError::OutOfRange { index, size });
    }
    let wrong_length = MerkleError::PathLength { found: path.len() };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = H::node(sibling, &hash);
            // A node without a right sibling is handed up unchanged until it is a right child.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = H::node(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 { Ok(hash) } else { Err(wrong_length) }
}

/// Checks that the tree of `new` leaves holds the tree of `old` leaves as its beginning (RFC 9162, 2.1.4.2).
///
/// Beyond the RFC, which leaves these open: equal sizes need equal roots and an empty path; the empty tree is the
/// beginning of every tree, again with an empty path.
///
/// # Errors
/// Says whether the sizes, the path's length, the older or the newer root does not fit.
pub fn verify_consistency<H: TreeHash>(
    old: u64,
    new: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), MerkleError> {
    if old > new {
        return Err(MerkleError::Shrunk { old, new });
    }
    if old == new || old == 0 {
        return verify_trivial::<H>(old, new, path, old_root, new_root);
    }
    let wrong_length = MerkleError::PathLength { found: path.len() };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    // A complete old tree is a node of the new one: its root is known and left out of the path.
    let (first, rest) = match path {
        _ if old.is_power_of_two() => (old_root, path),
        [first, rest @ ..] => (first, rest),
        [] => return Err(wrong_length),
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = H::node(sibling, &old_hash);
            new_hash = H::node(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = H::node(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, old_hash == *old_root, new_hash == *new_root) {
        (0, true, true) => Ok(()),
        (0, false, _) => Err(MerkleError::OldRoot),
        (0, true, false) => Err(MerkleError::Root),
        _ => Err(wrong_length),
    }
}

fn verify_trivial<H: TreeHash>(
    old: u64,
    new: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), MerkleError> {
    if !path.is_empty() {
        return Err(MerkleError::PathLength { found: path.len() });
    }
    if old == 0 && *old_root != H::empty() {
        return Err(MerkleError::OldRoot);
    }
    if old == new && old_root != new_root {
        return Err(MerkleError::Root);
    }
    Ok(())
}

/// Leaves in memory as a store of complete subtrees, each computed when asked for.
struct Leaves<'a, H>(&'a [Hash], PhantomData<H>);

impl<H: TreeHash> Nodes for Leaves<'_, H> {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        // The callers ask for subtrees inside the slice only, so these numbers fit its length.
        let width = 1_usize << level;
        let first = index as usize * width;
        Ok(root::<H>(&self.0[first..first + width]))
    }
}

fn without_store(error: FromNodesError<Infallible>) -> MerkleError {
    match error {
        FromNodesError::Range(error) => error,
        FromNodesError::Node { source, .. } => match source {},
    }
}

#[cfg(test)]
mod tests;
