//! Sessions: chunker, encryptor, Merkle builder, orchestrator, storage, session API.
