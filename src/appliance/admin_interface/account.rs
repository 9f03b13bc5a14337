//! One's own account: password, and for an administrator a new recovery key.

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use lucid_http::ConnectionInfo;
use lucid_ports::{Identity, Login, PasswordChange, Role};
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    claim,
    fields::Fields,
    format,
    guard::{Admin, Member},
    layout::{self, Frame, Place},
    login, notices,
    overview::Arrival,
    refusal::Refusal,
};

pub(super) async fn page(State(app): State<Shared>, Member(who): Member, Query(arrival): Query<Arrival>) -> Markup {
    render(&app, &who, None, notices::after(arrival.done.as_deref()))
}

fn render(app: &App, who: &Identity, refused: Option<&str>, notice: Option<&str>) -> Markup {
    let frame = Frame { title: "Your account", place: Place::Account, live: None, notice };
    let body = html! {
        h1 { "Your account" }
        p { "You are logged in as " strong { bdi { (who.user) } } " with the role " strong { (format::role(who.role)) } "." }
        @if let Some(refused) = refused { p #refused.notice.bad role="alert" { (refused) } }
        div.panels {
            (password_panel(app, who))
            @if who.role >= Role::Admin { (recovery_panel(app, who)) }
        }
    };
    layout::page(app, who, &frame, &body)
}

fn password_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="password-title" {
            h2 #password-title { "Change your password" }
            form method="post" action="/account/password" {
                (layout::csrf(app, who))
                input type="hidden" name="username" value=(who.user) autocomplete="username";
                label for="old" { "Present password" }
                input #old name="old" type="password" autocomplete="current-password" required maxlength="1024";
                label for="new" { "New password" }
                input #new name="new" type="password" autocomplete="new-password" required minlength="12"
                    maxlength="1024" aria-describedby="new-rule";
                p #new-rule.muted { "At least 12 characters. All other log-ins of this account end." }
                label for="again" { "New password again" }
                input #again name="again" type="password" autocomplete="new-password" required minlength="12"
                    maxlength="1024";
                button type="submit" { "Change" }
            }
        }
    }
}

fn recovery_panel(app: &App, who: &Identity) -> Markup {
    html! {
        section.panel aria-labelledby="recovery-title" {
            h2 #recovery-title { "Make a new recovery key" }
            p {
                "It opens your recordings and backups if this board breaks. The former one stops working; the new one is \
                 shown once."
            }
            form method="post" action="/account/recovery-key" {
                (layout::csrf(app, who))
                label for="proof" { "Your password" }
                input #proof name="password" type="password" autocomplete="current-password" required maxlength="1024";
                button.warn type="submit" { "Make a new recovery key" }
            }
        }
    }
}

pub(super) async fn change_password(
    State(app): State<Shared>,
    Member(who): Member,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let (old, new, again) = (fields.secret("old"), fields.secret("new"), fields.secret("again"));
    if new != again {
        return Refusal::bad_request("The two new passwords differ. Nothing was changed.").into_response();
    }
    let change = PasswordChange { name: who.user.clone(), old, new, peer: connection.peer.ip() };
    match app.pages.accounts.change_password(change).await {
        Ok(tokens) => login::logged_in(&tokens, connection.tls, "/account?done=password"),
        Err(error) => login::refused(&error, render(&app, &who, Some(&format::sentence(&error)), None)),
    }
}

pub(super) async fn new_recovery_key(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut fields: Fields,
) -> Response {
    let login = Login { name: who.user.clone(), password: fields.secret("password"), peer: connection.peer.ip() };
    match app.pages.accounts.new_recovery_key(login).await {
        Ok(key) => claim::recovery_key(&app, &key).into_response(),
        Err(error) => login::refused(&error, render(&app, &who, Some(&format::sentence(&error)), None)),
    }
}
