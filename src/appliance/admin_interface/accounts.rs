//! All accounts, for administrators.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use lucid_ports::{Account, AccountError, Identity, Role};
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    fields::Fields,
    format,
    guard::Admin,
    layout::{self, Frame, Place},
    login, notices,
    overview::Arrival,
    refusal::Refusal,
};

pub(super) async fn list(State(app): State<Shared>, Admin(who): Admin, Query(arrival): Query<Arrival>) -> Markup {
    render(&app, &who, None, notices::after(arrival.done.as_deref())).await
}

async fn render(app: &App, who: &Identity, refused: Option<&str>, notice: Option<&str>) -> Markup {
    let accounts = app.patiently(app.pages.accounts.accounts()).await;
    let frame = Frame { title: "Accounts", place: Place::Accounts, live: None, notice };
    let body = html! {
        h1 { "Accounts" }
        @if let Some(refused) = refused { p.notice.bad role="alert" { (refused) } }
        @match accounts {
            Ok(Ok(accounts)) => { (table(app, who, &accounts)) }
            Ok(Err(error)) => { (layout::missing("The accounts", &error.to_string())) }
            Err(_) => { (layout::missing("The accounts", "auth-service does not answer")) }
        }
        (add_form(app, who))
    };
    layout::page(app, who, &frame, &body)
}

fn table(app: &App, who: &Identity, accounts: &[Account]) -> Markup {
    let rows = html! {
        @for account in accounts {
            tr {
                th scope="row" { bdi { (account.name) } @if account.name == who.user { " (you)" } }
                td { (role_form(app, who, account)) }
                td { (format::time(account.created_ms)) }
                td { a href={ "/accounts/" (format::query_value(&account.name)) "/remove" } { "Change or remove" span.unseen { " " (account.name) } } }
            }
        }
    };
    layout::table("All accounts", &["Name", "Role", "Since", "More"], &rows)
}

fn role_form(app: &App, who: &Identity, account: &Account) -> Markup {
    html! {
        form.inline method="post" action={ "/accounts/" (format::query_value(&account.name)) "/role" } {
            (layout::csrf(app, who))
            select name="role" aria-label={ "Role of " (account.name) } { (layout::role_options(account.role)) }
            button type="submit" { "Set" span.unseen { " the role of " (account.name) } }
        }
    }
}

fn add_form(app: &App, who: &Identity) -> Markup {
    html! {
        section aria-labelledby="add-title" {
            h2 #add-title { "Add an account" }
            form.panel.fields method="post" action="/accounts" {
                (layout::csrf(app, who))
                div {
                    label for="name" { "Name" }
                    input #name name="name" autocomplete="off" autocapitalize="none" spellcheck="false" required
                        maxlength="32";
                }
                div {
                    label for="password" { "First password" }
                    input #password name="password" type="password" autocomplete="new-password" required minlength="12"
                        maxlength="1024";
                }
                div {
                    label for="role" { "Role" }
                    select #role name="role" { (layout::role_options(Role::User)) }
                }
                button.primary type="submit" { "Add" }
            }
        }
    }
}

pub(super) async fn add(State(app): State<Shared>, Admin(who): Admin, mut fields: Fields) -> Response {
    let Some(role) = format::parse_role(&fields.text("role")) else { return no_such_role().into_response() };
    let added = app.pages.accounts.add(&who.user, fields.text("name"), fields.secret("password"), role).await;
    finish(&app, &who, added, "added").await
}

pub(super) async fn set_role(
    State(app): State<Shared>,
    Admin(who): Admin,
    Path(name): Path<String>,
    fields: Fields,
) -> Response {
    let Some(role) = format::parse_role(&fields.text("role")) else { return no_such_role().into_response() };
    let outcome = app.pages.accounts.set_role(&who.user, &name, role).await;
    finish(&app, &who, outcome, "role").await
}

pub(super) async fn reset_password(
    State(app): State<Shared>,
    Admin(who): Admin,
    Path(name): Path<String>,
    mut fields: Fields,
) -> Response {
    let outcome = app.pages.accounts.reset_password(&who.user, &name, fields.secret("password")).await;
    finish(&app, &who, outcome, "password").await
}

pub(super) async fn confirm_remove(State(app): State<Shared>, Admin(who): Admin, Path(name): Path<String>) -> Markup {
    let path = format!("/accounts/{}", format::query_value(&name));
    let frame = Frame { title: "Change or remove an account", place: Place::Accounts, live: None, notice: None };
    let body = html! {
        p.crumb { a href="/accounts" { "All accounts" } }
        h1 { "Account " bdi { (name) } }
        div.panels {
            section.panel aria-labelledby="reset-title" {
                h2 #reset-title { "Set a new password" }
                form method="post" action={ (path) "/password" } {
                    (layout::csrf(&app, &who))
                    label for="password" { "New password" }
                    input #password name="password" type="password" autocomplete="new-password" required minlength="12"
                        maxlength="1024";
                    button type="submit" { "Set the password" }
                }
            }
            section.panel aria-labelledby="remove-title" {
                h2 #remove-title { "Remove the account" }
                p {
                    "Its log-ins end at once. Its recordings stay: developers and administrators can read them, \
                     administrators can delete them, and they are shown as those of “removed account " bdi { (name) }
                    "”. A later account of the same name does not get them."
                }
                form method="post" action={ (path) "/remove" } {
                    (layout::csrf(&app, &who))
                    button.danger type="submit" { "Remove " bdi { (name) } }
                }
            }
        }
    };
    layout::page(&app, &who, &frame, &body)
}

pub(super) async fn remove(
    State(app): State<Shared>,
    Admin(who): Admin,
    Path(name): Path<String>,
    _fields: Fields,
) -> Response {
    let removed = app.pages.accounts.remove(&who.user, &name).await;
    finish(&app, &who, removed, "removed").await
}

/// Back to the list, with what came of it.
async fn finish(app: &App, who: &Identity, outcome: Result<(), AccountError>, done: &str) -> Response {
    match outcome {
        Ok(()) => Redirect::to(&format!("/accounts?done={done}")).into_response(),
        Err(error) => login::refused(&error, render(app, who, Some(&format::sentence(&error)), None).await),
    }
}

fn no_such_role() -> Refusal {
    Refusal::bad_request("There is no such role.")
}
