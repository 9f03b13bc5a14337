use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::fixture::Tree;
use crate::hash::{Blake3, Sha256};

/// The leaves that implementations of Certificate Transparency test with.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
/// The roots of the first one, two, ... eight of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// Inner nodes and leaf hashes that the known paths consist of.
const LEAF_0: &str = ROOTS[0];
const LEAF_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const LEAF_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const NODE_2_3: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const NODE_4_5: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const NODE_6_7: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const NODE_4_7: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

fn hash(hex: &str) -> Hash {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

fn known_leaves() -> Vec<Hash> {
    LEAVES.iter().map(|leaf| Sha256::leaf(&HEXLOWER.decode(leaf.as_bytes()).unwrap())).collect()
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| Sha256::leaf(&index.to_be_bytes())).collect()
}

/// The definition of RFC 6962, word for word and slow.
fn defined_root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => Sha256::empty(),
        1 => leaves[0],
        count => {
            let (left, right) = leaves.split_at(count.next_power_of_two() / 2);
            Sha256::node(&defined_root(left), &defined_root(right))
        }
    }
}

fn defined_inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if index < left.len() {
        (defined_inclusion(left, index), defined_root(right))
    } else {
        (defined_inclusion(right, index - left.len()), defined_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF of RFC 6962.
fn defined_consistency(leaves: &[Hash], old: usize, known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![defined_root(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if old <= left.len() {
        (defined_consistency(left, old, known), defined_root(right))
    } else {
        (defined_consistency(right, old - left.len(), false), defined_root(left))
    };
    path.push(sibling);
    path
}

fn stored(leaves: &[Hash]) -> Tree {
    let (mut tree, mut frontier) = (Tree::default(), Frontier::<Sha256>::new());
    for leaf in leaves {
        tree.0.extend(new_nodes(&frontier, *leaf).into_iter().map(|(level, index, hash)| ((level, index), hash)));
        frontier.push(*leaf);
    }
    tree
}

#[test]
fn known_roots() {
    for (count, expected) in (1..).zip(ROOTS) {
        assert_eq!(HEXLOWER.encode(&root::<Sha256>(&known_leaves()[..count])), expected, "{count} leaves");
    }
}

#[test]
fn known_inclusion_paths() {
    let table: [(u64, usize, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[LEAF_1, NODE_2_3, NODE_4_7]),
        (5, 8, &[LEAF_4, NODE_6_7, ROOTS[3]]),
        (2, 3, &[ROOTS[1]]),
        (1, 5, &[LEAF_0, NODE_2_3, LEAF_4]),
    ];
    for (index, size, expected) in table {
        let leaves = &known_leaves()[..size];
        let path = inclusion::<Sha256>(leaves, index).unwrap();
        assert_eq!(path, expected.iter().map(|hex| hash(hex)).collect::<Vec<_>>(), "leaf {index} of {size}");
        let leaf = &leaves[index as usize];
        verify_inclusion::<Sha256>(leaf, index, size as u64, &path, &hash(ROOTS[size - 1])).unwrap();
    }
}

#[test]
fn known_consistency_paths() {
    let table: [(u64, usize, &[&str]); 4] = [
        (1, 1, &[]),
        (1, 8, &[LEAF_1, NODE_2_3, NODE_4_7]),
        (6, 8, &[NODE_4_5, NODE_6_7, ROOTS[3]]),
        (2, 5, &[NODE_2_3, LEAF_4]),
    ];
    for (old, new, expected) in table {
        let path = consistency::<Sha256>(&known_leaves()[..new], old).unwrap();
        assert_eq!(path, expected.iter().map(|hex| hash(hex)).collect::<Vec<_>>(), "{old} to {new}");
        let (old_root, new_root) = (hash(ROOTS[old as usize - 1]), hash(ROOTS[new - 1]));
        verify_consistency::<Sha256>(old, new as u64, &path, &old_root, &new_root).unwrap();
    }
}

#[test]
fn every_small_tree_is_as_defined() {
    for size in 0..=33 {
        let leaves = leaves(size);
        let (root, tree) = (root::<Sha256>(&leaves), stored(&leaves));
        assert_eq!(root, defined_root(&leaves), "{size} leaves");
        assert_eq!(root_from::<Sha256, _>(&tree, size as u64), Ok(root));
        for index in 0..size {
            let path = inclusion::<Sha256>(&leaves, index as u64).unwrap();
            assert_eq!(path, defined_inclusion(&leaves, index), "leaf {index} of {size}");
            assert_eq!(inclusion_from::<Sha256, _>(&tree, index as u64, size as u64).as_ref(), Ok(&path));
            check_inclusion(&leaves, index, &path, &root);
        }
        for old in 0..=size {
            let path = consistency::<Sha256>(&leaves, old as u64).unwrap();
            if old > 0 {
                assert_eq!(path, defined_consistency(&leaves, old, true), "{old} to {size}");
            }
            assert_eq!(consistency_from::<Sha256, _>(&tree, old as u64, size as u64).as_ref(), Ok(&path));
            check_consistency(&leaves, old, &path, &root);
        }
    }
}

/// The path holds, and every change to it is noticed.
fn check_inclusion(leaves: &[Hash], index: usize, path: &[Hash], root: &Hash) {
    let (leaf, size) = (&leaves[index], leaves.len() as u64);
    let index = index as u64;
    let verify = |leaf, index, path: &[Hash]| verify_inclusion::<Sha256>(leaf, index, size, path, root);
    verify(leaf, index, path).unwrap();
    for wrong in damaged(path) {
        verify(leaf, index, &wrong).unwrap_err();
    }
    verify(&[7; 32], index, path).unwrap_err();
    for other in (0..=size).filter(|other| *other != index) {
        verify(leaf, other, path).unwrap_err();
    }
}

fn check_consistency(leaves: &[Hash], old: usize, path: &[Hash], root: &Hash) {
    let (old_root, new, old) = (super::root::<Sha256>(&leaves[..old]), leaves.len() as u64, old as u64);
    let verify = |path: &[Hash], old_root, root| verify_consistency::<Sha256>(old, new, path, old_root, root);
    verify(path, &old_root, root).unwrap();
    for wrong in damaged(path) {
        verify(&wrong, &old_root, root).unwrap_err();
    }
    verify(path, &[7; 32], root).unwrap_err();
    if old > 0 {
        verify(path, &old_root, &[7; 32]).unwrap_err();
    }
    verify_consistency::<Sha256>(new + 1, new, path, &old_root, root).unwrap_err();
}

/// The path with a bit flipped, a hash missing, a hash too many or two hashes swapped.
fn damaged(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut wrong = vec![[path, &[[0; 32]]].concat(), [&[[0; 32]], path].concat()];
    for at in 0..path.len() {
        let mut flipped = path.to_vec();
        flipped[at][31] ^= 1;
        wrong.push(flipped);
        let mut shorter = path.to_vec();
        shorter.remove(at);
        wrong.push(shorter);
        let mut swapped = path.to_vec();
        swapped.swap(at, 0);
        if at > 0 {
            wrong.push(swapped);
        }
    }
    wrong
}

#[test]
fn sizes_near_the_end_of_numbers_do_not_overflow() {
    let path = vec![[0; 32]; 65];
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (u64::MAX, u64::MAX)] {
        verify_inclusion::<Sha256>(&[0; 32], index, size, &path, &[0; 32]).unwrap_err();
        verify_consistency::<Sha256>(index, size, &path, &[0; 32], &[1; 32]).unwrap_err();
    }
}

#[test]
fn out_of_range_is_said() {
    assert_eq!(inclusion::<Sha256>(&leaves(3), 3), Err(MerkleError::OutOfRange { index: 3, size: 3 }));
    assert_eq!(inclusion::<Sha256>(&[], 0), Err(MerkleError::OutOfRange { index: 0, size: 0 }));
    assert_eq!(consistency::<Sha256>(&leaves(3), 4), Err(MerkleError::Shrunk { old: 4, new: 3 }));
}

#[test]
fn a_store_that_fails_is_named() {
    struct Broken;
    impl Nodes for Broken {
        type Error = &'static str;
        fn node(&self, _: u8, _: u64) -> Result<Hash, &'static str> {
            Err("no disk")
        }
    }
    let error = inclusion_from::<Sha256, _>(&Broken, 0, 4).unwrap_err();
    assert_eq!(error, FromNodesError::Node { level: 1, index: 1, source: "no disk" });
}

#[test]
fn a_frontier_survives_storing_and_refuses_other_parts() {
    let mut frontier = Frontier::<Blake3>::new();
    for leaf in leaves(11) {
        frontier.push(leaf);
        let stored = Frontier::<Blake3>::from_parts(frontier.size(), frontier.peaks().to_vec()).unwrap();
        assert_eq!(stored, frontier);
        assert_eq!(stored.root(), frontier.root());
    }
    let error = Frontier::<Blake3>::from_parts(11, vec![[0; 32]; 2]).unwrap_err();
    assert_eq!(error, MerkleError::Peaks { size: 11, expected: 3, found: 2 });
}

#[test]
fn a_long_log_appends_and_proves_with_few_nodes() {
    let count: u64 = 100_000;
    let (mut tree, mut frontier) = (Tree::default(), Frontier::<Sha256>::new());
    for index in 0..count {
        let leaf = Sha256::leaf(&index.to_be_bytes());
        tree.0.extend(new_nodes(&frontier, leaf).into_iter().map(|(level, at, hash)| ((level, at), hash)));
        frontier.push(leaf);
    }
    assert!(tree.0.len() < 2 * count as usize);
    let root = frontier.root();
    assert_eq!(root_from::<Sha256, _>(&tree, count), Ok(root));
    for index in [0, 1, 65_535, 65_536, 99_998, 99_999] {
        let path = inclusion_from::<Sha256, _>(&tree, index, count).unwrap();
        assert!(path.len() <= 17);
        verify_inclusion::<Sha256>(&Sha256::leaf(&index.to_be_bytes()), index, count, &path, &root).unwrap();
    }
    for old in [1, 65_535, 65_536, 65_537, 99_999] {
        let path = consistency_from::<Sha256, _>(&tree, old, count).unwrap();
        let old_root = root_from::<Sha256, _>(&tree, old).unwrap();
        verify_consistency::<Sha256>(old, count, &path, &old_root, &root).unwrap();
    }
}

proptest! {
    // Failures are printed with their input; no file of seeds is left in the source tree.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn larger_trees_are_as_defined(size in 34_usize..700, pick in any::<prop::sample::Index>()) {
        let (leaves, index) = (leaves(size), pick.index(size));
        let (root, tree) = (root::<Sha256>(&leaves), stored(&leaves));
        prop_assert_eq!(root, defined_root(&leaves));
        let path = inclusion_from::<Sha256, _>(&tree, index as u64, size as u64).unwrap();
        prop_assert_eq!(&path, &defined_inclusion(&leaves, index));
        verify_inclusion::<Sha256>(&leaves[index], index as u64, size as u64, &path, &root).unwrap();
        let path = consistency_from::<Sha256, _>(&tree, index as u64 + 1, size as u64).unwrap();
        prop_assert_eq!(&path, &defined_consistency(&leaves, index + 1, true));
        let old_root = defined_root(&leaves[..=index]);
        verify_consistency::<Sha256>(index as u64 + 1, size as u64, &path, &old_root, &root).unwrap();
    }

    #[test]
    fn arbitrary_paths_prove_nothing(
        index in any::<u64>(), size in any::<u64>(), path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        // One leaf alone is its own root, so an empty path is the only one that could hold.
        prop_assume!(!path.is_empty());
        verify_inclusion::<Sha256>(&[1; 32], index, size, &path, &[2; 32]).unwrap_err();
        verify_consistency::<Sha256>(index, size, &path, &[1; 32], &[2; 32]).unwrap_err();
    }
}
