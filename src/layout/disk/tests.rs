use super::*;

#[test]
fn partitions_follow_each_other_and_are_aligned() {
    for profile in [Profile::RELEASE, Profile::TEST] {
        let mut end = ALIGNMENT_BYTES;
        for partition in Partition::IN_IMAGE {
            assert_eq!(profile.start_bytes(partition), end, "{partition:?}");
            assert_eq!(end % ALIGNMENT_BYTES, 0, "{partition:?}");
            end += profile.bytes(partition).unwrap();
        }
        assert_eq!(profile.disk_bytes(), end + ALIGNMENT_BYTES);
        assert_eq!(profile.bytes(Partition::Data), None);
    }
}

#[test]
fn numbers_names_and_guids_are_those_of_the_partition_map() {
    for (index, partition) in Partition::IN_IMAGE.into_iter().chain([Partition::Data]).enumerate() {
        let number = u32::try_from(index + 1).unwrap();
        assert_eq!(partition.number(), number);
        assert_eq!(partition.guid(), format!("{}{number:012}", &DISK_GUID[..24]));
    }
    let names: Vec<_> = Partition::IN_IMAGE.into_iter().map(Partition::name).collect();
    assert_eq!(names, ["autoboot", "boot-a", "boot-b", "root-a", "root-b", "state"]);
}

#[test]
fn a_release_image_is_smaller_than_the_smallest_card() {
    // 4 GB, sold in powers of ten.
    assert!(Profile::RELEASE.disk_bytes() < 4_000_000_000);
    assert_eq!(Profile::RELEASE.disk_bytes(), (1 + 64 + 2 * 256 + 2 * 768 + 512 + 1) * MIB);
}
