use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Inputs with nothing but a root tree of one file.
fn inputs(folder: &Path) -> Inputs {
    let root_tree = folder.join("root");
    fs::create_dir(&root_tree).unwrap();
    fs::set_permissions(&root_tree, fs::Permissions::from_mode(0o755)).unwrap();
    // Numbers compress by less than a half.
    let text: String = (0..20_000_u32).map(|number| format!("{}\n", number.wrapping_mul(0x9e37_79b9))).collect();
    fs::write(root_tree.join("numbers"), text).unwrap();
    Inputs {
        root_tree,
        kernel: PathBuf::new(),
        dtb: PathBuf::new(),
        overlays: None,
        config_txt: PathBuf::new(),
        eeprom: None,
        overlay: vec![],
        update_root: None,
        allow_privileged: vec![],
        provisioning: None,
        packages: None,
        cargo_manifest: None,
        url: None,
        out: PathBuf::new(),
        quality: Quality::Test,
        epoch_s: 1_760_000_000,
        version: "1".to_owned(),
        security_epoch: 1,
    }
}

#[test]
fn a_root_fits_to_the_last_byte_of_its_tree_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let image = folder.path().join("image");
    let make = |root_bytes| make_root(&inputs, &inputs.root_tree, &Profile { root_bytes, ..Profile::TEST }, &image);
    let (verity, bytes) = make(Profile::TEST.root_bytes).unwrap();
    assert!(bytes > verity.data_blocks * cmdline::BLOCK_BYTES, "the tree is behind the data");
    assert_eq!(make(bytes).unwrap(), (verity, bytes));
    let error = make(bytes - 1).err().unwrap().to_string();
    assert!(error.contains("the root file system") && error.contains(&bytes.to_string()), "{error}");
}

#[test]
fn boot_files_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(Profile::TEST.boot_bytes / 4).unwrap();
    let files = (0..4).map(|number| FatFile::new(number.to_string(), &large)).collect();
    let verity = Verity { data_blocks: 1, root_hash: Digest([1; 32]), salt: Digest([2; 32]) };
    let made = make_boot(&inputs, files, &verity, folder.path(), &folder.path().join("boot"));
    assert!(matches!(made, Err(Error::TooLarge { what: "the boot files", .. })));
}
