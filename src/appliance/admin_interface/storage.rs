//! The data disk and the other disks, as the agent sees them; adopting, mounting and detaching.

use std::time::Duration;

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use lucid_agent_protocol::{Adoption, Content, Disk, DiskId, Reply, Request, SsdReport, SsdState};
use lucid_device::Reading;
use lucid_http::ConnectionInfo;
use lucid_ports::{Identity, Role};
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    fields::Fields,
    format,
    guard::{Admin, Developer},
    layout::{self, Frame, Place, Tone, fact},
    notices,
    orders::{NotDone, Order, carry_out, password_field},
    overview::Arrival,
    takeover,
};
use crate::agent_link::{AgentError, AgentView, doing};

/// Looking at all disks reads a little of each. A person waits that long for a list of hardware.
const LIST_MAX: Duration = Duration::from_secs(5);

pub(super) async fn page(
    State(app): State<Shared>,
    Developer(who): Developer,
    Query(arrival): Query<Arrival>,
) -> Markup {
    render(&app, &who, None, notices::after(arrival.done.as_deref())).await
}

pub(super) async fn render(app: &App, who: &Identity, not_done: Option<&NotDone>, notice: Option<&str>) -> Markup {
    let frame = Frame { title: "Storage", place: Place::Storage, live: None, notice };
    let agent = app.pages.agent_view.borrow().clone();
    let body = html! {
        h1 { "Storage" }
        @if let Some(not_done) = not_done { (not_done.alert()) }
        (takeover::panel(app, who).await)
        @match agent {
            AgentView::Absent => {
                p.muted { "This machine has no agent: the data directory is one of its own, and its disks are its own affair." }
            }
            AgentView::Unreachable { reason } => { (layout::missing("The disks", &reason)) }
            AgentView::Known(status) => {
                (data_disk(app, who, &status.ssd))
                (disks(app, who).await)
            }
        }
    };
    layout::page(app, who, &frame, &body)
}

fn data_disk(app: &App, who: &Identity, ssd: &SsdReport) -> Markup {
    html! {
        section aria-labelledby="data-title" {
            h2 #data-title { "Data disk" }
            p { (state(&ssd.state)) }
            @if let Some(reason) = &ssd.reason { p { (format::sentence(reason)) } }
            dl.rows {
                @if let Some(adopted) = &ssd.adopted {
                    (fact("Disk", &html! { bdi { (adopted.model.as_deref().unwrap_or("model not known")) } " " bdi { (adopted.disk.as_str()) } }))
                }
                @if let Some(mount) = &ssd.mount {
                    (fact("Mounted from", &html! { bdi { (mount.device) } }))
                    (fact("Free", &bytes(&mount.free_bytes)))
                    (fact("Size", &bytes(&mount.size_bytes)))
                    (fact("Errors of the filesystem", &told(&mount.errors)))
                }
                @if let Some(check) = &ssd.check { (fact("Last check", &html! { pre { (check.said) } })) }
            }
            @if who.role >= Role::Admin { (data_disk_forms(app, who, &ssd.state)) }
        }
    }
}

fn state(state: &SsdState) -> Markup {
    match state {
        SsdState::Mounted => layout::badge(Tone::Good, "in use"),
        SsdState::Working { work, for_s } => {
            html! { (layout::badge(Tone::Busy, "busy")) " It is being " (doing(*work)) ", for " (for_s) " s so far." }
        }
        SsdState::NotAdopted => layout::badge(Tone::Warn, "none adopted"),
        SsdState::Absent => layout::badge(Tone::Warn, "not connected"),
        SsdState::Detached => layout::badge(Tone::Warn, "detached"),
        SsdState::ReadOnly => layout::badge(Tone::Bad, "read-only"),
        SsdState::Failed => layout::badge(Tone::Bad, "failed"),
    }
}

fn bytes(reading: &Reading<u64>) -> Markup {
    told(&reading.clone().map(format::bytes))
}

fn told<T: std::fmt::Display>(reading: &Reading<T>) -> Markup {
    match reading {
        Reading::Present(value) => html! { (value) },
        Reading::Absent { reason } | Reading::Failed { reason } => html! { span.muted { "not known: " (reason) } },
    }
}

fn data_disk_forms(app: &App, who: &Identity, state: &SsdState) -> Markup {
    let form = |path: &str, id: &str, word: &str| {
        html! {
            form.panel method="post" action=(path) {
                (layout::csrf(app, who))
                (password_field(id))
                button type="submit" { (word) }
            }
        }
    };
    match state {
        SsdState::Mounted | SsdState::ReadOnly => form("/storage/detach", "detach-password", "Detach, to unplug it"),
        SsdState::Detached | SsdState::Failed => form("/storage/mount", "mount-password", "Mount it again"),
        SsdState::NotAdopted | SsdState::Absent | SsdState::Working { .. } => html! {},
    }
}

async fn disks(app: &App, who: &Identity) -> Markup {
    let listed = match app.pages.agent.ask(Request::Disks {}, LIST_MAX).await {
        Ok(Reply::Disks { disks, omitted }) => Ok((disks, omitted)),
        Ok(_) => Err(AgentError::Unfit),
        Err(error) => Err(error),
    };
    let (disks, omitted) = match listed {
        Ok(listed) => listed,
        Err(error) => return layout::missing("The disks", &error.to_string()),
    };
    let mut rows = Vec::new();
    for (index, disk) in disks.iter().enumerate() {
        rows.push(row(app, who, index, disk).await);
    }
    html! {
        section aria-labelledby="disks-title" {
            h2 #disks-title { "All disks" }
            @if disks.is_empty() { p { "No disk is connected that the appliance could use." } }
            @for row in rows { (row) }
            @if omitted > 0 { p.muted { "and " (omitted) " more" } }
        }
    }
}

