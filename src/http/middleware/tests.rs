//! Tests of `middleware`.
