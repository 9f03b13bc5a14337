//! Where the own dashboard is looked for; and what the number of the data format says.

use std::collections::BTreeSet;
use std::io;

use lucid_layout::update::{DATA, DataFormat};
use lucid_store::Schema;

use super::*;

fn two() -> io::Result<BTreeSet<IpAddr>> {
    Ok(["192.168.1.5", "fd00::5"].iter().map(|text| text.parse().unwrap()).collect())
}

fn none() -> io::Result<BTreeSet<IpAddr>> {
    Ok(BTreeSet::new())
}

fn broken() -> io::Result<BTreeSet<IpAddr>> {
    Err(io::ErrorKind::PermissionDenied.into())
}

#[test]
fn it_is_asked_at_each_address_that_it_listens_on() {
    let asked = |at: &str, interfaces: fn() -> io::Result<BTreeSet<IpAddr>>| {
        let found = addresses(&Opened::At(at.parse().unwrap()), interfaces).unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(asked("0.0.0.0:443", two), ["192.168.1.5:443", "127.0.0.1:443"]);
    assert_eq!(asked("[::]:443", two), ["192.168.1.5:443", "[fd00::5]:443", "127.0.0.1:443"]);
    assert_eq!(asked("[::]:443", none), ["127.0.0.1:443"]);
    assert_eq!(asked("127.0.0.1:8120", broken), ["127.0.0.1:8120"], "one address is that address");
    let closed = addresses(&Opened::NotYet("opening port 443".to_owned()), two).unwrap_err();
    assert!(closed.contains("opening port 443"), "{closed}");
    assert!(addresses(&Opened::At("0.0.0.0:443".parse().unwrap()), broken).unwrap_err().contains("can't be read"));
}

#[test]
fn the_settings_that_nothing_sets_are_those_that_updates_have_by_themselves() {
    let nothing_set = config::Settings::load(None, std::iter::empty()).unwrap();
    // The time zone is this machine's.
    let usual = Settings { zone: Zone::of_this_program(), ..Settings::default() };
    assert_eq!(settings(&nothing_set), usual);
}

/// Every store of the box, and its schema's version when data generation 2 began. Never changed: a new store is added
/// with the version before its first, which is 0.
fn stores() -> [(&'static Schema, u32); 3] {
    [(&lucid_foundation::auth_service::SCHEMA, 2), (&lucid_chain::SCHEMA, 1), (&lucid_sessions::SCHEMA, 2)]
}

/// The data format of a release with these stores: one generation more for every version of every schema since the
/// first; read back as far as there are migrations.
fn format_of(stores: &[(&Schema, u32)]) -> DataFormat {
    let raised: u32 = stores.iter().map(|(schema, first)| schema.version - first).sum();
    let leads_here = |schema: &Schema| schema.migrations.iter().any(|step| step.to == schema.version);
    let readable = stores.iter().filter(|(schema, _)| leads_here(schema)).count();
    let generation = 2 + raised;
    DataFormat { generation, reads_from: generation - u32::try_from(readable).unwrap() }
}

/// A schema that rises takes the data generation along, and the other way round: the stage before systemd decides by it
/// whether a slot may take over.
#[test]
fn the_data_generation_rises_with_the_schemas() {
    assert_eq!(DATA, format_of(&stores()), "raise lucid_layout::update::DATA together with a store's schema");
    static RAISED: Schema = Schema { name: "x", version: 2, migrations: &[], readable_by_previous: false };
    static STEPS: [lucid_store::Migration; 1] = [lucid_store::Migration { from: 1, to: 2, run: |_| Ok(()) }];
    static MIGRATED: Schema = Schema { name: "x", version: 2, migrations: &STEPS, readable_by_previous: false };
    let with = |schema: &'static Schema, first| format_of(&[stores().to_vec(), vec![(schema, first)]].concat());
    assert_eq!(with(&RAISED, 1), DataFormat { generation: DATA.generation + 1, reads_from: DATA.generation + 1 });
    assert_eq!(with(&MIGRATED, 1).generation, DATA.generation + 1);
    assert!(with(&MIGRATED, 1).reads(DATA.generation) && !with(&RAISED, 1).reads(DATA.generation));
}
