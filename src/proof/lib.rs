//! The formats a third party checks: Merkle trees, signed notes, blocks, manifests, and the offline verifier.
