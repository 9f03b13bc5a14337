//! The box as a whole: how it started, restarting it, and switching it off.

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use lucid_agent_protocol::{Reason, Request};
use lucid_http::ConnectionInfo;
use lucid_ports::Identity;
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    fields::Fields,
    guard::Admin,
    layout::{self, Frame, Place, fact},
    notices,
    orders::{NotDone, Order, carry_out, password_field},
    overview::Arrival,
};
use crate::agent_link::AgentView;

pub(super) async fn page(State(app): State<Shared>, Admin(who): Admin, Query(arrival): Query<Arrival>) -> Markup {
    render(&app, &who, None, notices::after(arrival.done.as_deref()))
}

fn render(app: &App, who: &Identity, not_done: Option<&NotDone>, notice: Option<&str>) -> Markup {
    let frame = Frame { title: "System", place: Place::System, live: None, notice };
    let agent = app.pages.agent_view.borrow().clone();
    let body = html! {
        h1 { "System" }
        @if let Some(not_done) = not_done { (not_done.alert()) }
        (started(app))
        @match agent {
            AgentView::Absent => {
                p.muted { "This machine has no agent, so it can't be restarted from here." }
            }
            AgentView::Unreachable { reason } => { (layout::missing("Restarting", &reason)) }
            AgentView::Known(_) => { div.panels { (restart_panel(app, who)) (power_off_panel(app, who)) } }
        }
    };
    layout::page(app, who, &frame, &body)
}

fn started(app: &App) -> Markup {
    let Some(report) = app.pages.boot.report() else {
        return html! { p.muted { "There is no report of the start: this is not an appliance, or see the overview." } };
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
    let slot = report.slot.map_or("not known".to_owned(), |slot| slot.letter().to_ascii_uppercase().to_string());
    html! {
        section aria-labelledby="start-title" {
            h2 #start-title { "This start" }
            dl.rows {
                (fact("Slot", &html! { (slot) @if report.trial { " (on trial)" } }))
                (fact("Name", &html! { bdi { (known(&report.host_name)) } }))
                (fact("Serial number", &html! { bdi { (known(&report.serial)) } }))
                (fact("Started from", &html! { bdi { (known(&report.boot_disk)) } }))
            }
            @if let Some(settings) = &report.eeprom_settings {
                details { summary { "Settings of the board's EEPROM" } pre tabindex="0" { (settings) } }
            }
            @if !report.problems.is_empty() { ul { @for problem in &report.problems { li { (problem.text) } } } }
        }
    }
}

fn restart_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="restart-title" {
            h2 #restart-title { "Restart" }
            p { "Recordings that run are paused, and go on afterwards. It takes about a minute." }
            form method="post" action="/system/restart" {
                (layout::csrf(app, who))
                (password_field("restart-password"))
                button.warn type="submit" { "Restart the appliance" }
            }
        }
    }
}

fn power_off_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="off-title" {
            h2 #off-title { "Switch off" }
            p { "Nothing is recorded until somebody at the appliance switches it on again." }
            form method="post" action="/system/power-off" {
                (layout::csrf(app, who))
                (password_field("off-password"))
                button.danger type="submit" { "Switch the appliance off" }
            }
        }
    }
}

pub(super) async fn restart(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    fields: Fields,
) -> Response {
    order(&app, &who, &connection, fields, "restart", |reason| Request::Reboot { reason }).await
}

pub(super) async fn power_off(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    fields: Fields,
) -> Response {
    order(&app, &who, &connection, fields, "power off", |reason| Request::PowerOff { reason }).await
}

async fn order(
    app: &App,
    who: &Identity,
    connection: &ConnectionInfo,
    mut fields: Fields,
    action: &'static str,
    request: impl FnOnce(Reason) -> Request,
) -> Response {
    let reason: Reason = format!("asked for by {} on the dashboard", who.user)
        .parse()
        .expect("account names are short, of letters, digits and three signs");
    let order = Order { request: request(reason), action, detail: "the appliance".to_owned() };
    match carry_out(app, who, connection, fields.secret("password"), order).await {
        Ok(()) => Redirect::to(if action == "restart" { "/system?done=restarting" } else { "/system?done=off" })
            .into_response(),
        Err(not_done) => not_done.shown(render(app, who, Some(&not_done), None)),
    }
}
