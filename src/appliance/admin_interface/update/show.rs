//! What the page shows of updates. Pure: from the status to markup.

use lucid_agent_protocol::update::{Attempt, Incoming, Outcome, Phase, SlotReport, TrybootWay, UpdateReport};
use lucid_device::Reading;
use lucid_layout::eeprom::BUILD_MIN_S;
use lucid_layout::update::Standing;
use maud::{Markup, html};

use super::super::{
    format,
    layout::{self, Tone, fact},
};
use super::words;
use crate::update::{ChannelState, Settings, Source, Transfer, UpdateStatus};

/// How the EEPROM is written, or made good, without the appliance.
pub(super) const WITH_IMAGER: &str = "With Raspberry Pi Imager, write “Misc utility images”, “Bootloader (Pi 5 \
    family)” to another SD card, start the Pi from it once until its light blinks evenly, then put this appliance's \
    card or disk back.";

/// What must not be overlooked; nothing where there is nothing of that kind.
pub(crate) fn banner(status: &UpdateStatus) -> Option<Markup> {
    let headline = status.agent.as_ref().and_then(words::headline)?;
    Some(html! {
        section class={ "verdict " (headline.tone.class()) } aria-labelledby="update-title" {
            h2 #update-title { (layout::badge(headline.tone, &headline.title)) }
            p { (headline.text) }
        }
    })
}

/// Both slots.
pub(crate) fn slots(report: &UpdateReport) -> Markup {
    html! {
        section aria-labelledby="slots-title" {
            h2 #slots-title { "Slots" }
            p { (words::why_this_one(report)) }
            @if let Some(reason) = report.committed.reason() {
                p.notice.warn { "Which slot is kept can't be read: " (reason) }
            }
            div.panels { @for slot in &report.slots { (one_slot(report, slot)) } }
        }
    }
}

fn one_slot(report: &UpdateReport, slot: &SlotReport) -> Markup {
    let runs = report.running == Some(slot.slot);
    let is_kept = report.committed.present() == Some(&slot.slot);
    html! {
        article.panel {
            h3 {
                "Slot " (words::slot(slot.slot)) " "
                @if runs && report.trial { (layout::badge(Tone::Busy, "on trial")) }
                @else if runs { (layout::badge(Tone::Good, "runs")) }
                @if is_kept { " " (layout::badge(Tone::Good, "is kept")) }
            }
            dl.rows {
                (fact("Version", &release(&slot.release, |release| html! { bdi { (release.version) } })))
                (fact("Build", &release(&slot.release, |release| format::hash(&release.build_id.to_string()))))
                (fact("Worth", &standing(&slot.standing)))
            }
        }
    }
}

fn release<T>(reading: &Reading<T>, show: impl FnOnce(&T) -> Markup) -> Markup {
    match reading {
        Reading::Present(value) => show(value),
        Reading::Absent { reason } | Reading::Failed { reason } => html! { span.muted { "not known: " (reason) } },
    }
}

fn standing(standing: &Standing) -> Markup {
    match standing {
        Standing::Good { .. } => html! { (layout::badge(Tone::Good, "good")) },
        Standing::Unfit { reason } => {
            html! { (layout::badge(Tone::Warn, "not bootable by itself")) p.muted { (reason) } }
        }
        Standing::Unknown => html! { span.muted { "not known" } },
    }
}

/// What is being done, in steps and bytes.
pub(crate) fn progress(status: &UpdateStatus) -> Markup {
    html! {
        section aria-labelledby="progress-title" {
            h2 #progress-title { "Under way" }
            @match &status.agent {
                Some(report) => { (steps(&report.phase)) (now(&report.phase)) }
                None => {}
            }
            @if let Some(waiting) = &status.waiting { p.notice.warn { (format::sentence(waiting)) } }
            @if let Some(transfer) = &status.transfer { (transfer_line(transfer)) }
        }
    }
}

fn steps(phase: &Phase) -> Markup {
    let Some(step) = words::step(phase) else { return html! {} };
    html! {
        ol.steps {
            @for (index, word) in words::STEPS.iter().enumerate() {
                li class=[(index < step).then_some("done")] aria-current=[(index == step).then_some("step")] { (word) }
            }
        }
    }
}

