//! Writes the settings for people: docs/configuration.md from the table, and the values in force.
//!
//! Pure text. Must never contain a value that is not in the table of settings.

use super::Settings;
use super::keys::KEYS;
use super::kind::Key;
use super::obsolete::OBSOLETE;

const HEAD: &str = "# Configuration

<!-- Written from the table in src/lucid/config/keys.rs. Change it there, then run:
     LUCID_BLESS=1 cargo nextest run -p lucid config -->

One TOML file, the owner's over it, and environment variables. The file is read from where `--config` says, on the
appliance `/etc/lucid/lucid.toml`, which is read-only; the owner's is `lucid.toml` in the state directory, on the
appliance `/state/lucid/lucid.toml`. Every key has a default, so both may be empty or absent. The owner's file wins over
the first, and may set everything but `state_dir`; a variable wins over both; an empty variable counts as not set.
Everything is checked before anything starts, and all errors are reported at once, each with its file and line or its
variable. Errors in the owner's file alone keep nothing from starting, so that the box can be reached to mend them: then
the whole of that file has no effect, and the dashboard says why. `lucid config check` only checks; `lucid config show`
prints the values in force and where each comes from.

No secret is a setting: secrets are made on the first start and lie in the state directory.
";

const OBSOLETE_HEAD: &str = "
## Variables of the original system that are not used any more

They do no harm; each is named with its successor when the box starts.

| variable | instead |
|---|---|
";

/// docs/configuration.md.
pub(crate) fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut section = None;
    for key in KEYS {
        if section != Some(section_of(key)) {
            section = Some(section_of(key));
            text.push_str(&heading(section_of(key)));
        }
        text.push_str(&row(key));
    }
    text.push_str(OBSOLETE_HEAD);
    for (name, instead) in OBSOLETE {
        text.push_str(&format!("| `{name}` | {instead} |\n"));
    }
    text
}

fn heading(section: &str) -> String {
    let title = if section.is_empty() { "Top level".to_owned() } else { format!("`[{section}]`") };
    format!("\n## {title}\n\n| key | default | must be | variable | meaning |\n|---|---|---|---|---|\n")
}

fn row(key: &Key) -> String {
    let about = key.about();
    let variable = about.env.map(|name| format!("`{name}`")).unwrap_or_default();
    let default = key.default_value().to_toml();
    format!("| `{}` | `{default}` | {} | {variable} | {} |\n", name_of(key), key.rule(), about.doc)
}

fn section_of(key: &Key) -> &'static str {
    key.about().path.split_once('.').map(|(section, _)| section).unwrap_or_default()
}

fn name_of(key: &Key) -> &'static str {
    key.about().path.split_once('.').map_or(key.about().path, |(_, name)| name)
}

/// The values in force as a TOML file, each with its origin as a comment. Reading it back gives the same settings.
pub(crate) fn in_force(settings: &Settings) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if section != section_of(key) {
            section = section_of(key);
            text.push_str(&format!("\n[{section}]\n"));
        }
        let path = key.about().path;
        text.push_str(&format!("{} = {}  # {}\n", name_of(key), settings.shown(path), settings.place(path)));
    }
    text
}
