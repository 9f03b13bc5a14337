//! Sessions: list, one, verify, download, delete by shredding.

mod render;

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use lucid_http::ConnectionInfo;
use lucid_ports::{Identity, Recording, SessionId};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    app::{App, Shared},
    fields::Fields,
    guard::Member,
    layout::{self, Frame, Place},
    notices,
    refusal::Refusal,
    verify::{self, Check},
};

/// Sessions on a page: as many as one scrolls through.
const PAGE_MAX: usize = 25;

/// Where the list begins, and what led to it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Listing {
    before: Option<String>,
    done: Option<String>,
}

pub(super) async fn list(
    State(app): State<Shared>,
    Member(who): Member,
    Query(listing): Query<Listing>,
) -> Result<Markup, Refusal> {
    let before = listing.before.as_deref().map(parse).transpose()?;
    let frame = Frame {
        title: "Sessions",
        place: Place::Sessions,
        // Older pages don't change by themselves.
        live: before.is_none().then(|| "/events?view=sessions".to_owned()),
        notice: notices::after(listing.done.as_deref()),
    };
    let table = table(&app, &who, before).await;
    let body = html! {
        h1 { "Sessions" }
        @if before.is_none() { (render::upload_form(&app, &who)) }
        (layout::live("sessions", &table))
    };
    Ok(layout::page(&app, &who, &frame, &body))
}

/// The parts of the list's first page that change.
pub(super) async fn list_parts(app: &App, who: &Identity) -> Vec<(&'static str, Markup)> {
    vec![("sessions", table(app, who, None).await)]
}

async fn table(app: &App, who: &Identity, before: Option<SessionId>) -> Markup {
    // One more than shown tells whether there is an older page.
    match app.patiently(app.pages.recordings.list(who, before, PAGE_MAX + 1)).await {
        Ok(Ok(recordings)) => render::list(&recordings, PAGE_MAX, before.is_some()),
        Ok(Err(error)) => layout::missing("The sessions", &error.to_string()),
        Err(_) => layout::missing("The sessions", "session-api does not answer"),
    }
}

fn parse(id: &str) -> Result<SessionId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found("That is not the id of a session."))
}

async fn get(app: &App, who: &Identity, id: &str) -> Result<Recording, Refusal> {
    Ok(app.patiently(app.pages.recordings.get(who, parse(id)?)).await??)
}

pub(super) async fn one(
    State(app): State<Shared>,
    Member(who): Member,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Markup, Refusal> {
    let recording = get(&app, &who, &id).await?;
    Ok(page(&app, &who, &recording, notices::after(listing.done.as_deref()), None))
}

fn page(app: &App, who: &Identity, recording: &Recording, notice: Option<&str>, checks: Option<&[Check]>) -> Markup {
    let frame = Frame {
        title: "Session",
        place: Place::Sessions,
        live: Some(format!("/events?view=session&of={}", recording.id)),
        notice,
    };
    let body = html! {
        p.crumb { a href="/sessions" { "All sessions" } }
        h1 { bdi { (render::title(recording)) } }
        @if let Some(checks) = checks { (render::checks(checks)) }
        (layout::live("session", &render::facts(recording)))
        (render::actions(app, who, recording))
    };
    layout::page(app, who, &frame, &body)
}

/// The parts of one session's page that change; nothing where it can't be read.
pub(super) async fn one_parts(app: &App, who: &Identity, id: &str) -> Option<Vec<(&'static str, Markup)>> {
    let recording = get(app, who, id).await.ok()?;
    Some(vec![("session", render::facts(&recording))])
}

/// Checks the session's anchor, on the appliance itself. The owner's own check is the exported proof.
pub(super) async fn verify(
    State(app): State<Shared>,
    Member(who): Member,
    Path(id): Path<String>,
    _fields: Fields,
) -> Result<Markup, Refusal> {
    let recording = get(&app, &who, &id).await?;
    let key = app.patiently(app.pages.chain.key()).await??;
    let evidence = app.patiently(app.pages.chain.evidence(recording.id, &[])).await??;
    let checks = verify::check(&recording, evidence.as_ref(), &key);
    Ok(page(&app, &who, &recording, None, Some(&checks)))
}

pub(super) async fn confirm_delete(
    State(app): State<Shared>,
    Member(who): Member,
    Path(id): Path<String>,
) -> Result<Markup, Refusal> {
    let recording = get(&app, &who, &id).await?;
    let frame = Frame { title: "Delete a session", place: Place::Sessions, live: None, notice: None };
    Ok(layout::page(&app, &who, &frame, &render::confirm_delete(&app, &who, &recording)))
}

pub(super) async fn delete(
    State(app): State<Shared>,
    Member(who): Member,
    Path(id): Path<String>,
    connection: ConnectionInfo,
    _fields: Fields,
) -> Result<Response, Refusal> {
    let id = parse(&id)?;
    // Shredding re-wraps every other key first: it takes its time, and giving up here would not stop it.
    app.pages.recordings.delete(&who, id).await?;
    app.note(&who, connection.peer.ip(), "session-delete", format!("session {id}")).await;
    Ok(Redirect::to("/sessions?done=deleted").into_response())
}

/// To the recorded bytes. By way of this page, which renews the log-in where it has run out.
pub(super) async fn content(Member(_who): Member, Path(id): Path<String>) -> Result<Redirect, Refusal> {
    Ok(Redirect::to(&format!("/api/sessions/{}/content", parse(&id)?)))
}

/// To the export for offline verification.
pub(super) async fn export(Member(_who): Member, Path(id): Path<String>) -> Result<Redirect, Refusal> {
    Ok(Redirect::to(&format!("/api/sessions/{}/export", parse(&id)?)))
}
