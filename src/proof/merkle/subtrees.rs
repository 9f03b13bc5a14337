//! Proofs out of stored complete subtrees: O(log n) look-ups instead of all leaves.

use super::MerkleError;
use crate::hash::{Hash, TreeHash};

/// A store of a tree's complete subtrees.
///
/// The node at (level, index) is the root over the leaves from `index << level` up to, not including,
/// `(index + 1) << level`. Only nodes whose leaves all exist are asked for; [`super::new_nodes`] says what to store.
pub trait Nodes {
    /// Why a node can't be had.
    type Error;

    /// The hash at this place.
    ///
    /// # Errors
    /// Whatever keeps the store from giving the node.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof could not be made from stored nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FromNodesError<E> {
    /// The proof asked for does not exist.
    #[error("no such proof")]
    Range(#[source] MerkleError),
    /// The store did not give a node.
    #[error("reading the tree node {index} of level {level}")]
    Node {
        /// The node's level; leaves are 0.
        level: u8,
        /// The node's place in its level.
        index: u64,
        /// What the store said.
        #[source]
        source: E,
    },
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// [`FromNodesError::Node`] if the store fails.
pub fn root_from<H: TreeHash, N: Nodes>(nodes: &N, size: u64) -> Result<Hash, FromNodesError<N::Error>> {
    if size == 0 {
        return Ok(H::empty());
    }
    range_root::<H, N>(nodes, 0, size)
}

/// The inclusion path of leaf `index` in the tree over the first `size` leaves, from the bottom up.
///
/// # Errors
/// [`MerkleError::OutOfRange`] if `index` is not below `size`; [`FromNodesError::Node`] if the store fails.
pub fn inclusion_from<H: TreeHash, N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, FromNodesError<N::Error>> {
    if index >= size {
        return Err(FromNodesError::Range(MerkleError::OutOfRange { index, size }));
    }
    let mut path = Vec::new();
    let (mut first, mut end) = (0, size);
    while end - first > 1 {
        let middle = first + left_width(end - first);
        if index < middle {
            path.push(range_root::<H, N>(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root::<H, N>(nodes, first, middle)?);
            first = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree over the first `old` leaves grew into the one over the first `new` leaves.
///
/// # Errors
/// [`MerkleError::Shrunk`] if `old` is above `new`; [`FromNodesError::Node`] if the store fails.
pub fn consistency_from<H: TreeHash, N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, FromNodesError<N::Error>> {
    if old > new {
        return Err(FromNodesError::Range(MerkleError::Shrunk { old, new }));
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    // Walk down to the node that ends where the old tree ends (RFC 9162, SUBPROOF).
    let (mut first, mut end) = (0, new);
    while old != end {
        let middle = first + left_width(end - first);
        if old <= middle {
            path.push(range_root::<H, N>(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root::<H, N>(nodes, first, middle)?);
            first = middle;
        }
    }
    // Still at the left edge, that node is the whole old tree, whose root the verifier has.
    if first != 0 {
        path.push(range_root::<H, N>(nodes, first, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two below `width`, which is at least 2.
fn left_width(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The root over leaves `first..end`, a node of the tree: `first` is aligned, only the right edge may be ragged.
fn range_root<H: TreeHash, N: Nodes>(nodes: &N, first: u64, end: u64) -> Result<Hash, FromNodesError<N::Error>> {
    let mut peaks = Vec::new();
    let mut at = first;
    while at < end {
        let level = (end - at).ilog2() as u8;
        let index = at >> level;
        peaks.push(nodes.node(level, index).map_err(|source| FromNodesError::Node { level, index, source })?);
        at += 1 << level;
    }
    let last = peaks.pop().expect("a range that is not empty has a peak");
    Ok(peaks.into_iter().rev().fold(last, |right, left| H::node(&left, &right)))
}
