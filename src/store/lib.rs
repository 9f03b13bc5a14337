//! The only crate that knows redb: typed tables, group commit, schema versions, blobs, snapshots.
