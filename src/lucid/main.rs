//! The appliance's one binary.
fn main() {}
