//! The chain: blockchain-engine, session-anchoring, block-manager.
