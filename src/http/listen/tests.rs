//! Tests of `listen`.
