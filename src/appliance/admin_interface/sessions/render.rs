//! How sessions look. Pure but for the form's token.

use lucid_ports::{Identity, Recording, RecordingState};
use maud::{Markup, html};

use crate::admin_interface::{
    app::App,
    assets, format,
    layout::{self, Tone, fact},
    verify::Check,
};

pub(super) fn list(recordings: &[Recording], shown_max: usize, is_older: bool) -> Markup {
    let shown = &recordings[..recordings.len().min(shown_max)];
    if shown.is_empty() {
        return html! { p.muted { @if is_older { "There are no older sessions." } @else { "Nothing has been recorded yet." } } };
    }
    let rows = html! { @for recording in shown { (row(recording)) } };
    html! {
        (layout::table("Newest sessions first", &["Session", "State", "Size", "Chunks", "Owner", "Began", "Block"], &rows))
        nav.pages aria-label="Pages" {
            @if is_older { a href="/sessions" { "Newest" } }
            @if let (true, Some(last)) = (recordings.len() > shown_max, shown.last()) {
                a rel="next" href={ "/sessions?before=" (last.id) } { "Older" }
            }
        }
    }
}

fn row(recording: &Recording) -> Markup {
    html! {
        tr {
            th.text scope="row" { a href={ "/sessions/" (recording.id) } { bdi { (title(recording)) } } }
            td { (state(recording.state)) }
            td { (format::bytes(recording.durable_bytes)) }
            td { (recording.chunks) }
            td { bdi { (recording.owner) } }
            td { (format::time(recording.started_ms)) }
            td { @if let Some(height) = recording.block_height { a href={ "/blocks/" (height) } { (height) } } @else { "–" } }
        }
    }
}

/// The label, or where there is none the id.
pub(super) fn title(recording: &Recording) -> String {
    if recording.label.trim().is_empty() { recording.id.to_string() } else { recording.label.clone() }
}

fn state(state: RecordingState) -> Markup {
    let tone = if state == RecordingState::Anchored { Tone::Good } else { Tone::Busy };
    layout::badge(tone, format::state(state))
}

pub(super) fn facts(recording: &Recording) -> Markup {
    let saved = recording.durable_bytes.saturating_sub(recording.stored_bytes);
    html! {
        dl.facts.tiles {
            (fact("State", &state(recording.state)))
            (fact("Recorded", &html! { (format::bytes(recording.durable_bytes)) }))
            (fact("On disk", &html! {
                (format::bytes(recording.stored_bytes))
                @if saved > 0 { p.muted { (format::bytes(saved)) " saved by compression" } }
            }))
            (fact("Anchor", &html! {
                @if let Some(height) = recording.block_height {
                    a href={ "/blocks/" (height) } { "Block " (height) }
                } @else {
                    "in no block yet"
                }
            }))
        }
        dl.rows {
            div.fact { dt { "Owner" } dd { bdi { (recording.owner) } } }
            div.fact { dt { "Began" } dd { (format::time(recording.started_ms)) } }
            div.fact { dt { "Ended" } dd { @if let Some(ended_ms) = recording.ended_ms { (format::time(ended_ms)) } @else { "not yet" } } }
            (fact("Chunks", &html! { (recording.chunks) }))
            div.fact.wide { dt { "Id" } dd { code { (recording.id) } } }
            div.fact.wide {
                dt { "Merkle root" }
                dd { @if let Some(root) = &recording.root { code { (root) } } @else { "not sealed yet" } }
            }
        }
    }
}

pub(super) fn actions(app: &App, who: &Identity, recording: &Recording) -> Markup {
    let path = format!("/sessions/{}", recording.id);
    html! {
        section aria-labelledby="actions-title" {
            h2 #actions-title { "What you can do" }
            div.controls {
                form method="post" action={ (path) "/verify" } {
                    (layout::csrf(app, who))
                    button.primary type="submit" { "Verify" }
                }
                a.button href={ (path) "/content" } download { "Download content" }
                a.button href={ (path) "/export" } download { "Download export with proof" }
                a.button.danger href={ (path) "/delete" } { "Delete" }
            }
            p.muted {
                "“Verify” checks the anchor here, on the appliance. To check every chunk without trusting the appliance, \
                 download the export and run " code { "lucid verify" } " on another computer."
            }
        }
    }
}

/// What a verification found.
pub(super) fn checks(checks: &[Check]) -> Markup {
    let is_good = checks.iter().all(|check| check.outcome.is_ok());
    let (tone, word) =
        if is_good { (Tone::Good, "The anchor is valid") } else { (Tone::Bad, "The anchor is not proven") };
    html! {
        section #verification class={ "verdict " (tone.class()) } aria-labelledby="verification-title" {
            h2 #verification-title { (layout::badge(tone, word)) }
            ul { @for check in checks { (check_line(check)) } }
        }
    }
}

fn check_line(check: &Check) -> Markup {
    html! {
        li {
            @match &check.outcome {
                Ok(found) => { (layout::badge(Tone::Good, "yes")) " " (check.what) ": " (found) }
                Err(problem) => { (layout::badge(Tone::Bad, "no")) " " (check.what) ": " (problem) }
            }
        }
    }
}

pub(super) fn confirm_delete(app: &App, who: &Identity, recording: &Recording) -> Markup {
    html! {
        p.crumb { a href="/sessions" { "All sessions" } }
        h1 { "Delete this session?" }
        p { strong { bdi { (title(recording)) } } ", " (format::bytes(recording.durable_bytes)) ", " (format::time(recording.started_ms)) }
        p.notice.warn {
            "Its key is destroyed, then its chunks are removed. Nobody can read it afterwards, you included, and nothing brings it \
             back. What the chain holds of it stays: id, root and times, from which nothing can be read."
        }
        form.controls method="post" action={ "/sessions/" (recording.id) "/delete" } {
            (layout::csrf(app, who))
            button.danger type="submit" { "Delete for ever" }
            a.button href={ "/sessions/" (recording.id) } { "Keep it" }
        }
    }
}

/// Works as a plain form; a script adds progress and resuming. The token and the label stand before the file, because
/// the form is read as it comes.
pub(super) fn upload_form(app: &App, who: &Identity) -> Markup {
    html! {
        section aria-labelledby="upload-title" {
            h2 #upload-title { "Record a file" }
            form #upload.panel.fields method="post" action="/sessions/upload" enctype="multipart/form-data" {
                (layout::csrf(app, who))
                div {
                    label for="label" { "Label" }
                    input #label name="label" maxlength="200" autocomplete="off" placeholder="may stay empty";
                }
                div {
                    label for="file" { "File" }
                    input #file name="file" type="file" required;
                }
                button.primary type="submit" { "Record" }
            }
            progress #upload-progress max="100" value="0" aria-label="Recorded so far" hidden {}
            p #upload-said role="status" {}
            script type="module" src=(assets::UPLOAD.path()) {}
        }
    }
}
