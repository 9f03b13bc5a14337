//! Blocks of the chain: the newest, one, and the validation of all.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use data_encoding::HEXLOWER;
use lucid_ports::{BlockSummary, Identity, Role, SessionId, Validation, ValidationState};
use lucid_proof::block::{Block, SignedTransaction, Transaction};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    app::{App, Shared},
    fields::Fields,
    format,
    guard::{Developer, Member},
    layout::{self, Frame, Place, Tone, fact},
    notices,
    refusal::Refusal,
};

/// Blocks on a page: four minutes of the chain.
const PAGE_MAX: usize = 25;

/// Where the list begins, and what led to it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Listing {
    before: Option<u64>,
    done: Option<String>,
}

pub(super) async fn list(State(app): State<Shared>, Member(who): Member, Query(listing): Query<Listing>) -> Markup {
    let frame = Frame {
        title: "Blocks",
        place: Place::Blocks,
        live: listing.before.is_none().then(|| "/events?view=blocks".to_owned()),
        notice: notices::after(listing.done.as_deref()),
    };
    let table = table(&app, listing.before).await;
    let body = html! {
        h1 { "Blocks" }
        div.line {
            (layout::live("validation", &validation(&app.pages.chain.validation())))
            @if who.role >= Role::Developer { (validate_form(&app, &who)) }
        }
        (layout::live("blocks", &table))
    };
    layout::page(&app, &who, &frame, &body)
}

/// The parts of the list's first page that change.
pub(super) async fn list_parts(app: &App) -> Vec<(&'static str, Markup)> {
    vec![("validation", validation(&app.pages.chain.validation())), ("blocks", table(app, None).await)]
}

fn validate_form(app: &App, who: &Identity) -> Markup {
    html! {
        form.controls method="post" action="/blocks/validate" {
            (layout::csrf(app, who))
            button type="submit" { "Validate the whole chain" }
        }
    }
}

fn validation(validation: &Validation) -> Markup {
    html! {
        p {
            @match &validation.state {
                ValidationState::Never => { "The whole chain has not been validated since the start." }
                ValidationState::Running { checked } => {
                    (layout::badge(Tone::Busy, "validating")) " " (checked) " of " (validation.blocks) " blocks are checked."
                }
                ValidationState::Valid => {
                    (layout::badge(Tone::Good, "valid")) " All " (validation.blocks) " blocks are right, as of " (format::time(validation.at_ms)) "."
                }
                ValidationState::Invalid { height, reason } => {
                    (layout::badge(Tone::Bad, "invalid")) " Block " a href={ "/blocks/" (height) } { (height) } " is wrong: " (reason)
                }
            }
        }
    }
}

async fn table(app: &App, before: Option<u64>) -> Markup {
    match app.patiently(app.pages.chain.latest(before, PAGE_MAX)).await {
        Ok(Ok(blocks)) => blocks_table(&blocks, before.is_some()),
        Ok(Err(error)) => layout::missing("The blocks", &error.to_string()),
        Err(_) => layout::missing("The blocks", "block-manager does not answer"),
    }
}

fn blocks_table(blocks: &[BlockSummary], is_older: bool) -> Markup {
    let rows = html! {
        @for block in blocks {
            tr {
                th scope="row" { a href={ "/blocks/" (block.height) } { (block.height) } }
                td { (format::timestamp(block.time)) }
                td { (block.transactions) }
                td { (format::hash(&block.hash)) }
            }
        }
    };
    html! {
        (layout::table("Newest blocks first", &["Height", "Time", "Transactions", "Hash"], &rows))
        nav.pages aria-label="Pages" {
            @if is_older { a href="/blocks" { "Newest" } }
            @if let Some(last) = blocks.last().filter(|last| last.height > 0) {
                a rel="next" href={ "/blocks?before=" (last.height) } { "Older" }
            }
        }
    }
}

