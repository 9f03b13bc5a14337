//! What the overview shows of the hardware: a value, or why there is none. Pure.

use std::time::Duration;

use lucid_device::{Reading, Snapshot};
use maud::{Markup, html};

use crate::admin_interface::{
    format,
    layout::{self, Tone, fact},
};

/// What an owner looks at first.
pub(super) fn tiles(snapshot: &Snapshot) -> Markup {
    html! {
        (fact("Temperature", &reading(&zones(snapshot))))
        (fact("Memory", &reading(&memory(snapshot))))
    }
}

fn memory(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.memory.clone().map(|memory| {
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        html! {
            (format::bytes(used)) span.muted { " of " (format::bytes(memory.total_bytes)) }
            meter min="0" max=(memory.total_bytes) value=(used) aria-label="Memory in use" {}
        }
    })
}

/// The rest, a line each.
pub(super) fn rows(snapshot: &Snapshot) -> Markup {
    let usage =
        snapshot.cpu.usage_permille.clone().map(|permille| html! { (format::percent(u64::from(permille))) " busy" });
    let uptime = snapshot.board.uptime_ms.clone().map(|ms| html! { (format::duration(Duration::from_millis(ms))) });
    html! {
        (fact("Fan", &reading(&fan(snapshot))))
        (fact("Power", &reading(&power(snapshot))))
        (fact("Processor", &reading(&usage)))
        (fact("Uptime", &reading(&uptime)))
        (fact("Board", &reading(&snapshot.board.model.clone().map(|model| html! { bdi { (model) } }))))
        (fact("Drive", &reading(&drive(snapshot))))
    }
}

/// The value, or why there is none.
fn reading(reading: &Reading<Markup>) -> Markup {
    html! {
        @match reading {
            Reading::Present(value) => { (value) }
            Reading::Absent { reason } => { span.muted { "not known: " (reason) } }
            Reading::Failed { reason } => { (layout::badge(Tone::Bad, "failed")) p.muted { (reason) } }
        }
    }
}

fn zones(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.thermal_zones.clone().map(|zones| {
        html! {
            @for zone in &zones {
                span.zone {
                    (reading(&zone.temperature_mc.clone().map(|mc| html! { (format::temperature(mc)) })))
                    " " span.muted { bdi { (zone.name) } }
                }
            }
        }
    })
}

fn fan(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.fan.clone().map(|fan| {
        let is_stalled = fan.is_stalled() == Some(true);
        html! {
            (reading(&fan.rpm.clone().map(|rpm| html! { (rpm) " rpm" })))
            @if is_stalled { " " (layout::badge(Tone::Warn, "stands still")) }
        }
    })
}

fn power(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.power.clone().and_then(|power| {
        power.undervoltage_now.map(|is_low| {
            let (tone, word) = if is_low { (Tone::Warn, "voltage too low") } else { (Tone::Good, "voltage is right") };
            let was_low = power.undervoltage_since_boot.present() == Some(&true);
            html! {
                (layout::badge(tone, word))
                @if was_low && !is_low { p.muted { "It was too low since the start." } }
            }
        })
    })
}

fn drive(snapshot: &Snapshot) -> Reading<Markup> {
    snapshot.ssd.disk.clone().map(|disk| {
        html! {
            bdi { (disk.model.present().map_or(disk.name.as_str(), String::as_str)) }
            @if let Some(smart) = disk.smart.present() {
                p.muted {
                    (smart.used_percent) " % worn, " (smart.power_on_hours) " hours, " (smart.media_errors) " errors"
                }
                @if smart.critical_warning != 0 { p { (layout::badge(Tone::Bad, "the drive warns of its end")) } }
            }
        }
    })
}