fn now(phase: &Phase) -> Markup {
    match phase {
        Phase::Idle {} => html! { p.muted { "No update is under way." } },
        Phase::Writing { incoming, offset, bundle_bytes, active } => html! {
            p {
                @if *active { (layout::badge(Tone::Busy, "coming in")) }
                @else { (layout::badge(Tone::Warn, "interrupted")) }
                " " (name(incoming)) ": " (bytes_of(*offset, *bundle_bytes)) " are safe on the appliance."
            }
            (bar("Received", *offset, *bundle_bytes))
            @if !active { p.muted { "Send the same file again: it goes on from there." } }
            (notes(incoming))
        },
        Phase::Checking { incoming, checked_bytes, of_bytes } => html! {
            p {
                (layout::badge(Tone::Busy, "being read back")) " " (name(incoming)) ": "
                (bytes_of(*checked_bytes, *of_bytes)) "."
            }
            (bar("Read back", *checked_bytes, *of_bytes))
            (notes(incoming))
        },
        Phase::Written { incoming } => html! {
            p {
                (layout::badge(Tone::Good, "ready to be installed")) " " (name(incoming))
                " is written and read back. It is not installed yet."
            }
            (notes(incoming))
        },
        Phase::Armed { incoming } => html! {
            p { (layout::badge(Tone::Busy, "restarting")) " " (whom(incoming.as_ref())) " is started on trial." }
        },
        Phase::Trying { incoming, fit_for_s, soak_s, waiting_for } => html! {
            p {
                (layout::badge(Tone::Busy, "on trial")) " " (whom(incoming.as_ref())) ": "
                @match fit_for_s {
                    Some(fit_for_s) => { "fit for " (fit_for_s) " of " (soak_s) " s." }
                    None => { "not fit yet." }
                }
            }
            @if let Some(fit_for_s) = fit_for_s { (bar("Trial", *fit_for_s, *soak_s)) }
            @if !waiting_for.is_empty() { ul { @for reason in waiting_for { li { (format::sentence(reason)) } } } }
        },
    }
}

fn name(incoming: &Incoming) -> Markup {
    html! { "version " bdi { (incoming.version) } " for slot " (words::slot(incoming.slot)) }
}

fn whom(incoming: Option<&Incoming>) -> Markup {
    match incoming {
        Some(incoming) => name(incoming),
        None => html! { "the other slot" },
    }
}

fn notes(incoming: &Incoming) -> Markup {
    html! {
        @if !incoming.notes.is_empty() {
            details #update-notes { summary { "What its makers say" } pre tabindex="0" { (incoming.notes) } }
        }
    }
}

fn bytes_of(done: u64, of: u64) -> String {
    format!("{} of {}", format::bytes(done), format::bytes(of))
}

fn bar(what: &str, done: u64, of: u64) -> Markup {
    html! { progress max=(of.max(1)) value=(done.min(of.max(1))) aria-label=(what) {} }
}

fn transfer_line(transfer: &Transfer) -> Markup {
    let who = match transfer.source {
        Source::Upload => "Sent by hand",
        Source::Pull => "Fetched as ordered",
        Source::Automatic => "Fetched by itself",
    };
    html! {
        @if transfer.active {
            p.muted {
                (who) ": " (format::bytes(transfer.done_bytes))
                @if let Some(of_bytes) = transfer.of_bytes { " of " (format::bytes(of_bytes)) }
                " handed on."
            }
        }
        @if let Some(problem) = &transfer.problem {
            p.notice.bad { (who) ", and not complete: " (format::sentence(problem)) }
        }
    }
}

/// Where new releases come from, and what happens by itself.
pub(super) fn channel(status: &UpdateStatus) -> Markup {
    let channel = &status.channel;
    let tone = match channel.state {
        ChannelState::None => None,
        ChannelState::Fresh => Some((Tone::Good, "up to date")),
        ChannelState::Stale => Some((Tone::Bad, "no trusted news")),
        ChannelState::Failed => Some((Tone::Warn, "can't be asked")),
    };
    html! {
        section aria-labelledby="channel-title" {
            h2 #channel-title { "New releases" }
            @if let Some((tone, word)) = tone {
                p { (layout::badge(tone, word)) " " (format::sentence(&channel.text)) }
            }
            @else if !channel.text.is_empty() { p { (format::sentence(&channel.text)) } }
            dl.rows {
                (fact("Channel", &html! {
                    @match &status.settings.channel { Some(url) => { bdi { (url) } } None => { "none is set" } }
                }))
                @if let Some(checked_ms) = channel.checked_ms { (fact("Last asked", &format::time(checked_ms))) }
                @if let Some(news_ms) = channel.news_ms { (fact("Newest news of", &format::time(news_ms))) }
                (fact("By itself", &html! { (automatic(&status.settings)) }))
            }
            @if let Some(report) = &channel.report { (offers(report)) }
        }
    }
}

fn automatic(settings: &Settings) -> String {
    if !settings.automatic {
        return "nothing is installed without an administrator's word".to_owned();
    }
    let which = settings.pinned.as_ref().map_or("a new release is".to_owned(), |version| format!("only {version} is"));
    match &settings.window {
        Some(window) => format!("{which} installed between {window} ({})", settings.zone),
        None => format!("{which} installed when nothing is being recorded"),
    }
}

