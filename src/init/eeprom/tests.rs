use super::*;

#[test]
fn the_eeproms_settings_are_those_of_the_node_that_the_alias_names() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::of_test(dir.path());
    assert_eq!(settings(&root).unwrap(), None, "no alias");
    file::write_volatile(&root.at(EEPROM_ALIAS), "/reserved-memory/nvram@1\0").unwrap();
    assert_eq!(settings(&root).unwrap(), None, "no driver");
    for (number, content) in [(0, "a public key"), (1, "[all]\nBOOT_ORDER=0xf461\n\0\0\0")] {
        let node = root.at(DEVICE_TREE).join(format!("reserved-memory/nvram@{number}"));
        let device = root.at(NVMEM).join(format!("rmem{number}"));
        fs::create_dir_all(&node).unwrap();
        fs::create_dir_all(&device).unwrap();
        std::os::unix::fs::symlink(&node, device.join("of_node")).unwrap();
        fs::write(device.join("nvmem"), content).unwrap();
    }
    assert_eq!(settings(&root).unwrap().as_deref(), Some("[all]\nBOOT_ORDER=0xf461"));
    let write = |content: &[u8]| fs::write(root.at(NVMEM).join("rmem1/nvmem"), content).unwrap();
    write(b"BOOT_UART=1\n\0left over");
    assert_eq!(settings(&root).unwrap().as_deref(), Some("BOOT_UART=1"));
    for none in [&b"\0\0"[..], b"a\x01b", b""] {
        write(none);
        assert_eq!(settings(&root).unwrap(), None, "{none:?}");
    }
    write(&[0xff; 4]);
    assert!(settings(&root).is_err());
}
