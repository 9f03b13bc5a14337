//! Updates: both slots, what is under way, what became of former attempts, and the orders of an administrator.
//!
//! Promises: what is shown as kept is what the agent calls committed, and a release that was taken back is said to be
//! that on every page where somebody looks for the state of the box; what changes the system takes the password again.
//! Must never: judge a bundle, or hold more of it than a few pieces.

mod eeprom;
pub(crate) mod show;
mod take;
mod words;

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use lucid_agent_protocol::update::{Phase, UpdateReport};
use lucid_http::ConnectionInfo;
use lucid_ports::{Identity, Login, Role};
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    assets, cookies,
    fields::Fields,
    format,
    guard::{self, Admin, Developer},
    layout::{self, Frame, Place},
    login, notices,
    orders::{self, NotDone, password_field},
    overview::Arrival,
};
use crate::update::{UpdateError, UpdateStatus, UpdateUrl, When};
pub(super) use eeprom::install as install_eeprom;
pub(super) use show::banner;
pub(super) use take::take;

pub(super) async fn page(
    State(app): State<Shared>,
    Developer(who): Developer,
    Query(arrival): Query<Arrival>,
) -> Markup {
    render(&app, &who, None, notices::after(arrival.done.as_deref()))
}

fn render(app: &App, who: &Identity, not_done: Option<&NotDone>, notice: Option<&str>) -> Markup {
    let live = Some("/events?view=updates".to_owned());
    let frame = Frame { title: "Updates", place: Place::Updates, live, notice };
    let body = html! {
        h1 { "Updates" }
        @if let Some(not_done) = not_done { (not_done.alert()) }
        @for (id, part) in parts(app, who) { (layout::live(id, &part)) }
        @if who.role >= Role::Admin && app.pages.agent.is_there() {
            div.panels { (send_panel(app, who)) (pull_panel(app, who)) }
        }
    };
    layout::page(app, who, &frame, &body)
}

/// The parts of the page that change, as somebody of this role sees them. Those with fields change only where other
/// orders are possible, so that nothing is taken away from somebody who types.
pub(super) fn parts(app: &App, who: &Identity) -> Vec<(&'static str, Markup)> {
    let status = app.pages.updates.status();
    let is_admin = who.role >= Role::Admin;
    let report = status.agent.as_ref();
    let of_report = |show: fn(&UpdateReport) -> Markup| report.map(show).unwrap_or_default();
    vec![
        ("update-banner", banner(&status).unwrap_or_default()),
        ("update-agent", without_agent(app, &status)),
        (
            "update-progress",
            if report.is_some() {
                show::progress(&status)
            } else {
                html! {}
            },
        ),
        (
            "update-orders",
            report.filter(|_| is_admin).map(|report| order_panels(app, who, &status, report)).unwrap_or_default(),
        ),
        ("update-slots", of_report(show::slots)),
        ("update-channel", show::channel(&status)),
        (
            "update-check",
            if is_admin {
                check_form(app, who, &status)
            } else {
                html! {}
            },
        ),
        ("update-trust", of_report(show::trust)),
        ("update-eeprom", report.map(|report| eeprom::section(app, who, report)).unwrap_or_default()),
        ("update-history", of_report(show::history)),
    ]
}

fn without_agent(app: &App, status: &UpdateStatus) -> Markup {
    match (&status.agent, &status.agent_problem) {
        (Some(_), _) => html! {},
        (None, _) if !app.pages.agent.is_there() => {
            html! { p.muted { "This machine has no agent, so its system is not updated from here." } }
        }
        (None, Some(problem)) => layout::missing("Slots and history", problem),
        (None, None) => html! { p.muted { "The agent is being asked: values appear in a few seconds." } },
    }
}

/// What an administrator may order now.
fn order_panels(app: &App, who: &Identity, status: &UpdateStatus, report: &UpdateReport) -> Markup {
    html! {
        div.panels {
            @if let Phase::Written { incoming } = &report.phase { (install_panel(app, who, status, &incoming.version)) }
            @if matches!(report.phase, Phase::Writing { .. } | Phase::Written { .. }) { (discard_panel(app, who)) }
            @if may_restart(report) {
                (return_panel(app, who, report))
                (selftest_panel(app, who))
            }
        }
    }
}

/// Whether an order may restart the box now.
fn may_restart(report: &UpdateReport) -> bool {
    let is_idle = matches!(report.phase, Phase::Idle {} | Phase::Writing { active: false, .. } | Phase::Written { .. });
    is_idle && report.running.is_some() && !report.trial
}

