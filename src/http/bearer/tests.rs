//! Tests of `bearer`.
