//! The frame around every page: head, navigation, banner, notice, footer.

use lucid_ports::{Identity, Role};
use maud::{DOCTYPE, Markup, html};

use super::{app::App, assets, fields::CSRF_FIELD, format};

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Sessions,
    Blocks,
    Services,
    Storage,
    Updates,
    Accounts,
    Audit,
    System,
    Account,
}

/// The navigation: place, path, word, and the role that it takes.
const PLACES: [(Place, &str, &str, Role); 9] = [
    (Place::Overview, "/", "Overview", Role::User),
    (Place::Sessions, "/sessions", "Sessions", Role::User),
    (Place::Blocks, "/blocks", "Blocks", Role::User),
    (Place::Services, "/services", "Services", Role::Developer),
    (Place::Storage, "/storage", "Storage", Role::Developer),
    (Place::Updates, "/updates", "Updates", Role::Developer),
    (Place::Accounts, "/accounts", "Accounts", Role::Admin),
    (Place::Audit, "/audit", "Audit", Role::Admin),
    (Place::System, "/system", "System", Role::Admin),
];

/// What a page tells its frame.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) place: Place,
    /// The stream that keeps the page up to date, such as `/events?view=overview`.
    pub(super) live: Option<String>,
    /// What has just been done.
    pub(super) notice: Option<&'a str>,
}

/// A page for somebody logged in.
pub(super) fn page(app: &App, who: &Identity, frame: &Frame<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(frame.title, &live_script()))
            body data-live=[frame.live.as_deref()] {
                a.skip href="#main" { "Skip to the content" }
                @if app.is_simulated() { (banner()) }
                header.top {
                    a.brand href="/" { (mark()) span { "Lucid" } }
                    nav aria-label="Main" { ul { @for entry in PLACES { (nav_entry(entry, frame.place, who.role)) } } }
                    div.who {
                        a href="/account" aria-current=[(frame.place == Place::Account).then_some("page")] {
                            bdi { (who.user) }
                        }
                        form method="post" action="/logout" {
                            (csrf(app, who))
                            button.quiet type="submit" { "Log out" }
                        }
                    }
                }
                main #main tabindex="-1" {
                    @if let Some(notice) = frame.notice { p.notice.good role="status" { (notice) } }
                    (body)
                }
                footer {
                    p { "Lucid appliance " (env!("CARGO_PKG_VERSION")) }
                    p #link-state role="status" data-idle="Reload the page to see newer values." {
                        @if frame.live.is_some() { "Reload the page to see newer values." }
                    }
                }
            }
        }
    }
}

fn nav_entry((place, path, word, role): (Place, &str, &str, Role), here: Place, mine: Role) -> Markup {
    html! {
        @if mine >= role {
            li { a href=(path) aria-current=[(place == here).then_some("page")] { (word) } }
        }
    }
}

/// A page for somebody who is not logged in: one card.
pub(super) fn outside(app: &App, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &live_script()))
            body.outside {
                a.skip href="#main" { "Skip to the content" }
                @if app.is_simulated() { (banner()) }
                header.brand { (mark()) span { "Lucid" } }
                main #main.card tabindex="-1" { h1 { (title) } (body) }
            }
        }
    }
}

/// The page of a box in rescue: nobody is logged in, nothing leads elsewhere, and there are no scripts.
pub(crate) fn in_rescue(notice: Option<(Tone, &str)>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("In rescue", &html! {}))
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top { span.brand { (mark()) span { "Lucid" } } }
                main #main tabindex="-1" {
                    h1 { "In rescue" }
                    @if let Some((tone, text)) = notice {
                        p class={ "notice " (tone.class()) } role="status" { (text) }
                    }
                    (body)
                }
                footer {
                    p { "Lucid appliance " (env!("CARGO_PKG_VERSION")) }
                    p { "Reload the page to see newer values." }
                }
            }
        }
    }
}

/// A page that says one thing, and leads back.
pub(super) fn bare(app: &App, title: &str, text: &str) -> Markup {
    outside(app, title, &html! { p { (text) } p { a href="/" { "To the overview" } } })
}

/// What keeps a page up to date.
fn live_script() -> Markup {
    html! { script type="module" src=(assets::LIVE.path()) {} }
}

fn head(title: &str, script: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Lucid" }
            link rel="icon" type="image/svg+xml" href=(assets::ICON.path());
            link rel="stylesheet" href=(assets::STYLE.path());
            (script)
        }
    }
}

fn banner() -> Markup {
    html! {
        aside.banner aria-label="Simulation" {
            strong { "Simulated hardware." } " Temperatures, disk and power on these pages are made up."
        }
    }
}

/// The mark: a lens with a clear centre. Drawn by the style sheet's colours.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false" {
            circle.ring cx="16" cy="16" r="13" {}
            circle.core cx="16" cy="16" r="5" {}
        }
    }
}

/// The hidden field that makes a form ours.
pub(super) fn csrf(app: &App, who: &Identity) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(app.csrf.token(&who.user)); }
}

/// A part of a page that the live stream replaces by its id.
pub(super) fn live(id: &str, content: &Markup) -> Markup {
    html! { div id=(id) { (content) } }
}

/// One named value of a list of them.
pub(crate) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div.fact { dt { (name) } dd { (value) } } }
}

/// In place of a part that could not be shown.
pub(crate) fn missing(what: &str, why: &str) -> Markup {
    html! { p.notice.warn { (what) " can't be shown: " (why) } }
}

/// A table that scrolls by itself where the window is too narrow for it.
pub(super) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A one-word state with a sign, so that colour is not all that tells.
pub(crate) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { span aria-hidden="true" { (tone.sign()) } " " (word) } }
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Warn,
    Bad,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "…",
            Self::Warn => "!",
            Self::Bad => "✕",
        }
    }
}

/// A plain list of roles to choose from.
pub(super) fn role_options(chosen: Role) -> Markup {
    html! {
        @for role in [Role::User, Role::Developer, Role::Admin] {
            option value=(format::role(role)) selected[role == chosen] { (format::role(role)) }
        }
    }
}
