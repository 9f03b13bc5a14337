//! The service table: what the box runs, in the order of its start. `lucid services` prints it; a golden file pins it.

use lucid_kit::Spec;

/// How long a service may take to stop. Its connections get 10 s of their own (lucid-http).
const STOP_GRACE_S: u64 = 10;

const fn service(
    name: &'static str,
    purpose: &'static str,
    needs: &'static [&'static str],
    critical: bool,
    storage: bool,
) -> Spec {
    Spec { name, purpose, needs, critical, storage, stop_grace_s: STOP_GRACE_S }
}

pub(crate) const STORAGE_WATCH: Spec =
    service("storage-watch", "Watches the data disk and says when it can be used.", &[], true, false);
pub(crate) const THERMAL_WATCH: Spec =
    service("thermal-watch", "Watches the temperature and sheds load before the kernel throttles.", &[], true, false);
pub(crate) const AUTH_SERVICE: Spec =
    service("auth-service", "Accounts, log-ins, tokens and the audit log.", &[], true, false);
pub(crate) const BLOCKCHAIN_ENGINE: Spec =
    service("blockchain-engine", "Makes one block every ten seconds.", &[], true, true);
pub(crate) const SESSION_ANCHORING: Spec =
    service("session-anchoring", "Puts the roots of recordings into blocks.", &["blockchain-engine"], true, true);
pub(crate) const BLOCK_MANAGER: Spec =
    service("block-manager", "Reads, proves and validates the chain.", &["blockchain-engine"], false, true);
pub(crate) const SESSION_STORAGE: Spec =
    service("session-storage", "Keeps recordings and their keys on the data disk.", &[], true, true);
pub(crate) const SESSION_PIPELINE: Spec = service(
    "session-pipeline",
    "Chunks, compresses, encrypts and hashes recordings.",
    &["session-storage", "session-anchoring"],
    true,
    true,
);
pub(crate) const SESSION_API: Spec = service(
    "session-api",
    "Recordings over HTTP: upload, list, read, export, delete.",
    &["session-storage", "session-anchoring"],
    true,
    true,
);
pub(crate) const ADMIN_INTERFACE: Spec = service("admin-interface", "The dashboard.", &["auth-service"], true, false);
pub(crate) const UPDATE: Spec =
    service("update", "Brings new releases to the agent, and tells it how one on trial does.", &[], true, false);

/// Every service, in the order of its start; they stop in reverse.
pub(crate) const SERVICES: &[Spec] = &[
    STORAGE_WATCH,
    THERMAL_WATCH,
    AUTH_SERVICE,
    BLOCKCHAIN_ENGINE,
    SESSION_ANCHORING,
    BLOCK_MANAGER,
    SESSION_STORAGE,
    SESSION_PIPELINE,
    SESSION_API,
    ADMIN_INTERFACE,
    UPDATE,
];

/// The table as text.
pub(crate) fn render() -> String {
    let mut text = format!("{:<18} {:<4} {:<4} {:<34} {}\n", "service", "crit", "disk", "needs", "purpose");
    for spec in SERVICES {
        let mark = |yes: bool| if yes { "yes" } else { "-" };
        let needs = if spec.needs.is_empty() { "-".to_owned() } else { spec.needs.join(", ") };
        text.push_str(&format!(
            "{:<18} {:<4} {:<4} {:<34} {}\n",
            spec.name,
            mark(spec.critical),
            mark(spec.storage),
            needs,
            spec.purpose
        ));
    }
    text
}

#[cfg(test)]
mod tests;
