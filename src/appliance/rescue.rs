//! rescue: the page of a box that does not come up, and what can be done about it there.
//!
//! Owns nothing that lasts. Runs without the services of the box: no accounts, no store, no data disk, so nobody can
//! log in. What anybody on the network may do is therefore what can't harm: send a release, which the agent takes only
//! if a trusted key signed it, install it on trial, and restart. Whoever wants to see the box's insides, or change its
//! network, has to be at the box: a one-time code on its console proves that ([`code`]).
//!
//! Promises: works without JavaScript; one bundle is on its way at a time, in a few pieces of memory; every part says
//! why where the agent does not answer. Must never: take an order from a page of somebody else, show the last lines of
//! a service without the code, or write anything itself.

mod bundle;
mod code;
mod diagnostics;
mod page;
mod status;

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Multipart, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use lucid_agent_protocol::{Reply, Request as Order};
use lucid_http::{Json, Problem, Query};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use code::Announce;
pub use status::RescueStatus;

use crate::admin_interface::layout::Tone;
use crate::admin_interface::{assets, format, guard};
use crate::update::{Settings, UpdateError, problem};
use crate::{AgentError, AgentLink, Boot};
use bundle::Bundles;
use code::Door;

/// The name by which it answers.
pub const NAME: &str = "rescue";

/// The agent puts an order on its disk before it answers.
const ORDER_MAX: Duration = Duration::from_secs(15);
/// Longest form without a file: one code.
const FORM_BYTES_MAX: usize = 4 * 1024;

/// What the page stands on.
pub struct Deps {
    /// How this boot went.
    pub boot: Boot,
    /// The way to the agent.
    pub agent: AgentLink,
    /// Why the box does not show its own certificate, if it does not.
    pub certificate_problem: Option<String>,
    /// The kernel's log, opened so that reading never waits; or why there is none.
    pub kernel_log: Result<File, String>,
    /// Shows the one-time code to whoever is at the box. Must never write it to a log.
    pub announce: Announce,
}

/// What handlers share.
struct Rescue {
    boot: Boot,
    agent: AgentLink,
    certificate_problem: Option<String>,
    /// Read from its beginning by one at a time.
    kernel_log: Result<Mutex<File>, String>,
    door: Arc<Door>,
    bundles: Bundles,
}

type Shared = State<Arc<Rescue>>;

/// Why the box is in rescue, in words for its owner.
pub fn reason(boot: &Boot) -> String {
    match boot {
        Boot::Known(report) => match &report.rescue {
            Some(reason) => reason.clone(),
            None => "this page was started by hand: this boot is not in rescue".to_owned(),
        },
        Boot::Unknown { reason } => format!("why is not known, as this boot left no report ({reason})"),
        Boot::NotAnAppliance => "this page was started by hand: this machine is no appliance".to_owned(),
    }
}

/// Page, orders, status and health. Makes the first one-time code and shows it; must be called inside a runtime.
pub fn routes(deps: Deps) -> Router {
    let Deps { boot, agent, certificate_problem, kernel_log, announce } = deps;
    let health = health(&boot);
    let rescue = Rescue {
        boot,
        agent,
        certificate_problem,
        kernel_log: kernel_log.map(Mutex::new),
        door: Door::open(announce),
        bundles: Bundles::default(),
    };
    let bundles = Router::new().route("/bundle", post(send_bundle)).layer(DefaultBodyLimit::disable());
    let orders = Router::new()
        .route("/", get(show_page))
        .route("/api/rescue/status", get(show_status))
        .route("/install", post(install))
        .route("/restart", post(restart))
        .route("/diagnostics", post(show_diagnostics))
        .route("/network", post(forget_network))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
    lucid_http::middleware::streaming(bundles)
        .merge(orders)
        .merge(assets::routes())
        .fallback(elsewhere)
        .layer(from_fn(refuse_foreign_pages))
        .layer(from_fn(guard::add_headers))
        .with_state(Arc::new(rescue))
        .merge(health)
}

/// `GET /health`: 503, in rescue, and why. The page says the same to everybody.
pub fn health(boot: &Boot) -> Router {
    #[derive(Clone, Serialize)]
    struct Health {
        service: &'static str,
        status: &'static str,
        reasons: Vec<String>,
    }
    let health = Health { service: NAME, status: "rescue", reasons: vec![reason(boot)] };
    let answer = async move || (StatusCode::SERVICE_UNAVAILABLE, Json(health.clone()));
    Router::new().route(lucid_http::health::HEALTH_PATH, get(answer))
}

/// Why something was not done.
struct NotDone {
    status: StatusCode,
    text: String,
}

impl NotDone {
    fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }
}

