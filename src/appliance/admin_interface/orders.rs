//! Orders to the agent, and about updates: given by an administrator who has given the password again, and written down
//! before.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lucid_agent_protocol::{RefusalCode, Reply, Request};
use lucid_http::ConnectionInfo;
use lucid_ports::{AccountError, Identity, Login, TakeoverError};
use maud::{Markup, html};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{app::App, format, login};
use crate::{agent_link::AgentError, update::UpdateError};

/// Longer than the agent needs to begin anything, and shorter than a request may take.
const ORDER_MAX: Duration = Duration::from_secs(20);
/// For one of several questions in that time.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// Between them. Services look up from what they do within a second or two.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be done.
pub(super) struct Order {
    pub(super) request: Request,
    /// As the audit log names it.
    pub(super) action: &'static str,
    pub(super) detail: String,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("{0}")]
    Password(AccountError),
    #[error("{0}")]
    Agent(AgentError),
    #[error("{}", crate::update::described(_0))]
    Update(UpdateError),
    #[error("{}", crate::update::described(_0))]
    Takeover(TakeoverError),
    #[error("{0}")]
    Field(String),
}

/// Has the agent carry it out: a proof of who gives the order first, and a line in the audit log.
pub(super) async fn carry_out(
    app: &App,
    who: &Identity,
    connection: &ConnectionInfo,
    password: Zeroizing<String>,
    order: Order,
) -> Result<(), NotDone> {
    begin(app, who, connection, password, order.action, &order.detail).await?;
    let Err(error) = ask(app, &order.request).await else { return Ok(()) };
    note_failure(app, who, connection, (order.action, &order.detail), &error).await;
    Err(NotDone::Agent(error))
}

/// Writes down that what was begun, an action and its detail, was not done.
pub(super) async fn note_failure(
    app: &App,
    who: &Identity,
    connection: &ConnectionInfo,
    (action, detail): (&str, &str),
    error: &impl std::fmt::Display,
) {
    app.note(who, connection.peer.ip(), action, format!("{detail}: not done: {error}")).await;
}

/// Asks the agent. A disk can be let go of only once no service has anything open on it any more.
pub(super) async fn ask(app: &App, request: &Request) -> Result<Reply, AgentError> {
    if !matches!(request, Request::Detach {}) {
        return app.pages.agent.ask(request.clone(), ORDER_MAX).await;
    }
    let _released = app.pages.release.begin();
    ask_until_unused(app, request).await
}

/// Asks again while something is open, for [`ORDER_MAX`] and what one more question takes.
async fn ask_until_unused(app: &App, request: &Request) -> Result<Reply, AgentError> {
    let until = Instant::now() + ORDER_MAX;
    loop {
        let asked = app.pages.agent.ask(request.clone(), QUESTION_MAX).await;
        let is_busy = matches!(&asked, Err(AgentError::Refused(refusal)) if refusal.code == RefusalCode::Busy);
        if !is_busy || Instant::now() >= until {
            return asked;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Proves who gives an order, and writes it down.
pub(super) async fn begin(
    app: &App,
    who: &Identity,
    connection: &ConnectionInfo,
    password: Zeroizing<String>,
    action: &'static str,
    detail: &str,
) -> Result<(), NotDone> {
    let peer = connection.peer.ip();
    let proof = Login { name: who.user.clone(), password, peer };
    app.pages.accounts.prove(action, proof).await.map_err(NotDone::Password)?;
    // Before, because a box that restarts writes nothing afterwards.
    app.note(who, peer, action, detail.to_owned()).await;
    tracing::info!(user = who.user, action, detail, "ordered");
    Ok(())
}

impl NotDone {
    /// The page that says so, with the status that programs expect.
    pub(super) fn shown(&self, page: Markup) -> Response {
        let status = match self {
            Self::Password(error) => return login::refused(error, page),
            Self::Field(_) | Self::Takeover(TakeoverError::WrongKey(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Takeover(TakeoverError::Failed(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Takeover(_) => StatusCode::CONFLICT,
            Self::Agent(error) | Self::Update(UpdateError::Agent(error)) => by_agent(error),
            Self::Update(UpdateError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Update(_) => StatusCode::CONFLICT,
        };
        (status, page).into_response()
    }

    /// What a page says of it, at its head.
    pub(super) fn alert(&self) -> Markup {
        html! { p.notice.bad role="alert" { (format::sentence(self)) } }
    }
}

fn by_agent(error: &AgentError) -> StatusCode {
    match error {
        AgentError::Refused(_) | AgentError::Absent => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The field for the password that proves again who gives an order. `id` is its own on the page.
pub(super) fn password_field(id: &str) -> Markup {
    html! {
        label for=(id) { "Your password" }
        input id=(id) name="password" type="password" autocomplete="current-password" required maxlength="1024";
    }
}
