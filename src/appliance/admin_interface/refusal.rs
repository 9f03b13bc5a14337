//! Why a page is not shown, as a page.
//!
//! Says what happened and what to do next. Needs no service, so that it can be shown whatever is broken. A handler says
//! what there is to say; [`show`] makes the page of it, because only there is known how the appliance's pages look now.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use lucid_ports::{AccountError, ChainError, RecordingsError, Role};

use super::{
    app::{Shared, Slow},
    format, layout,
};

/// Why not.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Somewhere else is the right place.
    Elsewhere(String),
    /// Here is why.
    Page { status: StatusCode, title: &'static str, text: String },
}

impl Refusal {
    fn page(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self::Page { status, title, text: text.into() }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::page(StatusCode::BAD_REQUEST, "That did not work", text)
    }

    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::page(StatusCode::NOT_FOUND, "Not found", text)
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self::page(StatusCode::SERVICE_UNAVAILABLE, "Not available at this moment", text)
    }

    pub(super) fn see_other(path: &str) -> Self {
        Self::Elsewhere(path.to_owned())
    }

    /// To the log-in page, and from there to `wanted`.
    pub(super) fn log_in(wanted: &str) -> Self {
        if wanted == "/" {
            return Self::see_other("/login");
        }
        Self::Elsewhere(format!("/login?next={}", format::query_value(wanted)))
    }

    pub(super) fn role(needed: Role) -> Self {
        let text =
            format!("This page is for the role {}. Ask an administrator of this appliance.", format::role(needed));
        Self::page(StatusCode::FORBIDDEN, "Not for your role", text)
    }

    pub(super) fn stale_form() -> Self {
        let text = "The form is older than the appliance's last start, or was not made by it. Go back, load the page \
                    again and send the form once more: nothing was changed.";
        Self::page(StatusCode::FORBIDDEN, "The form is not valid any more", text)
    }

    pub(super) fn foreign_page() -> Self {
        let text = "The request came from a page that does not belong to this appliance. Nothing was changed.";
        Self::page(StatusCode::FORBIDDEN, "Refused", text)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Elsewhere(path) => Redirect::to(&path).into_response(),
            Self::Page { status, title, text } => {
                let mut response = status.into_response();
                response.extensions_mut().insert(Words { title, text });
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
                }
                response
            }
        }
    }
}

/// What the page of a refusal says.
#[derive(Debug, Clone)]
struct Words {
    title: &'static str,
    text: String,
}

/// Makes pages of refusals: of ours, and for a browser of those that axum makes of a path, a query or a method.
pub(super) async fn show(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let is_browser = accepts_pages(request.headers());
    let mut response = next.run(request).await;
    let ours = response.extensions_mut().remove::<Words>();
    let Some(Words { title, text }) = ours.or_else(|| words_of_others(&response).filter(|_| is_browser)) else {
        return response;
    };
    let page = layout::bare(&app, title, &text).into_response();
    let (mut parts, _) = response.into_parts();
    parts.headers.extend(page.headers().clone());
    Response::from_parts(parts, page.into_body())
}

/// Whether a page is of use to who asks. A script and a program ask for other types, or for any.
fn accepts_pages(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// What to say in place of a refusal that has no page: one without a body, or in axum's own words.
fn words_of_others(response: &Response) -> Option<Words> {
    let media_type = response.headers().get(CONTENT_TYPE);
    if media_type.is_some_and(|media_type| !media_type.as_bytes().starts_with(b"text/plain")) {
        return None;
    }
    let (title, text) = match response.status() {
        StatusCode::NOT_FOUND => ("Not found", "There is no page at this address."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("That did not work", "This address is for a form: go back to the page with it.")
        }
        StatusCode::BAD_REQUEST => {
            ("That did not work", "The address can't be read: go back and follow the link again.")
        }
        _ => return None,
    };
    Some(Words { title, text: text.to_owned() })
}

impl From<Slow> for Refusal {
    fn from(_: Slow) -> Self {
        Self::unavailable("The service behind this page did not answer in time. Try again in a moment.")
    }
}

impl From<RecordingsError> for Refusal {
    fn from(error: RecordingsError) -> Self {
        match error {
            RecordingsError::NotFound(_) => Self::not_found(format::sentence(&error)),
            RecordingsError::StillRecording(_) => Self::page(StatusCode::CONFLICT, "Not yet", format::sentence(&error)),
            RecordingsError::Unavailable(_) => Self::unavailable(format::sentence(&error)),
        }
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::OutOfRange(_) => Self::not_found(format::sentence(&error)),
            ChainError::Unavailable => Self::unavailable(format::sentence(&error)),
        }
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::AlreadyClaimed => Self::see_other("/login"),
            AccountError::Unclaimed => Self::see_other("/claim"),
            AccountError::Unavailable => Self::unavailable(format::sentence(&error)),
            AccountError::Locked { reason } => Self::page(StatusCode::LOCKED, "This appliance is locked", reason),
            AccountError::Unknown { .. } => Self::not_found(format::sentence(&error)),
            _ => Self::page(refused_status(&error), "That did not work", format::sentence(&error)),
        }
    }
}

/// The status of a refused account operation.
pub(super) fn refused_status(error: &AccountError) -> StatusCode {
    match error {
        AccountError::WrongCredentials | AccountError::WrongCode { .. } | AccountError::SessionEnded => {
            StatusCode::UNAUTHORIZED
        }
        AccountError::CodeVoid => StatusCode::FORBIDDEN,
        AccountError::Locked { .. } => StatusCode::LOCKED,
        AccountError::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        AccountError::Exists { .. } | AccountError::LastAdmin { .. } | AccountError::AlreadyClaimed => {
            StatusCode::CONFLICT
        }
        AccountError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        AccountError::Recovery(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
