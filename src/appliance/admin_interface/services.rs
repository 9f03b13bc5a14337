//! Services: state, log, restart, log level.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use lucid_http::ConnectionInfo;
use lucid_kit::{Life, ServiceReport};
use lucid_observe::{Level, Line};
use lucid_ports::{Identity, Role};
use maud::{Markup, html};
use std::time::Duration;

use super::{
    app::{App, Shared},
    fields::Fields,
    format,
    guard::{Admin, Developer},
    layout::{self, Frame, Place, Tone, fact},
    logs::LEVELS,
    notices,
    overview::{Arrival, service_badge},
    refusal::Refusal,
};

/// The part of a service's page that says how it is.
const STATE: &str = "service";
/// Lines shown of a log: a page that scrolls, and what the stream sends again when one is added.
const LINES_MAX: usize = 100;

pub(super) async fn list(State(app): State<Shared>, Developer(who): Developer) -> Markup {
    let frame = Frame {
        title: "Services",
        place: Place::Services,
        live: Some("/events?view=services".to_owned()),
        notice: None,
    };
    let body = html! {
        h1 { "Services" }
        @for (id, part) in list_parts(&app) { (layout::live(id, &part)) }
    };
    layout::page(&app, &who, &frame, &body)
}

/// The parts of the list that change.
pub(super) fn list_parts(app: &App) -> Vec<(&'static str, Markup)> {
    let view = app.pages.view.borrow().clone();
    let rows = html! { @for service in &view.services { (row(service)) } };
    let columns = ["Service", "Health", "Life", "Restarts", "Slow events"];
    vec![("services", layout::table("All services", &columns, &rows))]
}

fn row(service: &ServiceReport) -> Markup {
    html! {
        tr {
            th.text scope="row" {
                a href={ "/services/" (service.spec.name) } { (service.spec.name) }
                p.muted { (service.health.reason().unwrap_or(service.spec.purpose)) }
            }
            td { (service_badge(service)) }
            td { (life(service)) }
            td { (service.restarts) }
            td { (service.slow_events) }
        }
    }
}

/// Where it is in its life, and for how long.
fn life(service: &ServiceReport) -> String {
    format!("{} for {}", life_word(&service.life), format::duration(Duration::from_secs(service.since_s)))
}

fn life_word(life: &Life) -> &'static str {
    match life {
        Life::Waiting { .. } => "waiting",
        Life::Starting => "starting",
        Life::Running => "running",
        Life::Stuck { .. } => "stuck",
        Life::Backoff { .. } => "failed, waiting for its next start",
        Life::Stopping => "stopping",
        Life::Stopped => "stopped",
    }
}

pub(super) async fn one(
    State(app): State<Shared>,
    Developer(who): Developer,
    Path(name): Path<String>,
    Query(arrival): Query<Arrival>,
) -> Result<Markup, Refusal> {
    let parts = one_parts(&app, &name).ok_or_else(|| unknown(&name))?;
    let frame = Frame {
        title: &name,
        place: Place::Services,
        live: Some(format!("/events?view=service&of={}", format::query_value(&name))),
        notice: notices::after(arrival.done.as_deref()),
    };
    let body = html! {
        p.crumb { a href="/services" { "All services" } }
        h1 { (name) }
        @for (id, part) in parts {
            (layout::live(id, &part))
            @if id == STATE && who.role >= Role::Admin { (controls(&app, &who, &name)) }
        }
    };
    Ok(layout::page(&app, &who, &frame, &body))
}

fn unknown(name: &str) -> Refusal {
    Refusal::not_found(format!("There is no service `{name}`."))
}

/// The parts of one service's page that change; nothing where there is no such service.
pub(super) fn one_parts(app: &App, name: &str) -> Option<Vec<(&'static str, Markup)>> {
    let report = app.pages.board.report(name)?;
    let lines = app.pages.logs.recent(name, LINES_MAX);
    Some(vec![(STATE, state(&report)), ("log", log(&lines))])
}

