//! Taking a bundle from a plain form, without JavaScript.
//!
//! The fields before the file come first in the body, because the form has them first: the token and the password are
//! checked before a byte of the file is taken.

use std::io;

use axum::{
    extract::{Multipart, State, multipart::Field},
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt;
use lucid_http::ConnectionInfo;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use zeroize::Zeroizing;

use super::super::{
    app::{App, Shared},
    fields::CSRF_FIELD,
    guard::Admin,
    orders::NotDone,
    refusal::Refusal,
    upload::{PIECES_MAX, hand_on, next_field, text},
};
use super::{Order, back};
use crate::update::UpdateError;

pub(in crate::admin_interface) async fn take(
    State(app): State<Shared>,
    Admin(who): Admin,
    connection: ConnectionInfo,
    mut form: Multipart,
) -> Result<Response, Refusal> {
    let mut password = Zeroizing::new(String::new());
    let mut is_ours = false;
    while let Some(field) = next_field(&mut form).await? {
        match field.name().unwrap_or_default() {
            CSRF_FIELD => is_ours = app.csrf.fits(&who.user, &text(field).await?),
            "password" => password = Zeroizing::new(text(field).await?),
            "file" if !is_ours => return Err(Refusal::stale_form()),
            "file" => {
                let detail = "a bundle from byte 0 on".to_owned();
                let order = Order { who: &who, connection: &connection, action: "update sent", detail };
                let outcome = send(&app, &order, password, field).await?;
                return Ok(back(&app, &who, outcome.map(|()| "update-sent")));
            }
            _ => return Err(Refusal::bad_request("The form has a field that is none of ours.")),
        }
    }
    Err(Refusal::bad_request("The form came without a file. Nothing was sent."))
}

/// Hands the file on. When the connection breaks, the agent is told, so that what it has is never taken for the whole.
async fn send(
    app: &App,
    order: &Order<'_>,
    password: Zeroizing<String>,
    field: Field<'_>,
) -> Result<Result<(), NotDone>, Refusal> {
    if let Err(not_done) = order.prove(app, password).await {
        return Ok(Err(not_done));
    }
    let (pieces_in, pieces) = mpsc::channel::<io::Result<Bytes>>(PIECES_MAX);
    let sending = app.pages.updates.upload(0, None, ReceiverStream::new(pieces).boxed());
    let (handed_on, sent) = tokio::join!(hand_on(field, pieces_in), sending);
    let finished = order.finish(app, sent).await;
    match (handed_on, &finished) {
        // What the agent says counts for more than a browser that went away while it was being told.
        (Err(refusal), Ok(()) | Err(NotDone::Update(UpdateError::BrokenOff(_)))) => Err(refusal),
        _ => Ok(finished),
    }
}
