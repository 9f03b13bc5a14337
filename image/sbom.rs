//! What the image is made of, as CycloneDX 1.6 (ECMA-424): crates of the binary, and packages of the root tree.

mod crates;
mod packages;

use lucid_layout::EepromRelease;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use crate::compress::Sum;
use crate::error::Error;
use crate::imager::moment;
use crate::inputs::Inputs;

/// One thing that the image holds.
pub(crate) struct Component {
    name: String,
    version: String,
    /// Its package URL, which is also its name within the document.
    purl: String,
    license: Option<License>,
    sha256: Option<String>,
    /// Package URLs of what it is linked with.
    depends_on: Vec<String>,
}

/// Under which terms it comes.
enum License {
    /// An SPDX expression.
    Expression(String),
    /// Words of whoever made the list.
    Name(String),
}

/// The document.
pub(crate) fn document(inputs: &Inputs, eeprom: Option<&EepromRelease>, image: Sum) -> Result<Value, Error> {
    let mut components = Vec::new();
    if let Some(manifest) = &inputs.cargo_manifest {
        components.extend(crates::list(manifest)?);
    }
    if let Some(list) = &inputs.packages {
        components.extend(packages::list(list)?);
    }
    components.extend(eeprom.map(firmware));
    components.sort_by(|one, other| one.purl.cmp(&other.purl));
    components.dedup_by(|one, other| one.purl == other.purl);
    let version = &inputs.version;
    // Equal images have equal documents; the number is that of the image.
    let serial = uuid::Builder::from_custom_bytes(image.sha256.0[..16].try_into().unwrap_or_default()).into_uuid();
    let timestamp = moment(inputs.epoch_s).format(&Rfc3339).expect("a year of four digits has this form");
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "component": {
                "type": "firmware", "bom-ref": "lucid-pi5", "name": "lucid-pi5", "version": version,
                "hashes": [{ "alg": "SHA-256", "content": image.sha256.to_string() }],
            },
        },
        "components": components.iter().map(component).collect::<Vec<_>>(),
        "dependencies": components.iter().map(dependencies).collect::<Vec<_>>(),
    }))
}

/// The EEPROM's release, which no list of packages tells byte for byte.
fn firmware(release: &EepromRelease) -> Component {
    let (name, version) = ("pi5-eeprom".to_owned(), release.version.clone());
    let (purl, sha256) = (format!("pkg:generic/{name}@{version}"), Some(release.sha256.to_string()));
    Component { name, version, purl, license: None, sha256, depends_on: vec![] }
}

fn component(component: &Component) -> Value {
    let mut json = Map::new();
    json.insert("type".into(), "library".into());
    json.insert("bom-ref".into(), component.purl.clone().into());
    json.insert("name".into(), component.name.clone().into());
    json.insert("version".into(), component.version.clone().into());
    json.insert("purl".into(), component.purl.clone().into());
    if let Some(sha256) = &component.sha256 {
        json.insert("hashes".into(), json!([{ "alg": "SHA-256", "content": sha256 }]));
    }
    match &component.license {
        Some(License::Expression(expression)) => json.insert("licenses".into(), json!([{ "expression": expression }])),
        Some(License::Name(name)) => json.insert("licenses".into(), json!([{ "license": { "name": name } }])),
        None => None,
    };
    json.into()
}

fn dependencies(component: &Component) -> Value {
    json!({ "ref": component.purl, "dependsOn": component.depends_on })
}
