//! Builds the appliance's disk image, looks into one, puts the owner's settings on it, and makes updates of it.
//!
//! [`build`] makes everything that is published of a release out of kernel, device trees, settings and root tree. Equal
//! inputs give equal bytes, whenever and wherever it runs. File systems are made by their own tools; this crate says
//! with which options, in which order, and refuses what must not be shipped. Must never change its inputs, and never
//! leave half an image under an image's name.

mod assemble;
mod boot_files;
mod compress;
mod config_txt;
mod disk;
mod eeprom;
mod elf;
mod erofs;
mod error;
mod ext4;
mod fat;
mod imager;
mod inputs;
mod inspect;
mod provision;
mod root_tree;
mod sbom;
mod tls;
mod tool;
mod update;
mod verify;
mod verity;

pub use assemble::{Built, build};
pub use error::Error;
pub use inputs::{Inputs, Overlay, Quality};
pub use inspect::{Inspection, ProvisioningState, SlotContent, inspect};
pub use provision::{provision, read_provisioning};
pub use tls::fingerprint;
pub use update::{
    AuthorityFiles, BundleInputs, Checked, Content, Quorum, Signing, Source, UpdateError, add_to_keys, add_to_root,
    bundle, channel, inspect_update, keygen, moment, read_key, sign_bundle, sign_keys, sign_root, verify_update,
};
pub use verify::verify;
