//! The first page: is all well, and if not, what needs attention.

mod device;

use axum::extract::{Query, State};
use lucid_kit::{Health, Service, ServiceReport};
use lucid_layout::boot::BootReport;
use lucid_ports::{Load, Role, Storage};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;

use super::{
    View,
    app::{App, PaymentsPlane, Shared},
    chart, format,
    guard::Member,
    layout::{self, Frame, Place, Tone, fact},
    notices, update,
};
use crate::StorageWatch;

/// Values older than this are shown as old: five periods of admin-interface.
const STALE: Duration = Duration::from_secs(10);

/// What led to a page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Arrival {
    /// What was done before; see [`layout::notice`].
    pub(super) done: Option<String>,
}

pub(super) async fn page(State(app): State<Shared>, Member(who): Member, Query(arrival): Query<Arrival>) -> Markup {
    let frame = Frame {
        title: "Overview",
        place: Place::Overview,
        live: Some("/events?view=overview".to_owned()),
        notice: notices::after(arrival.done.as_deref()),
    };
    let body = html! {
        h1.unseen { "Overview" }
        @for (id, part) in parts(&app, who.role) {
            // The parts that are read out when they change.
            div id=(id) aria-live=[matches!(id, "verdict" | "update").then_some("polite")] { (part) }
        }
    };
    layout::page(&app, &who, &frame, &body)
}

/// The parts of the page that change, as somebody of this role sees them.
pub(super) fn parts(app: &App, role: Role) -> Vec<(&'static str, Markup)> {
    let view = app.pages.view.borrow().clone();
    let temperatures = app.pages.temperatures.borrow().clone();
    vec![
        ("update", update::banner(&app.pages.updates.status()).unwrap_or_default()),
        ("verdict", verdict(app, &view)),
        ("facts", facts(app, &view)),
        ("temperature", html! { section { h2 { "Temperature" } (chart::temperature(&temperatures)) } }),
        ("health", health(&view.services, role)),
    ]
}

/// One thing that needs attention.
struct Concern {
    what: String,
    why: String,
}

/// The one line that matters.
fn verdict(app: &App, view: &View) -> Markup {
    let Some(at) = view.at else {
        return banner(Tone::Busy, "Starting", &html! { p { "Values appear in a few seconds." } });
    };
    let concerns = concerns(app, view, at.elapsed());
    let starting = view.services.iter().filter(|service| service.health == Health::Starting).count();
    match (concerns.as_slice(), starting) {
        ([], 0) => banner(Tone::Good, "All is well", &html! { p { "Every service is healthy." } }),
        ([], _) => banner(
            Tone::Busy,
            "Starting",
            &html! { p { (starting) " of " (view.services.len()) " services are starting." } },
        ),
        (concerns, _) => {
            let list =
                html! { ul { @for concern in concerns { li { strong { (concern.what) } ": " (concern.why) } } } };
            banner(Tone::Warn, "Needs attention", &list)
        }
    }
}

fn banner(tone: Tone, headline: &str, more: &Markup) -> Markup {
    html! {
        section class={ "verdict " (tone.class()) } aria-labelledby="verdict-title" {
            h2 #verdict-title { (layout::badge(tone, headline)) }
            (more)
        }
    }
}

fn concerns(app: &App, view: &View, age: Duration) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let started = app.pages.boot.problems().into_iter().chain(app.pages.notes.iter().cloned());
    concerns.extend(started.map(|why| Concern { what: "start".to_owned(), why }));
    if let PaymentsPlane::Unknown { reason } = &*app.pages.payments.borrow() {
        let why = format!("the payments plane does not answer: {reason}");
        concerns.push(Concern { what: "payments".to_owned(), why });
    }
    if age > STALE {
        let why = format!("these values are {} old, because admin-interface does not run", format::duration(age));
        concerns.push(Concern { what: "dashboard".to_owned(), why });
    }
    for service in &view.services {
        if let Some(reason) = service.health.reason() {
            concerns.push(Concern { what: service.spec.name.to_owned(), why: reason.to_owned() });
        }
    }
    match &view.device {
        Some(Ok(snapshot)) => concerns.extend(
            snapshot.failures().into_iter().map(|failure| Concern { what: failure.field, why: failure.reason }),
        ),
        Some(Err(error)) => concerns.push(Concern { what: "device".to_owned(), why: error.clone() }),
        None => {}
    }
    concerns
}