fn install_panel(app: &App, who: &Identity, status: &UpdateStatus, version: &str) -> Markup {
    html! {
        section.panel aria-labelledby="install-title" {
            h2 #install-title { "Install version " bdi { (version) } }
            p { "The appliance restarts into it on trial. Only if all critical services are healthy there is it kept; \
                 otherwise what runs now runs again." }
            form method="post" action="/updates/install" {
                (layout::csrf(app, who))
                label for="install-when" { "When" }
                select #install-when name="when" {
                    option value="now" { "now: recordings are paused, and go on afterwards" }
                    option value="quiet" { "when nothing is being recorded" }
                    @if let Some(window) = &status.settings.window {
                        option value="window" { "in the window, " (window) " (" (status.settings.zone) ")" }
                    }
                }
                (password_field("install-password"))
                button.primary type="submit" { "Install it" }
            }
        }
    }
}

fn discard_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="discard-title" {
            h2 #discard-title { "Give it up" }
            p { "What was sent is thrown away. What runs stays as it is." }
            form method="post" action="/updates/discard" {
                (layout::csrf(app, who))
                button.warn type="submit" { "Discard what was sent" }
            }
        }
    }
}

fn return_panel(app: &App, who: &Identity, report: &UpdateReport) -> Markup {
    let Some(other) = report.running.map(lucid_layout::Slot::other) else { return html! {} };
    let version = words::version_in(report, other).unwrap_or("a release that is not known");
    html! {
        section.panel aria-labelledby="return-title" {
            h2 #return-title { "Return to slot " (words::slot(other)) }
            p {
                "It holds " bdi { (version) } ". The appliance restarts into it on trial, and keeps it if all is well \
                 there."
            }
            form method="post" action="/updates/rollback" {
                (layout::csrf(app, who))
                (password_field("return-password"))
                button.warn type="submit" { "Return to the other slot" }
            }
        }
    }
}

fn selftest_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="selftest-title" {
            h2 #selftest-title { "Self-test" }
            p {
                "Shows that a trial boot works on this board: the other slot is started once, and at once this one \
                 again."
            }
            form method="post" action="/updates/selftest" {
                (layout::csrf(app, who))
                (password_field("selftest-password"))
                button.warn type="submit" { "Restart for the self-test" }
            }
        }
    }
}

fn check_form(app: &App, who: &Identity, status: &UpdateStatus) -> Markup {
    html! {
        @if status.settings.channel.is_some() && status.agent.is_some() {
            div.controls {
                form method="post" action="/updates/check" {
                    (layout::csrf(app, who))
                    button type="submit" { "Ask for new releases now" }
                }
            }
        }
    }
}

/// The form works by itself; the script adds progress, and goes on where a transfer stopped.
fn send_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="send-title" {
            h2 #send-title { "Send a bundle" }
            p { "It is written to the slot that does not run, and installed only when you say so." }
            form #bundle method="post" action="/updates/bundle" enctype="multipart/form-data"
                data-blake3=(assets::BLAKE3.path()) {
                (layout::csrf(app, who))
                (password_field("bundle-password"))
                label for="bundle-file" { "Bundle" }
                input #bundle-file name="file" type="file" required;
                button type="submit" { "Send it" }
            }
            progress #bundle-progress max="100" value="0" hidden aria-label="Sent" {}
            p #bundle-said role="status" {}
            script type="module" src=(assets::UPDATE.path()) {}
        }
    }
}

fn pull_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="pull-title" {
            h2 #pull-title { "Fetch a bundle" }
            p { "The appliance fetches it from a web server, and goes on by itself where that breaks." }
            form method="post" action="/updates/pull" {
                (layout::csrf(app, who))
                label for="pull-url" { "Its address" }
                input #pull-url name="url" type="url" required maxlength="1024" autocomplete="off" spellcheck="false"
                    placeholder="https://";
                (password_field("pull-password"))
                button type="submit" { "Fetch it" }
            }
        }
    }
}

pub(super) async fn install(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let outcome = async {
        let (when, done) = match fields.text("when").as_str() {
            "now" => (When::Now, "update-installing"),
            "quiet" => (When::Quiet, "update-waiting"),
            "window" => (When::Window, "update-waiting"),
            _ => return Err(NotDone::Field("choose when it is installed".to_owned())),
        };
        let order =
            Order { who: &who, connection: &connection, action: "update installed", detail: fields.text("when") };
        order.prove(&app, fields.secret("password")).await?;
        order.finish(&app, app.pages.updates.install(when).await).await.map(|()| done)
    };
    back(&app, &who, outcome.await)
}

