//! The key hierarchy: device secret, recovery key, master key, session data keys, shredding.
