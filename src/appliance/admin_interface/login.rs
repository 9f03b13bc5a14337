//! Logging in and out.

use axum::{
    extract::{Query, Request, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use lucid_http::ConnectionInfo;
use lucid_ports::{AccountError, Login, Tokens};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    app::{App, Shared},
    cookies,
    fields::{Fields, OpenFields},
    format,
    guard::{self, Member, Visitor},
    layout, notices,
    refusal::{self, Refusal},
};

/// Where the log-in page was reached from.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    next: Option<String>,
    done: Option<String>,
}

pub(super) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let next = format::local_path(wanted.next.as_deref().unwrap_or("/"));
    if visitor.identity().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    match app.pages.accounts.claimed() {
        Ok(true) => Ok(form(&app, next, "", None, notices::after(wanted.done.as_deref())).into_response()),
        Ok(false) => Err(Refusal::see_other("/claim")),
        Err(error) => Err(error.into()),
    }
}

fn form(app: &App, next: &str, name: &str, refused: Option<&str>, notice: Option<&str>) -> Markup {
    let body = html! {
        @if let Some(notice) = notice { p.notice.good role="status" { (notice) } }
        @if let Some(refused) = refused { p #refused.notice.bad role="alert" { (refused) } }
        form method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            label for="name" { "Account name" }
            input #name name="name" value=(name) autocomplete="username" autocapitalize="none" spellcheck="false"
                required maxlength="64" aria-describedby=[refused.map(|_| "refused")] autofocus[name.is_empty()];
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required maxlength="1024"
                aria-describedby=[refused.map(|_| "refused")] autofocus[!name.is_empty()];
            button.primary type="submit" { "Log in" }
        }
    };
    layout::outside(app, "Log in", &body)
}

pub(super) async fn submit(
    State(app): State<Shared>,
    connection: ConnectionInfo,
    OpenFields(mut fields): OpenFields,
) -> Response {
    let (name, next) = (fields.text("name"), fields.text("next"));
    let login = Login { name: name.clone(), password: fields.secret("password"), peer: connection.peer.ip() };
    match app.pages.accounts.login(login).await {
        Ok(tokens) => logged_in(&tokens, connection.tls, format::local_path(&next)),
        Err(AccountError::Unclaimed) => Redirect::to("/claim").into_response(),
        Err(error) => {
            let text = format::sentence(&error);
            let page = form(&app, format::local_path(&next), &name, Some(&text), None);
            refused(&error, page)
        }
    }
}

/// A page that says why, with the status that programs expect.
pub(super) fn refused(error: &AccountError, page: impl IntoResponse) -> Response {
    // 401 would make some browsers ask for a password of their own: a form's answer is 422, as for any wrong field.
    let status = match refusal::refused_status(error) {
        StatusCode::UNAUTHORIZED => StatusCode::UNPROCESSABLE_ENTITY,
        status => status,
    };
    let mut response = (status, page).into_response();
    if let AccountError::Throttled { retry_after_s } = error {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from((*retry_after_s).max(1)));
    }
    response
}

/// Leads to `path`, logged in.
pub(super) fn logged_in(tokens: &Tokens, is_secure: bool, path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    guard::add_cookies(response.headers_mut(), cookies::log_in(tokens, is_secure));
    response
}

pub(super) async fn logout(
    State(app): State<Shared>,
    Member(who): Member,
    connection: ConnectionInfo,
    _fields: Fields,
) -> Result<Response, Refusal> {
    app.patiently(app.pages.accounts.logout(who.token_id)).await??;
    let mut response = Redirect::to("/login?done=logged-out").into_response();
    guard::add_cookies(response.headers_mut(), cookies::log_out(connection.tls));
    Ok(response)
}

/// For scripts whose request was refused because the access token ran out: whoever asks through here has new cookies.
pub(super) async fn renew(request: Request) -> StatusCode {
    match Visitor::of(request.extensions()).identity() {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::UNAUTHORIZED,
    }
}
