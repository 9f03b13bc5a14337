//! The owner: claims a box, and asks it over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::{LONG, Method, Place, Reply, Running, SHORT, eventually, send, try_send};

/// The owner's account.
pub(crate) const NAME: &str = "owner";
/// Its password; looked for in logs, so it must not be a word that stands there anyway.
pub(crate) const PASSWORD: &str = "heron-Quince-71-lantern";

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Owner {
    port: u16,
    pub(crate) code: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) recovery_key: String,
}

impl Owner {
    /// Claims a fresh box, and logs the command line in.
    #[track_caller]
    pub(crate) fn claim(place: &Place, running: &Running) -> Self {
        Self::claim_with(place, running, running.claim_code())
    }

    /// Claims a box with a code that is known.
    #[track_caller]
    pub(crate) fn claim_with(place: &Place, running: &Running, code: String) -> Self {
        // What recording and proving stand on.
        for service in ["session-storage", "session-pipeline", "session-api", "blockchain-engine"] {
            wait_for_health(place.port(service), "healthy");
        }
        Self::claim_at_once(place, running, code)
    }

    /// Claims a box, whether or not it has a data disk.
    #[track_caller]
    pub(crate) fn claim_at_once(place: &Place, running: &Running, code: String) -> Self {
        wait_for_health(place.port("auth-service"), "healthy");
        let body = json!({ "code": code, "name": NAME, "password": PASSWORD }).to_string();
        let json_body = [("Content-Type", "application/json")];
        let reply = send(place.dashboard(), "POST", "/api/auth/claim", &json_body, body.as_bytes()).expect(201).json();
        let text = |name: &str| reply[name].as_str().unwrap().to_owned();
        login(place, running);
        Self {
            port: place.dashboard(),
            code,
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            recovery_key: text("recovery_key"),
        }
    }

    /// Logs in to a box that is claimed.
    #[track_caller]
    pub(crate) fn enter(place: &Place) -> Self {
        wait_for_health(place.port("auth-service"), "healthy");
        let body = json!({ "name": NAME, "password": PASSWORD }).to_string();
        let json_body = [("Content-Type", "application/json")];
        let reply = send(place.dashboard(), "POST", "/api/auth/login", &json_body, body.as_bytes()).expect(200).json();
        let text = |name: &str| reply[name].as_str().unwrap_or_default().to_owned();
        let (access_token, refresh_token) = (text("access_token"), text("refresh_token"));
        Self { port: place.dashboard(), code: String::new(), access_token, refresh_token, recovery_key: String::new() }
    }

