//! Taking over a data disk that another appliance wrote, or this one before its card was flashed anew.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use lucid_agent_protocol::{Reason, Request};
use lucid_http::ConnectionInfo;
use lucid_ports::{Identity, Role, TakenOver, TakeoverError};
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::{
    app::{App, Shared},
    fields::Fields,
    guard::Admin,
    layout,
    orders::{NotDone, ask, begin, note_failure, password_field},
    storage,
};

/// As the audit log names it, and what it is done to.
const ACTION: (&str, &str) = ("disk taken over", "the data disk");

/// The form, where the data disk waits for its recovery key.
pub(super) async fn panel(app: &App, who: &Identity) -> Markup {
    if app.pages.storage.borrow().waiting().is_some() {
        return html! {};
    }
    let takeover = app.pages.takeover.clone();
    // A disk that hangs must not hold up the page that tells of it.
    let looked = app.patiently(tokio::task::spawn_blocking(move || takeover.is_due())).await;
    match looked {
        Ok(Ok(Ok(true))) if who.role >= Role::Admin => form(app, who),
        Ok(Ok(Ok(true))) => html! { p.notice { (WRITTEN_ELSEWHERE) " An administrator can take it over." } },
        Ok(Ok(Ok(false))) => html! {},
        Ok(Ok(Err(error))) => layout::missing("The keys of the data disk", &crate::update::described(&error)),
        Ok(Err(_)) | Err(_) => layout::missing("The keys of the data disk", "the disk did not answer in time"),
    }
}

const WRITTEN_ELSEWHERE: &str = "The data disk was written by another appliance, or by this one before it was flashed \
                                 anew. Nothing on it was changed.";

fn form(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="takeover-title" {
            h2 #takeover-title { "Take the data disk over" }
            p { (WRITTEN_ELSEWHERE) " Its recovery key opens it: the one that was shown last when it was in use." }
            form method="post" action="/storage/take-over" {
                (layout::csrf(app, who))
                label for="recovery-key" { "Recovery key of the disk" }
                input #recovery-key name="recovery_key" autocomplete="off" autocapitalize="characters"
                    spellcheck="false" required maxlength="128" aria-describedby="recovery-rule";
                p #recovery-rule.muted {
                    "It begins with AGE-SECRET-KEY-1. It stays in force: the one that this appliance showed since is \
                     void."
                }
                label.check for="give-up" {
                    input #give-up name="give_up_identity" value="yes" type="checkbox";
                    span {
                        "From now on this appliance signs as the one that wrote the disk, and goes on with its chain. \
                         Tick this after flashing a card anew. What this appliance signed with before is kept aside."
                    }
                }
                (password_field("takeover-password"))
                button.warn type="submit" { "Take the disk over" }
            }
        }
    }
}

pub(super) async fn submit(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let key = fields.secret("recovery_key");
    let give_up = fields.text("give_up_identity") == "yes";
    let outcome = async {
        begin(&app, &who, &connection, fields.secret("password"), ACTION.0, ACTION.1).await?;
        take_over(&app, key, give_up).await.map_err(NotDone::Takeover)
    };
    match outcome.await {
        Ok(taken) => {
            let done = match taken {
                TakenOver { needs_restart: true, .. } => restart(&app, &who).await,
                TakenOver { continues_chain: false, .. } => "taken-over-without-chain",
                TakenOver { .. } => "taken-over",
            };
            Redirect::to(&format!("/storage?done={done}")).into_response()
        }
        Err(not_done) => {
            if let NotDone::Takeover(error) = &not_done {
                note_failure(&app, &who, &connection, ACTION, error).await;
            }
            not_done.shown(storage::render(&app, &who, Some(&not_done), None).await)
        }
    }
}

/// To the end, even if the browser leaves: the files of a disk belong together.
async fn take_over(app: &App, key: Zeroizing<String>, give_up_identity: bool) -> Result<TakenOver, TakeoverError> {
    let takeover = app.pages.takeover.clone();
    let taken = tokio::task::spawn_blocking(move || takeover.take_over(&key, give_up_identity)).await;
    taken.map_err(|lost| TakeoverError::Failed(Box::new(lost)))?
}

/// Has the agent restart the appliance. What the page says afterwards.
async fn restart(app: &App, who: &Identity) -> &'static str {
    let reason: Reason = format!("{} took the data disk over", who.user)
        .parse()
        .expect("account names are short, of letters, digits and three signs");
    match ask(app, &Request::Reboot { reason }).await {
        Ok(_) => "taken-over-restarting",
        Err(error) => {
            tracing::warn!(%error, "the restart after the takeover is left to the owner");
            "taken-over-restart"
        }
    }
}
