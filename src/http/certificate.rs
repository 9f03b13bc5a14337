//! The device's certificate authority and its leaf.
