//! The one page, from the status to markup. Pure.

use lucid_agent_protocol::update::{Phase, UpdateReport};
use maud::{Markup, html};

use super::RescueStatus;
use crate::admin_interface::format;
use crate::admin_interface::layout::{self, Tone, badge};
use crate::admin_interface::update::show;
use crate::update::UpdateStatus;

/// The page.
pub(super) fn render(status: &RescueStatus, notice: Option<(Tone, &str)>) -> Markup {
    let updates = UpdateStatus {
        agent: status.agent.clone(),
        agent_problem: status.agent_problem.clone(),
        transfer: status.transfer.clone(),
        ..UpdateStatus::default()
    };
    let body = html! {
        (why(status))
        @match (&status.agent, &status.agent_problem) {
            (Some(report), _) => {
                (show::banner(&updates).unwrap_or_default())
                (show::progress(&updates))
                (orders(report))
                (show::slots(report))
                (show::history(report))
                (show::trust(report))
            }
            (None, Some(problem)) => {
                (layout::missing("Slots, history and updates", problem))
                div { div.panels { (restart()) } }
            }
            (None, None) => { div { div.panels { (restart()) } } }
        }
        (at_the_box())
        (reset())
    };
    layout::in_rescue(notice, &body)
}

fn why(status: &RescueStatus) -> Markup {
    html! {
        section.verdict.bad aria-labelledby="why-title" {
            h2 #why-title { (badge(Tone::Bad, "This appliance did not come up")) }
            p { (format::sentence(&status.reason)) }
            p { "Recordings and accounts are as they were, and out of reach until it comes up again." }
        }
        @if let Some(problem) = &status.certificate_problem {
            p.notice.warn {
                strong { "Not its usual certificate. " } (format::sentence(problem)) " Type \
                nothing here that is secret, unless the console of the appliance shows the fingerprint that your \
                browser shows of the certificate's authority."
            }
        }
        @if !status.problems.is_empty() {
            section aria-labelledby="problems-title" {
                h2 #problems-title { "What else went wrong in this start" }
                ul { @for problem in &status.problems { li { (format::sentence(problem)) } } }
            }
        }
    }
}

fn orders(report: &UpdateReport) -> Markup {
    let takes_bundles = matches!(report.phase, Phase::Idle {} | Phase::Writing { .. } | Phase::Written { .. });
    html! {
        div {
            div.panels {
                @if let Phase::Written { incoming } = &report.phase { (install(&incoming.version)) }
                @if takes_bundles && report.running.is_some() { (send()) }
                (restart())
            }
        }
    }
}

fn install(version: &str) -> Markup {
    html! {
        section.panel aria-labelledby="install-title" {
            h2 #install-title { "Install version " bdi { (version) } }
            p { "The appliance restarts into it on trial, and keeps it if all critical services are healthy there." }
            form method="post" action="/install" { button.primary type="submit" { "Install it" } }
        }
    }
}

fn send() -> Markup {
    html! {
        section.panel aria-labelledby="send-title" {
            h2 #send-title { "Send an update" }
            p {
                "Only a release that is signed for this appliance is taken. It is written to the slot that does not \
                 run, and installed only when you say so."
            }
            form method="post" action="/bundle" enctype="multipart/form-data" {
                label for="bundle-file" { "Bundle" }
                input #bundle-file name="file" type="file" required;
                button type="submit" { "Send it" }
            }
        }
    }
}

fn restart() -> Markup {
    html! {
        section.panel aria-labelledby="restart-title" {
            h2 #restart-title { "Restart" }
            p { "Tries the system once more. If it fails again, this page is back a few minutes later." }
            form method="post" action="/restart" { button type="submit" { "Restart the appliance" } }
        }
    }
}

/// What takes the code.
fn at_the_box() -> Markup {
    html! {
        section aria-labelledby="box-title" {
            h2 #box-title { "For whoever is at the appliance" }
            p {
                "These take the one-time code that stands on its screen or serial line. Each use takes a new one, \
                 which is shown there at once."
            }
            div.panels {
                (with_code("diagnostics", "Diagnostics", "Reports and the kernel's log as one text file, for whoever \
                    helps you. It holds no password and no key, but names, addresses and serial numbers.",
                    "Save the diagnostics"))
                (with_code("network", "Network", "Forgets the fixed address of the provisioning: from the next restart \
                    on the appliance asks the router for one.", "Return to DHCP"))
            }
        }
    }
}

/// A form that takes the code and leads to the path that `name` names.
fn with_code(name: &str, title: &str, text: &str, button: &str) -> Markup {
    let (title_id, code_id) = (format!("{name}-title"), format!("{name}-code"));
    html! {
        section.panel aria-labelledby=(title_id) {
            h3 id=(title_id) { (title) }
            p { (text) }
            form method="post" action={ "/" (name) } {
                label for=(code_id) { "One-time code" }
                input id=(code_id) name="code" required maxlength="64" autocomplete="off" autocapitalize="characters"
                    spellcheck="false";
                button type="submit" { (button) }
            }
        }
    }
}

fn reset() -> Markup {
    html! {
        section aria-labelledby="reset-title" {
            h2 #reset-title { "Starting over" }
            p {
                "The appliance is not reset from here. To start over, write the image to its card or disk again with \
                 flash.sh: it then starts as a new appliance, and recordings on the SSD open with the recovery key."
            }
        }
    }
}

/// What the page says after a form led back to it. The word in the path is looked up, never shown.
pub(super) fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "sent" => "The update is written and read back. It is not installed yet.",
        "installing" => {
            "The restart into the new release, on trial, was ordered. Open this address again in a minute or two: if \
             the release is well, the dashboard is there."
        }
        "restarting" => "The appliance restarts now. Open this address again in a minute or two.",
        "network" => "The fixed address is forgotten. Restart the appliance: the router then gives it an address.",
        _ => return None,
    })
}
