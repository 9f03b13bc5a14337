use super::*;

#[test]
fn only_a_file_in_one_piece_has_a_range() {
    assert_eq!(one_piece("::/lucid.toml <4-67>\n"), Some((4, 67)));
    assert_eq!(one_piece("::/autoboot.txt <3>\n"), Some((3, 3)));
    for said in ["::/lucid.toml <4-10> <12-70>\n", "::/lucid.toml \n", "", "<>", "<a-b>", "::/x <4-"] {
        assert_eq!(one_piece(said), None, "{said}");
    }
}

#[test]
fn a_fat_file_system_reads_back_and_a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (image, one) = (folder.path().join("fat"), folder.path().join("one"));
    std::fs::write(&one, "1").unwrap();
    let volume = Volume { label: "X", id: "00000001", cluster_sectors: 1 };
    let files = [FatFile::new("one.txt", &one), FatFile::new("folder/one.txt", &one), FatFile::new("two.txt", &one)];
    make(&image, 64 << 20, &volume, &files, 1_700_000_000).unwrap();
    for file in &files {
        assert_eq!(read(&image, 0, &file.name).unwrap(), b"1", "{}", file.name);
    }
    let there = ["one.txt", "two.txt", "folder/", "three.txt", "folder/one.txt", "ONE.TXT", ""];
    assert_eq!(there.map(|name| has(&image, 0, name).unwrap()), [true, true, true, false, false, false, false]);
    assert!(matches!(has(&one, 0, "one.txt"), Err(Error::ToolFailed { .. })), "no file system is no empty one");
    assert!(matches!(read(&image, 0, "three.txt"), Err(Error::ToolFailed { .. })));
    let missing = [FatFile::new("x", folder.path().join("none"))];
    assert!(matches!(make(&image, 64 << 20, &volume, &missing, 1_700_000_000), Err(Error::ToolFailed { .. })));
}