    /// The header that proves it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.access_token)
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], b"")
    }

    /// A page of the dashboard, as a browser gets it.
    #[track_caller]
    pub(crate) fn page(&self, target: &str) -> Reply {
        let cookie = format!("lucid_session={}", self.access_token);
        send(self.port, "GET", target, &[("Cookie", &cookie), ("Accept", "text/html")], b"")
    }

    /// Waits until a page shows these words, and gives it.
    #[track_caller]
    pub(crate) fn wait_for_page(&self, target: &str, words: &str) -> String {
        eventually(&format!("`{words}` on {target}"), LONG, || {
            let page = self.page(target).expect(200).text();
            if page.contains(words) { Ok(page) } else { Err(page) }
        })
    }

    /// Sends a form of the dashboard, as a browser does; `from` is the page with it.
    #[track_caller]
    pub(crate) fn submit(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.page(from).expect(200).text();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("the page has a form");
        let token = &rest[..rest.find('"').unwrap()];
        let pairs = fields.iter().copied().chain([("csrf", token)]);
        let body = pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let cookie = format!("lucid_session={}", self.access_token);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [("Cookie", cookie.as_str()), kind, ("Sec-Fetch-Site", "same-origin")];
        send(self.port, "POST", to, &headers, body.as_bytes())
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: Method, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let bearer = self.bearer();
        let headers: Vec<_> = headers.iter().copied().chain([("Authorization", bearer.as_str())]).collect();
        send(self.port, method, target, &headers, body)
    }

    /// What a service says of itself now; an error where the box does not answer.
    pub(crate) fn service(&self, name: &str) -> Result<Value, String> {
        let bearer = self.bearer();
        let reply = try_send(self.port, "GET", "/api/services", &[("Authorization", &bearer)], b"");
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("{}: {}", reply.status, reply.text()));
        }
        let services = reply.json();
        let found = services.as_array().and_then(|all| all.iter().find(|service| service["name"] == name));
        found.cloned().ok_or_else(|| services.to_string())
    }

    /// Waits until a service's health is this word.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, health: &str) -> Value {
        eventually(&format!("`{name}` {health}"), LONG, || {
            let service = self.service(name)?;
            if service["health"]["state"] == health { Ok(service) } else { Err(service.to_string()) }
        })
    }

    /// Waits until every service is healthy.
    #[track_caller]
    pub(crate) fn wait_for_all(&self) {
        eventually("all services healthy", LONG, || {
            let bearer = self.bearer();
            let reply = try_send(self.port, "GET", "/api/services", &[("Authorization", &bearer)], b"");
            let services = reply.map_err(|error| error.to_string())?.json();
            let all = services.as_array().ok_or_else(|| services.to_string())?;
            match all.iter().find(|service| !is_well(service)) {
                None => Ok(()),
                Some(service) => Err(service.to_string()),
            }
        });
    }

    /// Asserts that everything but `affected` is healthy now.
    #[track_caller]
    pub(crate) fn assert_others_healthy(&self, affected: &[&str]) {
        for service in self.get("/api/services").expect(200).json().as_array().unwrap() {
            let name = service["name"].as_str().unwrap();
            assert!(affected.contains(&name) || is_well(service), "{service}");
        }
    }

    /// A recording, as the API tells of it.
    pub(crate) fn session(&self, id: &str) -> Result<Value, String> {
        let bearer = self.bearer();
        let target = format!("/api/sessions/{id}");
        let reply = try_send(self.port, "GET", &target, &[("Authorization", &bearer)], b"");
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status == 200 { Ok(reply.json()) } else { Err(reply.text()) }
    }

    /// Validates the whole chain.
    #[track_caller]
    pub(crate) fn validate_chain(&self) {
        let started = self.ask("POST", "/api/chain/validate", &[], b"").expect(202).json();
        assert_ne!(started["state"], "never");
        eventually("the chain's validation", LONG, || {
            let validation = self.get("/api/chain/validation").expect(200).json();
            assert_ne!(validation["state"], "invalid", "{validation}");
            if validation["state"] == "valid" { Ok(()) } else { Err(validation.to_string()) }
        });
    }

    /// The newest block.
    #[track_caller]
    pub(crate) fn head(&self) -> Value {
        eventually("the chain's head", SHORT, || {
            let reply = self.get("/api/chain/head");
            if reply.status == 200 { Ok(reply.json()) } else { Err(reply.text()) }
        })
    }

    /// Waits for a block above `height`.
    #[track_caller]
    pub(crate) fn wait_for_block_above(&self, height: u64) -> Value {
        eventually("another block", LONG, || {
            let head = self.head();
            if head["height"].as_u64() > Some(height) { Ok(head) } else { Err(head.to_string()) }
        })
    }
}

/// Whether a service is as it should be on this machine, which may lack a thermal zone.
fn is_well(service: &Value) -> bool {
    let state = &service["health"]["state"];
    state == "healthy" || (service["name"] == "thermal-watch" && state == "degraded")
}

/// Logs the command line in.
#[track_caller]
pub(crate) fn login(place: &Place, running: &Running) {
    wait_for_health(place.port("auth-service"), "healthy");
    let (server, fingerprint) = (place.server(), running.fingerprint());
    let arguments = ["login", "--server", &server, "--fingerprint", &fingerprint, "--password-stdin", NAME];
    place.cli_with(&arguments, &format!("{PASSWORD}\n")).expect(0);
}

/// Waits until `/health` of a port says this.
#[track_caller]
pub(crate) fn wait_for_health(port: u16, status: &str) {
    eventually(&format!("health `{status}` on port {port}"), SHORT, || {
        let reply = try_send(port, "GET", "/health", &[], b"").map_err(|error| error.to_string())?;
        if reply.json()["status"] == status { Ok(()) } else { Err(reply.text()) }
    });
}

/// The time within which a listener must answer whatever else goes on: half of what it lets anybody keep it waiting, so
/// that nobody is behind whom it queues. A lost SYN alone costs a second.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);
