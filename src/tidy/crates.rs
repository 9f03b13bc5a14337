//! Who may depend on whom. The picture is `edges.txt`; the rules are below.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::{golden::assert_golden, tree};

/// How high a crate stands. A crate depends only on lower ones: equal ones are siblings, which never know each other.
/// One that is not listed here is not built yet.
const RANKS: [(&str, u32); 28] = [
    ("lucid", 90),
    ("lucid-hw-tests", 80),
    ("lucid-image", 80),
    ("lucid-supervisor", 70),
    ("lucid-agent", 70),
    ("lucid-appliance", 70),
    ("lucid-chain", 70),
    ("lucid-client", 70),
    ("lucid-edge", 70),
    ("lucid-foundation", 70),
    ("lucid-init", 70),
    ("lucid-payments", 70),
    ("lucid-rdp", 70),
    ("lucid-sessions", 70),
    ("lucid-http", 50),
    ("lucid-vault", 50),
    ("lucid-agent-protocol", 45),
    ("lucid-bundle", 45),
    ("lucid-device", 40),
    ("lucid-observe", 40),
    ("lucid-store", 40),
    ("lucid-ports", 30),
    ("lucid-fat", 20),
    ("lucid-file", 20),
    ("lucid-kit", 20),
    ("lucid-layout", 20),
    ("lucid-proof", 20),
    ("lucid-error", 10),
];

/// Crates from outside that stand behind a wall, and who is inside. Everyone else uses the crate inside.
const WALLS: [(&str, &[&str]); 8] = [
    ("redb", &["lucid-store"]),
    ("rppal", &["lucid-device"]),
    ("nix", &["lucid-device"]),
    ("age", &["lucid-vault"]),
    ("argon2", &["lucid-foundation"]),
    ("jsonwebtoken", &["lucid-foundation"]),
    ("maud", &["lucid-appliance"]),
    ("axum-server", &[]),
];

/// What must never reach each other: money and evidence.
const ISOLATED: (&str, &str) = ("lucid-payments", "lucid-chain");

/// An edge of the graph.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    is_dev: bool,
}

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let manifest = tree::root().join("Cargo.toml");
        // Without dependencies: needs neither network nor lock file.
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo reads the workspace")
    })
}

/// Every dependency of a workspace crate for which `wanted` holds.
fn edges(wanted: impl Fn(&str) -> bool) -> BTreeSet<Edge> {
    let packages = metadata().packages.iter();
    let all = packages.flat_map(|package| package.dependencies.iter().map(move |to| (package, to)));
    all.filter(|(_, to)| wanted(&to.name))
        .map(|(from, to)| Edge {
            from: from.name.to_string(),
            to: to.name.clone(),
            is_dev: to.kind == DependencyKind::Development,
        })
        .collect()
}

fn is_ours(name: &str) -> bool {
    name == "lucid" || name.starts_with("lucid-")
}

fn rank(name: &str) -> Option<u32> {
    RANKS.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank)
}

/// Edges that go up or sideways.
fn against_direction(edges: &BTreeSet<Edge>) -> Vec<String> {
    let wrong = edges.iter().filter(|edge| match (rank(&edge.from), rank(&edge.to)) {
        (Some(from), Some(to)) => from <= to,
        _ => true,
    });
    wrong.map(|edge| format!("{} depends on {}", edge.from, edge.to)).collect()
}

/// Edges through a wall.
fn through_walls(edges: &BTreeSet<Edge>) -> Vec<String> {
    let behind = |edge: &&Edge| WALLS.iter().any(|(to, inside)| edge.to == *to && !inside.contains(&&*edge.from));
    edges.iter().filter(behind).map(|edge| format!("{} uses {}", edge.from, edge.to)).collect()
}

/// Everything that `from` reaches.
fn reach(edges: &BTreeSet<Edge>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(name) = next.pop() {
        for edge in edges.iter().filter(|edge| edge.from == name) {
            if reached.insert(edge.to.clone()) {
                next.push(edge.to.clone());
            }
        }
    }
    reached
}

