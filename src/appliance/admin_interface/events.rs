//! Live pages: the parts that changed, as server-sent events (HTML standard, section 9.2).
//!
//! Each event is a JSON object from element id to its new content, rendered by the same code as the page. A stream
//! looks every two seconds whether its log-in still holds and ends when it doesn't. Must never send a part to somebody
//! who could not load its page.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::{Stream, stream};
use http::StatusCode;
use lucid_ports::Role;
use maud::Markup;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use super::{View, app::Shared, blocks, guard::Visitor, overview, services, sessions, update};

/// Parts are rendered again at this pace, or when admin-interface has collected, whichever comes later.
const PERIOD: Duration = Duration::from_secs(2);
/// Without a change this is sent instead, so that the page notices a connection that died silently. It waits for 25 s.
const BEAT: Duration = Duration::from_secs(10);

/// What a page wants to be told about.
#[derive(Debug, Deserialize)]
pub(super) struct Topic {
    view: String,
    #[serde(default)]
    of: String,
}

pub(super) async fn stream(State(app): State<Shared>, visitor: Visitor, Query(topic): Query<Topic>) -> Response {
    if visitor.identity().is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let view = app.pages.view.clone();
    let feed = Feed { app, visitor, topic, view, sent: HashMap::new(), spoken: None, _permit: permit };
    Sse::new(feed.events()).into_response()
}

/// One open stream.
struct Feed {
    app: Shared,
    visitor: Visitor,
    topic: Topic,
    view: watch::Receiver<Arc<View>>,
    /// What the page has, by element id.
    sent: HashMap<&'static str, String>,
    spoken: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async move { feed.next().await.map(|event| (Ok(event), feed)) })
    }

    /// The next event; nothing when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.spoken.is_some() {
                self.pause().await;
            }
            let parts = self.parts().await?;
            let changed = self.changed(parts);
            let is_due = self.spoken.is_none_or(|at| at.elapsed() >= BEAT);
            if changed.is_empty() && !is_due {
                continue;
            }
            self.spoken = Some(Instant::now());
            return Some(event(&changed));
        }
    }

    /// Waits for the next round. Where admin-interface does not run, the clock alone sets the pace.
    async fn pause(&mut self) {
        tokio::time::sleep(PERIOD).await;
        let _ = tokio::time::timeout(PERIOD, self.view.changed()).await;
    }

    /// The parts of the page as of now; nothing where this person may not (or no longer) see it.
    async fn parts(&self) -> Option<Vec<(&'static str, Markup)>> {
        let app = &self.app;
        // A token that ran out ends the stream, too: the browser opens another one, and that renews the log-in.
        let who = &self.visitor.still_there(&*app.pages.authenticator)?;
        let is_developer = who.role >= Role::Developer;
        match self.topic.view.as_str() {
            "overview" => Some(overview::parts(app, who.role)),
            "sessions" => Some(sessions::list_parts(app, who).await),
            "session" => sessions::one_parts(app, who, &self.topic.of).await,
            "blocks" => Some(blocks::list_parts(app).await),
            "updates" if is_developer => Some(update::parts(app, who)),
            "services" if is_developer => Some(services::list_parts(app)),
            "service" if is_developer => services::one_parts(app, &self.topic.of),
            _ => None,
        }
    }

    /// Those parts that differ from what the page has.
    fn changed(&mut self, parts: Vec<(&'static str, Markup)>) -> HashMap<&'static str, String> {
        let mut changed = HashMap::new();
        for (id, part) in parts {
            let part = part.into_string();
            if self.sent.get(id) != Some(&part) {
                self.sent.insert(id, part.clone());
                changed.insert(id, part);
            }
        }
        changed
    }
}

fn event(changed: &HashMap<&'static str, String>) -> Event {
    let json = serde_json::to_string(changed).expect("a map from text to text always has a JSON form");
    Event::default().event(if changed.is_empty() { "beat" } else { "parts" }).data(json)
}