pub(super) async fn rollback(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let detail = "to the other slot".to_owned();
    let order = Order { who: &who, connection: &connection, action: "update returned", detail };
    let outcome = async {
        order.prove(&app, fields.secret("password")).await?;
        order.finish(&app, app.pages.updates.rollback().await).await.map(|()| "update-returning")
    };
    back(&app, &who, outcome.await)
}

pub(super) async fn selftest(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let order = Order { who: &who, connection: &connection, action: "update self-test", detail: String::new() };
    let outcome = async {
        order.prove(&app, fields.secret("password")).await?;
        order.finish(&app, app.pages.updates.selftest().await).await.map(|()| "update-testing")
    };
    back(&app, &who, outcome.await)
}

pub(super) async fn pull(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let outcome = async {
        let url: UpdateUrl =
            fields.text("url").parse().map_err(|error| NotDone::Field(format!("the address is {error}")))?;
        let order = Order { who: &who, connection: &connection, action: "update fetched", detail: url.to_string() };
        order.prove(&app, fields.secret("password")).await?;
        order.finish(&app, app.pages.updates.pull(url)).await.map(|()| "update-pulling")
    };
    back(&app, &who, outcome.await)
}

pub(super) async fn check(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    _fields: Fields,
) -> Response {
    let order = Order { who: &who, connection: &connection, action: "update channel asked", detail: String::new() };
    order.note(&app).await;
    let outcome = order.finish(&app, app.pages.updates.check()).await.map(|()| "update-checking");
    back(&app, &who, outcome)
}

pub(super) async fn discard(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    _fields: Fields,
) -> Response {
    let order = Order { who: &who, connection: &connection, action: "update discarded", detail: String::new() };
    order.note(&app).await;
    let outcome = order.finish(&app, app.pages.updates.discard().await).await.map(|()| "update-discarded");
    back(&app, &who, outcome)
}

/// For the script: proves the password, and makes the log-in a fresh one, as the interface for programs wants it.
pub(super) async fn sign_in(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let password = fields.secret("password");
    let proof = Login { name: who.user.clone(), password, peer: connection.peer.ip() };
    match app.pages.accounts.login(proof).await {
        Ok(tokens) => {
            // The former log-in is not needed any more; where it can't be ended now, it runs out by itself.
            if let Err(error) = app.pages.accounts.logout(who.token_id).await {
                tracing::warn!(%error, user = who.user, "a log-in that was replaced goes on until it runs out");
            }
            let mut response = StatusCode::NO_CONTENT.into_response();
            guard::add_cookies(response.headers_mut(), cookies::log_in(&tokens, connection.tls));
            response
        }
        Err(error) => {
            let detail = format::sentence(&error);
            login::refused(&error, Json(serde_json::json!({ "detail": detail })))
        }
    }
}

/// What somebody orders, as it is put on record.
struct Order<'a> {
    who: &'a Identity,
    connection: &'a ConnectionInfo,
    action: &'static str,
    detail: String,
}

impl Order<'_> {
    /// Proves who gives it, and writes it down.
    async fn prove(&self, app: &App, password: zeroize::Zeroizing<String>) -> Result<(), NotDone> {
        orders::begin(app, self.who, self.connection, password, self.action, &self.detail).await
    }

    /// Writes it down before it is done, because a box that restarts writes nothing afterwards.
    async fn note(&self, app: &App) {
        app.note(self.who, self.connection.peer.ip(), self.action, self.detail.clone()).await;
    }

    /// Writes down where it was not done.
    async fn finish(&self, app: &App, outcome: Result<(), UpdateError>) -> Result<(), NotDone> {
        let Err(error) = outcome else { return Ok(()) };
        orders::note_failure(app, self.who, self.connection, (self.action, &self.detail), &error).await;
        Err(NotDone::Update(error))
    }
}

/// Back to the page, with what came of it.
fn back(app: &App, who: &Identity, outcome: Result<&'static str, NotDone>) -> Response {
    match outcome {
        Ok(done) => Redirect::to(&format!("/updates?done={done}")).into_response(),
        Err(not_done) => not_done.shown(render(app, who, Some(&not_done), None)),
    }
}
