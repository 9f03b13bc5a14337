//! Claiming an appliance that has no administrator yet, and showing the recovery key once.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use lucid_http::ConnectionInfo;
use lucid_ports::{AccountError, Claim};
use maud::{Markup, html};

use super::{
    app::{App, Shared},
    cookies,
    fields::OpenFields,
    format, guard, layout, login,
    refusal::Refusal,
};

pub(super) async fn page(State(app): State<Shared>) -> Result<Markup, Refusal> {
    match app.pages.accounts.claimed() {
        Ok(false) => Ok(form(&app, "", None)),
        Ok(true) => Err(Refusal::see_other("/login")),
        Err(error) => Err(error.into()),
    }
}

fn form(app: &App, name: &str, refused: Option<&str>) -> Markup {
    let body = html! {
        p { "This appliance has no owner yet. It showed a one-time code when it started: on its screen, or in the terminal that started it." }
        @if let Some(refused) = refused { p #refused.notice.bad role="alert" { (refused) } }
        form method="post" action="/claim" {
            label for="code" { "One-time code" }
            input #code name="code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" required
                maxlength="128" aria-describedby=(if refused.is_some() { "refused code-rule" } else { "code-rule" });
            p #code-rule.muted {
                "Ten wrong tries, by anybody on your network, make a code void. The appliance then shows a new one where \
                 it showed the first, within two minutes. If the code came with the appliance, restart it to be shown one."
            }
            label for="name" { "Your account name" }
            input #name name="name" value=(name) autocomplete="username" autocapitalize="none" spellcheck="false"
                required maxlength="32" aria-describedby="name-rule";
            p #name-rule.muted { "Lower-case letters, digits, dot, dash and underscore." }
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="new-password" required minlength="12"
                maxlength="1024" aria-describedby="password-rule";
            p #password-rule.muted { "At least 12 characters. A sentence is easier to remember than a puzzle." }
            label for="again" { "Password again" }
            input #again name="again" type="password" autocomplete="new-password" required minlength="12" maxlength="1024";
            button.primary type="submit" { "Make it mine" }
        }
    };
    layout::outside(app, "Claim this appliance", &body)
}

pub(super) async fn submit(
    State(app): State<Shared>,
    connection: ConnectionInfo,
    OpenFields(mut fields): OpenFields,
) -> Response {
    let name = fields.text("name");
    let (password, again) = (fields.secret("password"), fields.secret("again"));
    if password != again {
        let error = AccountError::Invalid { rule: "The two passwords differ.".to_owned() };
        return login::refused(&error, form(&app, &name, Some("The two passwords differ.")));
    }
    let code = fields.text("code").into();
    let claim = Claim { code, name: name.clone(), password, peer: connection.peer.ip() };
    match app.pages.accounts.claim(claim).await {
        Ok(claimed) => {
            let mut response = recovery_key(&app, &claimed.recovery_key).into_response();
            guard::add_cookies(response.headers_mut(), cookies::log_in(&claimed.tokens, connection.tls));
            response
        }
        Err(AccountError::AlreadyClaimed) => Redirect::to("/login").into_response(),
        Err(error @ AccountError::Locked { .. }) => Refusal::from(error).into_response(),
        Err(error) => login::refused(&error, form(&app, &name, Some(&format::sentence(&error)))),
    }
}

/// The page that shows a recovery key. It is kept nowhere: this reply is the only place where it ever stands.
pub(super) fn recovery_key(app: &App, key: &str) -> Markup {
    let body = html! {
        p { strong { "Write this recovery key down, or print it, and keep it away from the appliance." }
            " It opens your recordings and backups if this board breaks. It is shown this one time and stored nowhere." }
        p #recovery-key.key tabindex="0" { code { (key) } }
        form method="get" action="/" {
            input type="hidden" name="done" value="saved";
            label.check for="saved" { input #saved type="checkbox" required; span { "I have saved the recovery key." } }
            button.primary type="submit" { "Continue" }
        }
        p.muted { "Lost it before you could save it? An administrator can make a new one under “Your account”." }
    };
    layout::outside(app, "Your recovery key", &body)
}
