//! The empty state partition, by mke2fs.

use std::fs::File;
use std::path::Path;

use lucid_layout::disk::STATE_LABEL;

use crate::error::Error;
use crate::tool::{MKE2FS, write_file};

/// Its UUID, which also seeds the hashes of its folders.
const UUID: &str = "6c756369-6400-4000-8000-0000000000e6";

/// Named one by one, because each version of mke2fs and each machine's settings have other defaults.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                        large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// The whole of mke2fs.conf: it must know the type, and has nothing to say about it.
const SETTINGS: &[u8] = b"[fs_types]\n\text4 = {\n\t}\n";

/// Makes `image`, of `bytes` bytes. `settings` is a file that may be written.
pub(crate) fn make(image: &Path, bytes: u64, epoch_s: u64, settings: &Path) -> Result<(), Error> {
    write_file(settings, SETTINGS)?;
    let file = File::create(image).map_err(Error::file("create", image))?;
    file.set_len(bytes).map_err(Error::file("extend", image))?;
    MKE2FS
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "1", "-J", "size=16"])
        .arg("-L")
        .arg(STATE_LABEL)
        .arg("-U")
        .arg(UUID)
        .arg("-O")
        .arg(FEATURES)
        .arg("-E")
        .arg(format!("hash_seed={UUID},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0"))
        .arg(image)
        .at(epoch_s)
        .env("MKE2FS_CONFIG", settings)
        .bytes()
        .map(drop)
}