impl From<UpdateError> for NotDone {
    fn from(error: UpdateError) -> Self {
        let problem = problem(error);
        Self { status: problem.status(), text: format::sentence(&problem.detail()) }
    }
}

impl From<AgentError> for NotDone {
    fn from(error: AgentError) -> Self {
        UpdateError::from(error).into()
    }
}

impl From<code::NotLetIn> for NotDone {
    fn from(error: code::NotLetIn) -> Self {
        Self { status: error.status(), text: format::sentence(&error) }
    }
}

impl From<FormRejection> for NotDone {
    fn from(error: FormRejection) -> Self {
        Self { status: error.status(), text: "The form can't be read: load the page again.".to_owned() }
    }
}

impl Rescue {
    /// Has the agent do something.
    async fn order(&self, order: Order) -> Result<(), NotDone> {
        match self.agent.ask(order, ORDER_MAX).await? {
            Reply::Accepted | Reply::Done => Ok(()),
            _ => Err(AgentError::Unfit.into()),
        }
    }

    /// Lets whoever has the code through, once.
    fn let_in(&self, form: Result<Form<Vec<(String, String)>>, FormRejection>) -> Result<(), NotDone> {
        let Form(fields) = form?;
        let mut fields = fields.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
        let typed = fields.find(|(name, _)| name == "code").map(|(_, value)| value);
        let typed = typed.ok_or_else(|| NotDone::bad_request("The form came without a code."))?;
        Ok(self.door.try_code(&typed)?)
    }

    /// Back to the page, with what came of it.
    async fn back(&self, outcome: Result<&'static str, NotDone>) -> Response {
        match outcome {
            Ok(done) => Redirect::to(&format!("/?done={done}")).into_response(),
            Err(NotDone { status, text }) => {
                let page = page::render(&status::look(self).await, Some((Tone::Bad, &text)));
                (status, page).into_response()
            }
        }
    }
}

#[derive(Deserialize)]
struct Done {
    done: Option<String>,
}

async fn show_page(State(rescue): Shared, Query(Done { done }): Query<Done>) -> Response {
    let notice = done.as_deref().and_then(page::notice).map(|text| (Tone::Good, text));
    page::render(&status::look(&rescue).await, notice).into_response()
}

async fn show_status(State(rescue): Shared) -> Json<RescueStatus> {
    Json(status::look(&rescue).await)
}

async fn send_bundle(State(rescue): Shared, form: Result<Multipart, MultipartRejection>) -> Response {
    let outcome = match form {
        Ok(form) => rescue.bundles.take(&rescue.agent, form).await.map(|()| "sent"),
        Err(error) => Err(NotDone::bad_request(format!("The form can't be read ({error})."))),
    };
    rescue.back(outcome).await
}

async fn install(State(rescue): Shared) -> Response {
    // The settings lie where rescue does not look: what holds without them holds here.
    let order = Order::InstallUpdate { soak_s: Settings::default().soak_s };
    rescue.back(rescue.order(order).await.map(|()| "installing")).await
}

async fn restart(State(rescue): Shared) -> Response {
    let reason = "asked for on the page of the rescue".parse().expect("a plain line");
    rescue.back(rescue.order(Order::Reboot { reason }).await.map(|()| "restarting")).await
}

async fn forget_network(State(rescue): Shared, form: Result<Form<Vec<(String, String)>>, FormRejection>) -> Response {
    let outcome = match rescue.let_in(form) {
        Ok(()) => rescue.order(Order::ForgetNetwork {}).await.map(|()| "network"),
        Err(not_done) => Err(not_done),
    };
    rescue.back(outcome).await
}

async fn show_diagnostics(State(rescue): Shared, form: Result<Form<Vec<(String, String)>>, FormRejection>) -> Response {
    if let Err(not_done) = rescue.let_in(form) {
        return rescue.back(Err(not_done)).await;
    }
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"lucid-diagnostics.txt\""),
    ];
    (headers, diagnostics::text(&rescue).await).into_response()
}

/// A bookmark of the dashboard leads to the page; a program is told that the box is in rescue.
async fn elsewhere(State(rescue): Shared, method: Method, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if method == Method::GET && accept.contains("text/html") {
        return Redirect::to("/").into_response();
    }
    let detail = format!("the appliance is in rescue: {}; open its page in a browser", reason(&rescue.boot));
    Problem::unavailable("in_rescue", detail).into_response()
}

/// Nobody is logged in here, so a page of somebody else has nothing to gain but orders that it must not give.
async fn refuse_foreign_pages(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && guard::is_foreign(request.headers()) {
        let detail = "the request came from a page that does not belong to this appliance: nothing was changed";
        return Problem::forbidden("foreign_page", detail).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
