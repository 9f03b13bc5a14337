//! The board's EEPROM on the page: what is there, what the image carries, and the order to install it.
//!
//! Must never order it for somebody who did not consent to this release: the form names it, and the agent refuses any
//! other.

use axum::{extract::State, response::Response};
use lucid_agent_protocol::update::{EepromAttempt, UpdateReport};
use lucid_device::Reading;
use lucid_http::ConnectionInfo;
use lucid_layout::EepromRelease;
use lucid_ports::{Identity, Role};
use maud::{Markup, html};

use super::super::{
    app::{App, Shared},
    fields::Fields,
    format,
    guard::Admin,
    layout::{self, Tone, fact},
    orders::{NotDone, password_field},
};
use super::{Order, back, may_restart, show};
use crate::update::eeprom::{day, release_of};

/// What a ticked box sends.
const CONSENT: &str = "yes";

/// What is known of the EEPROM; for an administrator with the settings on the board, and with the order where it can
/// be given.
pub(super) fn section(app: &App, who: &Identity, report: &UpdateReport) -> Markup {
    let eeprom = &report.eeprom;
    // Shown to whom the page of the system shows them.
    let is_admin = who.role >= Role::Admin;
    let on_board = app.pages.boot.report().and_then(|boot| boot.eeprom_settings.as_deref()).filter(|_| is_admin);
    html! {
        section aria-labelledby="eeprom-title" {
            h2 #eeprom-title { "EEPROM" }
            p.muted {
                "The board's own firmware, which starts everything else. It lies on the board, not on card or disk."
            }
            dl.rows {
                (fact("On the board now", &built(&report.eeprom_s, |build_s| *build_s)))
                (fact("In this image", &built(&eeprom.carried, |release| release.build_s)))
                @if let Some(release) = eeprom.carried.present() {
                    (fact("Its version", &html! { bdi { (format::hash(&release.version)) } }))
                }
                @if let Some(last) = &eeprom.last { (fact("Last attempt", &attempt(last))) }
            }
            @if let Some(release) = eeprom.carried.present() {
                (settings("Settings that it brings", &release.settings))
            }
            @if let Some(now) = on_board { (settings("Settings on the board now", now)) }
            (order(app, who, report))
        }
    }
}

fn built<T>(reading: &Reading<T>, build_s: impl FnOnce(&T) -> u64) -> Markup {
    match reading {
        Reading::Present(value) => html! { "of " (day(build_s(value))) },
        Reading::Absent { reason } => html! { span.muted { "none: " (reason) } },
        Reading::Failed { reason } => html! { span.muted { "can't be read: " (reason) } },
    }
}

fn attempt(last: &EepromAttempt) -> Markup {
    html! {
        @if last.done { (layout::badge(Tone::Good, "installed")) } @else { (layout::badge(Tone::Bad, "not installed")) }
        p.muted { (format::time(last.at_ms)) ", of " (day(last.build_s)) ": " (format::sentence(&last.text)) }
    }
}

fn settings(title: &str, text: &str) -> Markup {
    html! {
        h3 { (title) }
        pre tabindex="0" { (text) }
    }
}

fn order(app: &App, who: &Identity, report: &UpdateReport) -> Markup {
    match (&report.eeprom.carried, &report.eeprom.hindrance) {
        (_, Some(hindrance)) => html! { p { "It can't be installed now: " (format::sentence(hindrance)) } },
        (Reading::Present(_), None) if who.role < Role::Admin => {
            html! { p { "An administrator can install it here." } }
        }
        (Reading::Present(_), None) if !may_restart(report) => {
            html! { p { "It can be installed once nothing else is under way." } }
        }
        (Reading::Present(release), None) => html! { div.panels { (install_panel(app, who, release)) } },
        (Reading::Absent { .. } | Reading::Failed { .. }, None) => html! {},
    }
}

fn install_panel(app: &App, who: &Identity, release: &EepromRelease) -> Markup {
    html! {
        section.panel aria-labelledby="eeprom-install-title" {
            h3 #eeprom-install-title { "Install the EEPROM of " (day(release.build_s)) }
            (what_happens())
            form method="post" action="/updates/eeprom" {
                (layout::csrf(app, who))
                input type="hidden" name="build_s" value=(release.build_s);
                label.check for="eeprom-consent" {
                    input #eeprom-consent type="checkbox" name="consent" value=(CONSENT) required;
                    span { "I have read this and consent" }
                }
                (password_field("eeprom-password"))
                button.danger type="submit" { "Install the EEPROM" }
            }
        }
    }
}

fn what_happens() -> Markup {
    html! {
        p {
            "The appliance restarts twice, which takes about a minute. Recordings are paused, and go on afterwards. \
             Between the two restarts the board's firmware finds the release in the slot that does not run, and writes \
             it into its EEPROM. What runs now stays as it is."
        }
        p { "The settings on the board are lost: those shown above take their place." }
        p.notice.warn {
            strong { "The power must not fail while it writes." }
            " A board whose EEPROM is half written starts nothing until it is made good by hand. " (show::WITH_IMAGER)
        }
        p {
            "This has not been tried on a real board yet: it was played by the bench, from Raspberry Pi's \
             documentation."
        }
    }
}

/// Gives the order, with the release that the form showed.
pub(in super::super) async fn install(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let outcome = async {
        let build_s = consented(&fields)?;
        let detail = release_of(build_s);
        let order = Order { who: &who, connection: &connection, action: "update EEPROM", detail };
        order.prove(&app, fields.secret("password")).await?;
        order.finish(&app, app.pages.updates.install_eeprom(build_s).await).await.map(|()| "update-eeprom")
    };
    back(&app, &who, outcome.await)
}

/// The release that was consented to.
fn consented(fields: &Fields) -> Result<u64, NotDone> {
    let unnamed = |_| NotDone::Field("the form does not say which EEPROM: load the page again".to_owned());
    let build_s = fields.text("build_s").parse().map_err(unnamed)?;
    if fields.text("consent") == CONSENT {
        return Ok(build_s);
    }
    let detail = "nothing was done: read what happens while the EEPROM is installed, and tick that you consent";
    Err(NotDone::Field(detail.to_owned()))
}