fn isolation_broken(edges: &BTreeSet<Edge>) -> bool {
    let (one, other) = ISOLATED;
    reach(edges, one).contains(other) || reach(edges, other).contains(one)
}

/// A graph from text, for the controls.
fn graph(text: &str) -> BTreeSet<Edge> {
    let edge = |line: &str| {
        let (from, to) = line.trim().split_once(" -> ").unwrap();
        Edge { from: from.to_owned(), to: to.to_owned(), is_dev: false }
    };
    text.split(',').map(edge).collect()
}

#[test]
fn the_edges_are_those_of_the_golden_file() {
    let mut lines: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    for edge in edges(is_ours) {
        lines.entry((edge.from, edge.is_dev)).or_default().push(edge.to.replace("lucid-", ""));
    }
    let line = |((from, is_dev), to): (&(String, bool), &Vec<String>)| {
        format!("{from}{} -> {}\n", if *is_dev { " (tests)" } else { "" }, to.join(" "))
    };
    assert_golden("edges.txt", &lines.iter().map(line).collect::<String>());
}

#[test]
fn dependencies_go_down() {
    assert_eq!(against_direction(&edges(is_ours)), Vec::<String>::new());
    for wrong in ["lucid-chain -> lucid-sessions", "lucid-kit -> lucid-store", "lucid-kit -> lucid-unheard-of"] {
        assert_eq!(against_direction(&graph(wrong)).len(), 1, "{wrong}");
    }
    assert!(against_direction(&graph("lucid -> lucid-chain, lucid-chain -> lucid-kit")).is_empty());
}

#[test]
fn every_crate_has_a_rank() {
    let unranked: Vec<_> = metadata().packages.iter().filter(|package| rank(&package.name).is_none()).collect();
    let names: Vec<_> = unranked.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(names, ["lucid-tidy"], "only the rules themselves stand outside");
}

#[test]
fn walls_hold() {
    assert_eq!(through_walls(&edges(|name| !is_ours(name))), Vec::<String>::new());
    assert_eq!(through_walls(&graph("lucid-chain -> redb, lucid-store -> redb")), ["lucid-chain uses redb"]);
}

#[test]
fn payments_and_chain_do_not_reach_each_other() {
    assert!(!isolation_broken(&edges(is_ours)));
    assert!(isolation_broken(&graph("lucid-payments -> lucid-x, lucid-x -> lucid-chain")));
    assert!(isolation_broken(&graph("lucid-chain -> lucid-payments")));
    assert!(!isolation_broken(&graph("lucid -> lucid-payments, lucid -> lucid-chain")));
}

/// Dependencies of the workspace that no crate uses.
fn unused(declared: &BTreeSet<String>, edges: &BTreeSet<Edge>) -> Vec<String> {
    declared.iter().filter(|name| edges.iter().all(|edge| edge.to != **name)).cloned().collect()
}

#[test]
fn every_dependency_of_the_workspace_is_used() {
    let manifest = &tree::files().iter().find(|file| file.path == "Cargo.toml").unwrap().text;
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    let declared = names.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(unused(&declared, &edges(|_| true)), Vec::<String>::new());
    assert_eq!(unused(&BTreeSet::from(["a".into(), "b".into()]), &graph("x -> a")), ["b"]);
}

#[test]
fn every_crate_inherits_the_lints_and_the_versions() {
    let inherits = |text: &str| {
        text.contains("[lints]\nworkspace = true")
            && !text.contains("version = \"")
            && text.contains("publish.workspace")
    };
    for file in tree::files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        assert!(inherits(&file.text), "{} must inherit lints, versions and publish", file.path);
    }
    let good = "publish.workspace = true\n[lints]\nworkspace = true\n";
    assert!(inherits(good));
    assert!(!inherits("publish.workspace = true\n") && !inherits(&format!("{good}serde = {{ version = \"1\" }}")));
}