async fn row(app: &App, who: &Identity, index: usize, disk: &Disk) -> Markup {
    let drive = &disk.drive;
    let smart = if disk.adoption == Adoption::Adopted { smart(app, disk).await } else { None };
    let partitions = disk.partitions.iter().map(|part| (part.name.as_str(), part.size_bytes, content(&part.content)));
    html! {
        article.panel {
            h3 { bdi { (drive.model.present().map_or(drive.name.as_str(), String::as_str)) } }
            dl.rows {
                (fact("Serial number", &html! { bdi { (disk.id.as_str()) } }))
                (fact("Size", &bytes(&drive.size_bytes)))
                (fact("What is on it", &html! { (content(&disk.content)) }))
                @for (name, size_bytes, content) in partitions {
                    (fact(&format!("Part {name}"), &html! { (format::bytes(size_bytes)) ", " (content) }))
                }
                @if let Some(smart) = smart { (fact("Its own account of its health", &smart)) }
            }
            @if disk.system { p.muted { "The appliance itself runs from this disk." } }
            (adoption(app, who, index, disk))
        }
    }
}

async fn smart(app: &App, disk: &Disk) -> Option<Markup> {
    let asked = app.pages.agent.ask(Request::Smart { disk: disk.id.clone() }, LIST_MAX).await;
    Some(match asked {
        Ok(Reply::Smart { smart: Reading::Present(smart) }) => html! {
            (smart.used_percent) " % worn, " (smart.available_spare_percent) " % spare, " (smart.power_on_hours) " hours, "
            (smart.media_errors) " errors"
            @if smart.critical_warning != 0 { p { (layout::badge(Tone::Bad, "the drive warns of its end")) } }
        },
        Ok(Reply::Smart { smart: Reading::Absent { reason } | Reading::Failed { reason } }) => {
            html! { span.muted { "not known: " (reason) } }
        }
        Ok(_) => return None,
        Err(error) => html! { span.muted { "not known: " (error) } },
    })
}

fn content(content: &Content) -> String {
    match content {
        Content::Empty => "nothing".to_owned(),
        Content::Unknown => "something that can't be told, maybe encrypted".to_owned(),
        Content::Signature { kind, label, .. } => match label {
            Some(label) => format!("{kind}, named “{label}”"),
            None => kind.clone(),
        },
        Content::PartitionTable { kind, .. } => format!("parts ({kind})"),
        Content::Ambiguous => "signatures that contradict each other".to_owned(),
        Content::Unreadable { reason } => format!("it can't be read: {reason}"),
    }
}

fn adoption(app: &App, who: &Identity, index: usize, disk: &Disk) -> Markup {
    let (warning, typed) = match &disk.adoption {
        Adoption::Adopted => return html! { p { (layout::badge(Tone::Good, "the data disk")) } },
        Adoption::Refused { reason } => return html! { p.muted { (format::sentence(reason)) } },
        _ if who.role < Role::Admin => return html! {},
        Adoption::AsItIs => ("It holds a filesystem of a Lucid appliance, which is used as it is.", false),
        Adoption::Formats => ("It is formatted for that: everything on it is lost.", true),
    };
    let (typed_id, password_id) = (format!("typed-{index}"), format!("adopt-password-{index}"));
    html! {
        form method="post" action="/storage/adopt" {
            (layout::csrf(app, who))
            input type="hidden" name="disk" value=(disk.id.as_str());
            p { (warning) }
            @if typed {
                label for=(typed_id) { "Type its serial number to confirm" }
                input id=(typed_id) name="confirmation" autocomplete="off" spellcheck="false" required maxlength="64";
            }
            (password_field(&password_id))
            button.warn type="submit" { "Make it the data disk" }
        }
    }
}

pub(super) async fn adopt(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let outcome = async {
        let id = |name: &str| fields.text(name).parse::<DiskId>().map_err(|error| NotDone::Field(error.to_string()));
        let disk = id("disk")?;
        let confirmation = if fields.text("confirmation").is_empty() { None } else { Some(id("confirmation")?) };
        let detail = format!("`{disk}`{}", if confirmation.is_some() { ", to be formatted" } else { "" });
        let order = Order { request: Request::Adopt { disk, confirmation }, action: "disk adopted", detail };
        carry_out(&app, &who, &connection, fields.secret("password"), order).await
    };
    let outcome = outcome.await;
    finish(&app, &who, outcome, "adopted").await
}

pub(super) async fn detach(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let order = Order { request: Request::Detach {}, action: "disk detached", detail: "the data disk".to_owned() };
    let outcome = carry_out(&app, &who, &connection, fields.secret("password"), order).await;
    finish(&app, &who, outcome, "detached").await
}

pub(super) async fn mount(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let order = Order { request: Request::Mount {}, action: "disk mounted", detail: "the data disk".to_owned() };
    let outcome = carry_out(&app, &who, &connection, fields.secret("password"), order).await;
    finish(&app, &who, outcome, "mounted").await
}

/// Back to the page, with what came of it.
async fn finish(app: &App, who: &Identity, outcome: Result<(), NotDone>, done: &str) -> Response {
    match outcome {
        Ok(()) => Redirect::to(&format!("/storage?done={done}")).into_response(),
        Err(not_done) => not_done.shown(render(app, who, Some(&not_done), None).await),
    }
}