pub(super) async fn one(
    State(app): State<Shared>,
    Member(who): Member,
    Path(height): Path<String>,
) -> Result<Markup, Refusal> {
    let none = || Refusal::not_found(format!("There is no block {height}."));
    let number: u64 = height.parse().map_err(|_| none())?;
    let block = app.patiently(app.pages.chain.block(number)).await??.ok_or_else(none)?;
    let checkpoint = app.patiently(app.pages.chain.checkpoint()).await;
    let title = format!("Block {number}");
    let frame = Frame { title: &title, place: Place::Blocks, live: None, notice: None };
    let body = html! {
        p.crumb { a href="/blocks" { "All blocks" } }
        h1 { (title) }
        (header(&block))
        (neighbours(&app, number))
        (transactions(&block))
        section aria-labelledby="checkpoint-title" {
            h2 #checkpoint-title { "Checkpoint of the chain's head" }
            p.muted { "Signed by this appliance. Keep a copy elsewhere: it proves later that no block was changed or taken out." }
            @match checkpoint {
                Ok(Ok(checkpoint)) => { pre tabindex="0" { (checkpoint) } }
                Ok(Err(error)) => { (layout::missing("The checkpoint", &error.to_string())) }
                Err(_) => { (layout::missing("The checkpoint", "block-manager does not answer")) }
            }
        }
    };
    Ok(layout::page(&app, &who, &frame, &body))
}

fn header(block: &Block) -> Markup {
    let header = &block.header;
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let parent = header.height.checked_sub(1);
    html! {
        dl.facts.tiles {
            (fact("Time", &format::timestamp(header.time)))
            (fact("Transactions", &html! { (block.transactions.len()) }))
            (fact("Signatures", &html! { (block.certificate.signatures.len()) }))
        }
        dl.rows {
            div.fact.wide { dt { "Hash" } dd { code { (hex(&header.hash())) } } }
            div.fact.wide { dt { "Parent" } dd {
                @if let Some(parent) = parent { a href={ "/blocks/" (parent) } { code { (hex(&header.parent)) } } } @else { "none: this is the first block" }
            } }
            div.fact.wide { dt { "Transaction root" } dd { code { (hex(&header.tx_root)) } } }
            div.fact.wide { dt { "Receipt root" } dd { code { (hex(&header.receipts_root)) } } }
            div.fact.wide { dt { "State root" } dd { code { (hex(&header.state_root)) } } }
            div.fact.wide { dt { "Validators" } dd { code { (hex(&header.validators)) } } }
            div.fact.wide { dt { "Proposer" } dd { code { (hex(&header.proposer)) } } }
            div.fact.wide { dt { "Chain" } dd { code { (hex(&header.chain_id)) } } }
        }
    }
}

fn neighbours(app: &App, height: u64) -> Markup {
    let newest = app.pages.view.borrow().head.as_ref().map(|head| head.height);
    html! {
        nav.pages aria-label="Neighbours" {
            @if let Some(before) = height.checked_sub(1) {
                a rel="prev" href={ "/blocks/" (before) } { "Block before" }
            }
            @if newest.is_some_and(|newest| newest > height) {
                a rel="next" href={ "/blocks/" (height + 1) } { "Next block" }
            }
        }
    }
}

fn transactions(block: &Block) -> Markup {
    let rows = html! { @for transaction in &block.transactions { (transaction_row(transaction)) } };
    html! {
        section aria-labelledby="transactions-title" {
            h2 #transactions-title { "Transactions" }
            @if block.transactions.is_empty() {
                p.muted {
                    "None: a block is made every ten seconds, whether there is something to put on record or not."
                }
            }
            @else { (layout::table("Anchors in this block", &["Session", "Recorded", "Chunks", "Began", "Root"], &rows)) }
        }
    }
}

fn transaction_row(transaction: &SignedTransaction) -> Markup {
    let Transaction::Anchor(anchor) = &transaction.tx;
    let session = SessionId::from_bytes(anchor.session);
    html! {
        tr {
            th.text scope="row" { a href={ "/sessions/" (session) } { (session) } }
            td { (format::bytes(anchor.bytes)) }
            td { (anchor.chunks) }
            td { (format::time(anchor.started_ms)) }
            td { (format::hash(&HEXLOWER.encode(&anchor.root))) }
        }
    }
}

pub(super) async fn validate(
    State(app): State<Shared>,
    Developer(_who): Developer,
    _fields: Fields,
) -> Result<Response, Refusal> {
    app.patiently(app.pages.chain.validate()).await??;
    Ok(Redirect::to("/blocks?done=validating").into_response())
}
