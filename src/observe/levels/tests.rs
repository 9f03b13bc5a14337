//! Tests of `levels`.
