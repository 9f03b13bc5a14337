//! Hardware behind traits, each with a real and a fake side.
