//! Recording a file from a plain form, without JavaScript, and what other forms with a file share.
//!
//! The body is streamed: whatever its size, a few chunks of it are in memory. The fields before the file come first in
//! the body, because the form has them first; the token is checked before a byte of the file is taken.

use std::io;

use axum::{
    extract::{
        Multipart, State,
        multipart::{Field, MultipartError},
    },
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use futures_util::StreamExt;
use lucid_ports::{Identity, SessionId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    app::{App, Shared},
    fields::CSRF_FIELD,
    guard::Member,
    refusal::Refusal,
};

/// Pieces of the body on their way to the recorder: enough that neither waits for the other at every one.
pub(super) const PIECES_MAX: usize = 4;
/// Longest text field, in bytes: a label of 200 characters of four bytes, and some.
const TEXT_BYTES_MAX: usize = 1024;

pub(super) async fn take(
    State(app): State<Shared>,
    Member(who): Member,
    mut form: Multipart,
) -> Result<Response, Refusal> {
    let mut label = String::new();
    let mut is_ours = false;
    while let Some(field) = next_field(&mut form).await? {
        match field.name().unwrap_or_default() {
            CSRF_FIELD => is_ours = app.csrf.fits(&who.user, &text(field).await?),
            "label" => label = text(field).await?,
            "file" if !is_ours => return Err(Refusal::stale_form()),
            "file" => {
                let id = record(&app, &who, label, field).await?;
                return Ok(Redirect::to(&format!("/sessions/{id}?done=uploaded")).into_response());
            }
            _ => return Err(Refusal::bad_request("The form has a field that is none of ours.")),
        }
    }
    Err(Refusal::bad_request("The form came without a file. Nothing was recorded."))
}

/// The next field of a form, in the order of the page.
pub(super) async fn next_field(form: &mut Multipart) -> Result<Option<Field<'_>>, Refusal> {
    form.next_field().await.map_err(|error| unreadable(&error))
}

/// A text field, bounded.
pub(super) async fn text(mut field: Field<'_>) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| unreadable(&error))? {
        if bytes.len() + piece.len() > TEXT_BYTES_MAX {
            return Err(Refusal::bad_request("A field of the form is too long."));
        }
        bytes.extend(piece);
    }
    String::from_utf8(bytes).map_err(|_| Refusal::bad_request("A field of the form is not text."))
}

fn unreadable(error: &MultipartError) -> Refusal {
    Refusal::bad_request(format!("The form can't be read ({error})."))
}

async fn record(app: &App, who: &Identity, label: String, field: Field<'_>) -> Result<SessionId, Refusal> {
    let label: String = label.trim().chars().filter(|char| !char.is_control()).take(200).collect();
    let (pieces_in, pieces) = mpsc::channel::<io::Result<Bytes>>(PIECES_MAX);
    let recording = (app.pages.upload)(who.clone(), label, ReceiverStream::new(pieces).boxed());
    let (handed_on, recorded) = tokio::join!(hand_on(field, pieces_in), recording);
    handed_on?;
    Ok(recorded?)
}

/// Hands a file on piece by piece. When the connection breaks, the taker is told, so that what it has is never taken
/// for the whole.
pub(super) async fn hand_on(mut field: Field<'_>, pieces: mpsc::Sender<io::Result<Bytes>>) -> Result<(), Refusal> {
    loop {
        let piece = match field.chunk().await {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return Ok(()),
            Err(error) => Err(error),
        };
        let broken = piece.as_ref().err().map(unreadable);
        // A taker that has given up has said why in its own result.
        let is_wanted = pieces.send(piece.map_err(io::Error::other)).await.is_ok();
        match broken {
            Some(refusal) => return Err(refusal),
            None if !is_wanted => return Ok(()),
            None => {}
        }
    }
}
