use super::*;

#[test]
fn a_root_has_its_blocks_and_a_hash_of_each_and_of_those() {
    let blocks = |data_blocks| {
        let verity =
            Verity { data_blocks, root_hash: lucid_layout::Digest([0; 32]), salt: lucid_layout::Digest([0; 32]) };
        root_bytes(&verity) / BLOCK_BYTES
    };
    for (data, all) in
        [(1, 1), (2, 3), (128, 129), (129, 132), (128 * 128, 128 * 128 + 128 + 1), (16385, 16385 + 129 + 2 + 1)]
    {
        assert_eq!(blocks(data), all, "{data}");
    }
    // What a command line could name at most is no panic.
    assert_eq!(blocks(u64::MAX), u64::MAX / BLOCK_BYTES);
}

#[test]
fn a_boot_partition_ends_with_its_last_block_that_is_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("boot");
    let block = BLOCK_BYTES as usize;
    for (length, marks, wanted) in [
        (0, vec![], 0),
        (10 * block, vec![], 0),
        (10 * block, vec![0], block),
        (10 * block, vec![0, 5 * block - 1], 5 * block),
        (10 * block, vec![5 * block], 6 * block),
        (10 * block, vec![10 * block - 1], 10 * block),
        (10 * block + 512, vec![10 * block + 511], 10 * block + 512),
    ] {
        let mut bytes = vec![0; length];
        for mark in &marks {
            bytes[*mark] = 1;
        }
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(used_bytes(&path).unwrap(), wanted as u64, "{length} {marks:?}");
    }
}