fn offers(report: &lucid_agent_protocol::update::ChannelReport) -> Markup {
    let rows = html! {
        @for offer in &report.offers {
            tr {
                th.text scope="row" {
                    bdi { (offer.version) }
                    @if !offer.notes.is_empty() { p.muted { (offer.notes) } }
                }
                td { (format::bytes(offer.bytes)) }
                td.text {
                    @match (&offer.refused, offer.hold) {
                        (Some(why), _) => { (format::sentence(why)) }
                        (None, true) => { "Its makers hold it back: it is installed by hand only." }
                        (None, false) => { "For this appliance." }
                    }
                }
            }
        }
    };
    html! {
        @if report.offers.is_empty() { p.muted { "The channel offers nothing." } }
        @else { (layout::table("What the channel offers", &["Version", "Size", "For this appliance"], &rows)) }
    }
}

/// Whom the agent trusts, and what the board can do.
pub(crate) fn trust(report: &UpdateReport) -> Markup {
    let trust = &report.trust;
    let number = |version: Option<u64>, none: &str| version.map_or(none.to_owned(), |version| version.to_string());
    html! {
        section aria-labelledby="trust-title" {
            h2 #trust-title { "Trust and board" }
            @if trust.is_test {
                p.notice.warn {
                    strong { "Test keys." }
                    " This image takes updates signed with keys that everybody may have: it is no release, and nothing \
                     for real data."
                }
            }
            @if let Some(problem) = &trust.problem { p.notice.bad { (format::sentence(problem)) } }
            (eeprom_advice(report))
            dl.rows {
                (fact("Root keys", &html! { (number(trust.root_version, "none: no update is taken")) }))
                (fact("Release keys", &html! { (number(trust.keys_version, "none seen yet")) }))
                (fact("Oldest epoch taken", &html! { (report.epoch_floor) }))
                (fact("EEPROM of", &release(&report.eeprom_s, |unix_s| format::time(unix_s.saturating_mul(1000)))))
                (fact("Trial boots", &tryboot(&report.tryboot)))
                @if let Some(selftest) = &report.selftest {
                    (fact("Self-test", &html! {
                        @if selftest.passed { (layout::badge(Tone::Good, "passed")) }
                        @else { (layout::badge(Tone::Bad, "failed")) }
                        p.muted { (format::time(selftest.at_ms)) ": " (format::sentence(&selftest.text)) }
                    }))
                }
            }
        }
    }
}

fn eeprom_advice(report: &UpdateReport) -> Markup {
    let is_too_old = report.eeprom_s.present().is_some_and(|unix_s| *unix_s < BUILD_MIN_S);
    let is_carried = report.eeprom.carried.present().is_some_and(|release| release.build_s >= BUILD_MIN_S);
    html! {
        @if is_too_old {
            p.notice.bad {
                "The firmware in the board's EEPROM is too old for updates: they need one of 2025-10-08 or later. "
                (WITH_IMAGER)
                @if is_carried && report.eeprom.hindrance.is_none() {
                    " Or have the one installed that this image carries: an administrator does that on the page \
                     “Updates”."
                }
            }
        }
    }
}

fn tryboot(way: &TrybootWay) -> Markup {
    match way {
        TrybootWay::Mailbox => html! { "asked for through the firmware, and read back" },
        TrybootWay::ArgumentOnly { reason } => html! {
            "asked for by the restart alone" p.muted { (format::sentence(reason)) }
        },
    }
}

/// What became of former attempts, the newest first.
pub(crate) fn history(report: &UpdateReport) -> Markup {
    html! {
        section aria-labelledby="history-title" {
            h2 #history-title { "History" }
            @if report.history.is_empty() { p.muted { "Nothing was updated here yet." } }
            @else {
                ol.history role="list" {
                    @for (index, attempt) in report.history.iter().enumerate() { (one_attempt(index, attempt)) }
                }
            }
            @if !report.quarantine.is_empty() {
                p { "These releases failed here, and are not installed again by themselves:" }
                ul {
                    @for failed in &report.quarantine {
                        li {
                            bdi { (failed.version) } ", " (times(failed.failures)) ", last on "
                            (format::time(failed.at_ms))
                        }
                    }
                }
            }
        }
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn one_attempt(index: usize, attempt: &Attempt) -> Markup {
    let tone = match &attempt.outcome {
        Outcome::Committed {} | Outcome::Returned {} => (Tone::Good, "done"),
        Outcome::RolledBack { .. } | Outcome::LeftAfterFailedBoots { .. } => (Tone::Bad, "taken back"),
        Outcome::Repaired { .. } => (Tone::Warn, "put right"),
        Outcome::Discarded { .. } => (Tone::Warn, "given up"),
    };
    html! {
        li {
            p { (format::time(attempt.at_ms)) " " (layout::badge(tone.0, tone.1)) }
            p { (words::ended(attempt)) }
            @if let Outcome::RolledBack { log, .. } = &attempt.outcome && !log.is_empty() {
                details id={ "attempt-" (index) } { summary { "Its last words" } pre tabindex="0" { (log.join("\n")) } }
            }
        }
    }
}
