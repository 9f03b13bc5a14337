//! Style and architecture as tests; no production code.