fn health(services: &[ServiceReport], role: Role) -> Markup {
    html! {
        section aria-labelledby="health-title" {
            h2 #health-title { "Services" }
            ul.health {
                @for service in services {
                    li {
                        span.name {
                            @if role >= Role::Developer {
                                a href={ "/services/" (service.spec.name) } { (service.spec.name) }
                            } @else {
                                (service.spec.name)
                            }
                        }
                        (service_badge(service))
                        p { (service.health.reason().unwrap_or(service.spec.purpose)) }
                    }
                }
            }
        }
    }
}

/// The health of a service in one word.
pub(super) fn service_badge(service: &ServiceReport) -> Markup {
    let tone = match service.health {
        Health::Healthy => Tone::Good,
        Health::Starting => Tone::Busy,
        Health::Waiting { .. } | Health::Degraded { .. } => Tone::Warn,
        Health::Unhealthy { .. } => Tone::Bad,
    };
    layout::badge(tone, service.health.word())
}

fn facts(app: &App, view: &View) -> Markup {
    let storage = app.pages.storage.borrow().clone();
    let load = *app.pages.load.borrow();
    html! {
        section aria-labelledby="facts-title" {
            h2 #facts-title { "The appliance" }
            dl.facts.tiles {
                (fact("Data disk", &disk(&storage, view)))
                (fact("Chain", &chain(view)))
                @if let Some(Ok(snapshot)) = &view.device { (device::tiles(snapshot)) }
            }
            dl.rows {
                (fact("Load", &html! { (load_word(load)) }))
                (started(app))
                @match &view.device {
                    Some(Ok(snapshot)) => { (device::rows(snapshot)) }
                    Some(Err(error)) => { (fact("Device", &html! { "not known: " (error) })) }
                    None => { (fact("Device", &html! { "not read yet" })) }
                }
            }
        }
    }
}

/// What only an appliance has: its system, and the payments plane.
fn started(app: &App) -> Markup {
    let payments = match &*app.pages.payments.borrow() {
        PaymentsPlane::NotHere => None,
        PaymentsPlane::Idle { version } => Some(html! { "idle (not yet in use)" p.muted { "Release " (version) } }),
        PaymentsPlane::Unknown { .. } => Some(html! { (layout::badge(Tone::Warn, "does not answer")) }),
    };
    html! {
        @if let Some(report) = app.pages.boot.report() { (fact("System", &system(report))) }
        @if let Some(payments) = payments { (fact("Payments", &payments)) }
    }
}

fn system(report: &BootReport) -> Markup {
    let slot = report.slot.map_or("not known".to_owned(), |slot| slot.letter().to_ascii_uppercase().to_string());
    html! {
        "slot " (slot) @if report.trial { ", on trial" }
        @if report.first_boot { p.muted { "This is its first start." } }
        p.muted { @if report.provisioned { "The provisioning is used up." } @else { "No provisioning was used." } }
    }
}

fn load_word(load: Load) -> &'static str {
    match load {
        Load::Full => "everything may run",
        Load::NoReprocessing => "reprocessing waits",
        Load::RecordingOnly => "recording only",
    }
}

fn chain(view: &View) -> Markup {
    html! {
        @match &view.head {
            Some(head) => {
                a href={ "/blocks/" (head.height) } { "Block " (head.height) }
                p.muted { (head.anchors) " recordings anchored, " (head.mempool) " waiting" }
            }
            None => { "does not run" }
        }
    }
}

fn disk(storage: &Storage, view: &View) -> Markup {
    let (free_bytes, is_low) = match storage {
        Storage::Waiting { reason } => return html! { (layout::badge(Tone::Warn, "waiting")) p.muted { (reason) } },
        Storage::Ready { free_bytes, low, .. } => (*free_bytes, *low),
    };
    // Said by the one that looked at the same filesystem: the device's own account of the drive may be simulated.
    let watch = view.services.iter().find(|service| service.spec.name == StorageWatch::NAME);
    let size_bytes = watch.and_then(|watch| watch.status.get("size_bytes")?.as_u64());
    html! {
        (format::bytes(free_bytes)) " free"
        @if let Some(size_bytes) = size_bytes.filter(|size_bytes| *size_bytes > 0) {
            span.muted { " of " (format::bytes(size_bytes)) }
            meter min="0" max=(size_bytes) value=(size_bytes.saturating_sub(free_bytes)) aria-label="Data disk in use" {}
        }
        @if is_low {
            p { (layout::badge(Tone::Warn, "nearly full")) " Nothing new is recorded: " a href="/sessions" { "delete sessions" } "." }
        }
    }
}
