//! Who runs what. The same number is user and group.

/// The supervisor.
pub const LUCID: u32 = 65532;

/// The payments plane.
pub const PAYMENTS: u32 = 65533;
