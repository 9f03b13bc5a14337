//! The first page: is all well, and if not, what needs attention.

use axum::extract::{Query, State};
use lucid_device::{Reading, Snapshot};
use lucid_kit::{Health, Service, ServiceReport};
use lucid_ports::{Load, Storage};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;

use super::{
    View,
    app::{App, Shared},
    chart, format,
    guard::Member,
    layout::{self, Frame, Place, Tone},
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
        notice: layout::notice(arrival.done.as_deref()),
    };
    let body = html! {
        h1.unseen { "Overview" }
        @for (id, part) in parts(&app) {
            // The one part that is read out when it changes.
            div id=(id) aria-live=[(id == "verdict").then_some("polite")] { (part) }
        }
    };
    layout::page(&app, &who, &frame, &body)
}

/// The parts of the page that change.
pub(super) fn parts(app: &App) -> Vec<(&'static str, Markup)> {
    let view = app.pages.view.borrow().clone();
    let temperatures = app.pages.temperatures.borrow().clone();
    vec![
        ("verdict", verdict(&view)),
        ("facts", facts(app, &view)),
        ("temperature", html! { section { h2 { "Temperature" } (chart::temperature(&temperatures)) } }),
        ("health", health(&view.services)),
    ]
}

/// One thing that needs attention.
struct Concern {
    what: String,
    why: String,
}

/// The one line that matters.
fn verdict(view: &View) -> Markup {
    let Some(at) = view.at else {
        return banner(Tone::Busy, "Starting", &html! { p { "Values appear in a few seconds." } });
    };
    let concerns = concerns(view, at.elapsed());
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

fn concerns(view: &View, age: Duration) -> Vec<Concern> {
    let mut concerns = Vec::new();
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

fn health(services: &[ServiceReport]) -> Markup {
    html! {
        section aria-labelledby="health-title" {
            h2 #health-title { "Services" }
            ul.health {
                @for service in services {
                    li {
                        span.name { (service.spec.name) }
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
            dl.facts {
                (fact("Data disk", &disk(&storage, view)))
                (fact("Chain", &chain(view)))
                (fact("Load", &html! { (load_word(load)) }))
                @match &view.device {
                    Some(Ok(snapshot)) => { (device_facts(snapshot)) }
                    Some(Err(error)) => { (fact("Device", &html! { "not known: " (error) })) }
                    None => { (fact("Device", &html! { "not read yet" })) }
                }
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div.fact { dt { (name) } dd { (value) } } }
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
            " of " (format::bytes(size_bytes))
            meter min="0" max=(size_bytes) value=(size_bytes.saturating_sub(free_bytes)) aria-label="Data disk in use" {}
        }
        @if is_low { p { (layout::badge(Tone::Warn, "nearly full")) " nothing new is recorded" } }
    }
}

fn device_facts(snapshot: &Snapshot) -> Markup {
    let memory = snapshot.memory.clone().map(|memory| {
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        html! {
            (format::bytes(used)) " of " (format::bytes(memory.total_bytes))
            meter min="0" max=(memory.total_bytes) value=(used) aria-label="Memory in use" {}
        }
    });
    let usage =
        snapshot.cpu.usage_permille.clone().map(|permille| html! { (format::percent(u64::from(permille))) " busy" });
    let uptime = snapshot.board.uptime_ms.clone().map(|ms| html! { (format::duration(Duration::from_millis(ms))) });
    html! {
        (fact("Temperature", &reading(&zones(snapshot))))
        (fact("Fan", &reading(&fan(snapshot))))
        (fact("Power", &reading(&power(snapshot))))
        (fact("Memory", &reading(&memory)))
        (fact("Processor", &reading(&usage)))
        (fact("Uptime", &reading(&uptime)))
        (fact("Board", &reading(&snapshot.board.model.clone().map(|model| html! { bdi { (model) } }))))
        (fact("Drive", &reading(&drive(snapshot))))
    }
}

/// The value, or why there is none.
fn reading(reading: &Reading<Markup>) -> Markup {
    html! {
        @match reading {
            Reading::Present(value) => { (value) }
            Reading::Absent { reason } => { span.muted { "not known: " (reason) } }
            Reading::Failed { reason } => { (layout::badge(Tone::Bad, "failed")) p.muted { (reason) } }
        }
    }
}

fn zones(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.thermal_zones.clone().map(|zones| {
        html! {
            @for zone in &zones {
                span.zone {
                    (reading(&zone.temperature_mc.clone().map(|mc| html! { (format::temperature(mc)) })))
                    " " span.muted { bdi { (zone.name) } }
                }
            }
        }
    })
}

fn fan(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.fan.clone().map(|fan| {
        let is_stalled = fan.is_stalled() == Some(true);
        html! {
            (reading(&fan.rpm.clone().map(|rpm| html! { (rpm) " rpm" })))
            @if is_stalled { " " (layout::badge(Tone::Warn, "stands still")) }
        }
    })
}

fn power(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.power.clone().and_then(|power| {
        power.undervoltage_now.map(|is_low| {
            let (tone, word) = if is_low { (Tone::Warn, "voltage too low") } else { (Tone::Good, "voltage is right") };
            let was_low = power.undervoltage_since_boot.present() == Some(&true);
            html! {
                (layout::badge(tone, word))
                @if was_low && !is_low { p.muted { "It was too low since the start." } }
            }
        })
    })
}

fn drive(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.ssd.disk.clone().map(|disk| {
        html! {
            bdi { (disk.model.present().map_or(disk.name.as_str(), String::as_str)) }
            @if let Some(smart) = disk.smart.present() {
                p.muted { (smart.used_percent) " % worn, " (smart.power_on_hours) " hours, " (smart.media_errors) " errors" }
                @if smart.critical_warning != 0 { p { (layout::badge(Tone::Bad, "the drive warns of its end")) } }
            }
        }
    })
}
