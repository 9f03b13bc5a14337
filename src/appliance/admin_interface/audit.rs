//! The audit log, for administrators.

use axum::extract::State;
use lucid_ports::AuditEntry;
use maud::{Markup, html};

use super::{
    app::Shared,
    format,
    guard::Admin,
    layout::{self, Frame, Place},
};

/// Lines shown. More are to be had through the API.
const ENTRIES_MAX: usize = 200;

pub(super) async fn page(State(app): State<Shared>, Admin(who): Admin) -> Markup {
    let entries = app.patiently(app.pages.accounts.audit(ENTRIES_MAX)).await;
    let frame = Frame { title: "Audit", place: Place::Audit, live: None, notice: None };
    let body = html! {
        h1 { "Audit" }
        @match entries {
            Ok(Ok(entries)) => { (table(&entries)) }
            Ok(Err(error)) => { (layout::missing("The audit log", &error.to_string())) }
            Err(_) => { (layout::missing("The audit log", "auth-service does not answer")) }
        }
    };
    layout::page(&app, &who, &frame, &body)
}

fn table(entries: &[AuditEntry]) -> Markup {
    let rows = html! {
        @for entry in entries {
            tr {
                td { (format::time(entry.at_ms)) }
                td { @if entry.user.is_empty() { "nobody" } @else { bdi { (entry.user) } } }
                td { @if entry.peer.is_empty() { "this appliance" } @else { bdi { (entry.peer) } } }
                td { bdi { (entry.action) } }
                td.text { bdi { (entry.detail) } }
            }
        }
    };
    layout::table("Newest entries first", &["When", "Who", "From", "What", "Detail"], &rows)
}