fn state(service: &ServiceReport) -> Markup {
    let status = serde_json::to_string_pretty(&service.status).unwrap_or_else(|error| error.to_string());
    html! {
        p.lead { (service.spec.purpose) }
        @if let Some(reason) = service.health.reason() { p.notice.warn { (reason) } }
        dl.facts.tiles {
            (fact("Health", &service_badge(service)))
            (fact("Life", &html! { (life(service)) }))
            (fact("Restarts", &html! { (service.restarts) }))
            (fact("Slow events", &html! { (service.slow_events) }))
        }
        dl.rows {
            (fact("Requests waiting", &html! { (service.queued) }))
            (fact("Critical", &html! { @if service.spec.critical { "yes" } @else { "no" } }))
            (fact("Needs", &html! {
                @if service.spec.needs.is_empty() { "no other service" } @else { (service.spec.needs.join(", ")) }
            }))
            (fact("Data disk", &html! { @if service.spec.storage { "needs it" } @else { "does not need it" } }))
        }
        details #service-status { summary { "Status" } pre tabindex="0" { (status) } }
    }
}

fn log(lines: &[Line]) -> Markup {
    html! {
        section aria-labelledby="log-title" {
            h2 #log-title { "Log" }
            @if lines.is_empty() { p.muted { "Nothing was logged since the start." } }
            @else {
                ol.log role="list" tabindex="0" aria-label="Newest lines first" { @for line in lines.iter().rev() { (log_line(line)) } }
            }
        }
    }
}

/// One line. Whatever it holds is text: the template escapes it, and `bdi` keeps it from turning its neighbours around.
fn log_line(line: &Line) -> Markup {
    html! {
        li {
            time datetime=(line.time) { (line.time.get(11..19).unwrap_or(&line.time)) }
            " "
            @match line.level {
                Level::Error => { (layout::badge(Tone::Bad, "error")) }
                Level::Warn => { (layout::badge(Tone::Warn, "warn")) }
                Level::Info => { span.muted { "info" } }
                Level::Debug => { span.muted { "debug" } }
                Level::Trace => { span.muted { "trace" } }
            }
            " "
            bdi.message { (line.message) }
            @for (name, value) in &line.fields { " " code { bdi { (name) "=" (value) } } }
        }
    }
}

fn controls(app: &App, who: &Identity, name: &str) -> Markup {
    let chosen = app.pages.logs.level(name);
    html! {
        div.controls {
            form method="post" action={ "/services/" (name) "/level" } {
                (layout::csrf(app, who))
                label for="level" { "Log level" }
                select #level name="level" {
                    @for level in LEVELS { option value=(level) selected[Some(level) == chosen] { (level) } }
                }
                button type="submit" { "Set" }
            }
            form method="post" action={ "/services/" (name) "/restart" } {
                (layout::csrf(app, who))
                button.warn type="submit" { "Restart this service" }
            }
        }
    }
}

pub(super) async fn restart(
    State(app): State<Shared>,
    Admin(who): Admin,
    Path(name): Path<String>,
    connection: ConnectionInfo,
    _fields: Fields,
) -> Result<Response, Refusal> {
    app.pages.board.restart(&name).map_err(|_| unknown(&name))?;
    app.note(&who, connection.peer.ip(), "restart", format!("service `{name}`")).await;
    Ok(Redirect::to(&format!("/services/{name}?done=restarted")).into_response())
}

pub(super) async fn set_level(
    State(app): State<Shared>,
    Admin(who): Admin,
    Path(name): Path<String>,
    connection: ConnectionInfo,
    fields: Fields,
) -> Result<Response, Refusal> {
    app.pages.board.health(&name).ok_or_else(|| unknown(&name))?;
    let wanted = fields.text("level");
    let level = LEVELS.into_iter().find(|level| level.to_string() == wanted);
    let level = level.ok_or_else(|| Refusal::bad_request("There is no such log level."))?;
    app.pages.logs.set_level(&name, level);
    app.note(&who, connection.peer.ip(), "log-level", format!("service `{name}`: {level}")).await;
    Ok(Redirect::to(&format!("/services/{name}?done=level")).into_response())
}
