//! The chain over HTTP.
//!
//! Hashes only (checkpoint, key, proofs) are for anybody: they are what an outsider checks this appliance by, and say no
//! more than how long the chain is. What tells of recordings (head, blocks, anchors) needs a caller; starting work needs
//! a developer. Handlers parse, ask the port, answer; they must never hold logic.

use axum::{
    Router,
    extract::State,
    response::IntoResponse,
    routing::{get, post},
};
use lucid_http::{AdminCaller, Caller, DeveloperCaller, Json, Path, Problem, Query};
use lucid_ports::{AnchorError, AnchorState, Anchoring, BlockSummary, Chain, ChainError, Head, SessionId, Validation};
use lucid_proof::hash::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    AnchoringPort, ChainPort, SignError, SubmitError, Submitted,
    view::{AnchorView, BlockView, hex},
};

/// Blocks in a list when the caller names no limit.
const LIMIT_DEFAULT: usize = 20;
/// Seconds after which asking an absent service again is worth it.
const RETRY_AFTER_S: u64 = 5;

type Chained = State<ChainPort>;

/// `/api/chain/…`: reads, proofs and validation. For the ports of blockchain-engine and block-manager.
///
/// | route | answer |
/// |---|---|
/// | GET `head` | newest block |
/// | GET `blocks?before&limit` | at most `limit` (default 20, most 1000) blocks below `before`, newest first |
/// | GET `blocks/{height}` | one block |
/// | GET `anchors/{session}` | height and index of a session's anchor |
/// | GET `checkpoint` | signed checkpoint, text |
/// | GET `key` | verifier key, text |
/// | GET `consistency?old&new` | consistency path between two sizes of the log |
/// | GET `log-proof/{height}` | inclusion path of a header, with the checkpoint |
/// | GET `validation` | the last or running validation |
/// | POST `validate` | starts one; 202 |
pub fn chain(chain: ChainPort) -> Router {
    Router::new()
        .route("/api/chain/head", get(head))
        .route("/api/chain/blocks", get(blocks))
        .route("/api/chain/blocks/{height}", get(block))
        .route("/api/chain/anchors/{session}", get(anchor))
        .route("/api/chain/checkpoint", get(checkpoint))
        .route("/api/chain/key", get(key))
        .route("/api/chain/consistency", get(consistency))
        .route("/api/chain/log-proof/{height}", get(log_proof))
        .route("/api/chain/validation", get(validation))
        .route("/api/chain/validate", post(validate))
        .with_state(chain)
}

/// `/api/anchors`: POST queues an anchor (202, or 200 if it is in a block already), GET `{session}` tells its state. For
/// the port of session-anchoring. Queueing is for administrators: a wrong anchor keeps a session from its right one.
pub fn anchoring(anchoring: AnchoringPort) -> Router {
    Router::new()
        .route("/api/anchors", post(submit))
        .route("/api/anchors/{session}", get(anchor_state))
        .with_state(anchoring)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    old: u64,
    new: u64,
}

#[derive(Serialize)]
struct ConsistencyView {
    old: u64,
    new: u64,
    path: Vec<String>,
}

#[derive(Serialize)]
struct LogProofView {
    height: u64,
    size: u64,
    path: Vec<String>,
    checkpoint: String,
}

#[derive(Serialize)]
struct AnchorPlace {
    session: SessionId,
    height: u64,
    index: u32,
}

#[derive(Serialize)]
struct AnchorStateView {
    session: SessionId,
    #[serde(flatten)]
    state: AnchorState,
}

async fn head(_: Caller, State(chain): Chained) -> Result<Json<Head>, Problem> {
    chain.head().map(Json).ok_or_else(|| problem(ChainError::Unavailable))
}

async fn blocks(
    _: Caller,
    State(chain): Chained,
    Query(page): Query<Page>,
) -> Result<Json<Vec<BlockSummary>>, Problem> {
    chain.latest(page.before, page.limit.unwrap_or(LIMIT_DEFAULT)).await.map(Json).map_err(problem)
}

async fn block(_: Caller, State(chain): Chained, Path(height): Path<u64>) -> Result<Json<BlockView>, Problem> {
    let block = chain.block(height).await.map_err(problem)?;
    let block = block.ok_or_else(|| Problem::not_found("no_block", format!("there is no block {height} yet")))?;
    BlockView::new(&block).map(Json).map_err(|error| Problem::internal(&error))
}

async fn anchor(_: Caller, State(chain): Chained, Path(text): Path<String>) -> Result<Json<AnchorPlace>, Problem> {
    let session = session(&text)?;
    match chain.anchor(session).await.map_err(problem)? {
        Some((height, index)) => Ok(Json(AnchorPlace { session, height, index })),
        None => Err(Problem::not_found("not_anchored", format!("no block holds an anchor of session {session}"))),
    }
}

async fn checkpoint(State(chain): Chained) -> Result<String, Problem> {
    chain.checkpoint().await.map_err(problem)
}

async fn key(State(chain): Chained) -> Result<String, Problem> {
    Ok(format!("{}\n", chain.key().await.map_err(problem)?))
}

async fn consistency(
    State(chain): Chained,
    Query(Sizes { old, new }): Query<Sizes>,
) -> Result<Json<ConsistencyView>, Problem> {
    let path = chain.consistency(old, new).await.map_err(problem)?;
    Ok(Json(ConsistencyView { old, new, path: hashes(&path) }))
}

async fn log_proof(State(chain): Chained, Path(height): Path<u64>) -> Result<Json<LogProofView>, Problem> {
    let proof = chain.log_proof(height).await.map_err(problem)?;
    let path = hashes(&proof.path);
    Ok(Json(LogProofView { height, size: proof.size, path, checkpoint: proof.checkpoint }))
}

async fn validation(_: Caller, State(chain): Chained) -> Json<Validation> {
    Json(chain.validation())
}

async fn validate(_: DeveloperCaller, State(chain): Chained) -> Result<impl IntoResponse, Problem> {
    chain.validate().await.map_err(problem)?;
    Ok((axum::http::StatusCode::ACCEPTED, Json(chain.validation())))
}

async fn submit(
    _: AdminCaller,
    State(port): State<AnchoringPort>,
    Json(view): Json<AnchorView>,
) -> Result<impl IntoResponse, Problem> {
    let anchor = view.anchor().map_err(|error| Problem::unprocessable("invalid_anchor", error.to_string()))?;
    let session = SessionId::from_bytes(anchor.session);
    let (status, state) = match port.anchor(anchor).await.map_err(sign_problem)? {
        Submitted::Pending => (axum::http::StatusCode::ACCEPTED, AnchorState::Pending),
        Submitted::Anchored { height } => (axum::http::StatusCode::OK, AnchorState::Anchored { height }),
    };
    Ok((status, Json(AnchorStateView { session, state })))
}

async fn anchor_state(
    _: Caller,
    State(port): State<AnchoringPort>,
    Path(text): Path<String>,
) -> Result<Json<AnchorStateView>, Problem> {
    let session = session(&text)?;
    match port.state(session).await {
        Ok(state) => Ok(Json(AnchorStateView { session, state })),
        Err(error @ AnchorError::Conflict(_)) => Err(Problem::conflict("anchor_conflict", error.to_string())),
        Err(error @ AnchorError::Unavailable) => Err(absent(error.to_string())),
    }
}

fn session(text: &str) -> Result<SessionId, Problem> {
    text.parse()
        .map_err(|error: lucid_ports::InvalidSessionId| Problem::bad_request("invalid_session", error.to_string()))
}

fn hashes(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| hex(hash)).collect()
}

fn problem(error: ChainError) -> Problem {
    match error {
        ChainError::OutOfRange(detail) => Problem::bad_request("out_of_range", detail),
        ChainError::Unavailable => absent(error.to_string()),
    }
}

fn sign_problem(error: SignError) -> Problem {
    match error {
        SignError::Unavailable | SignError::Busy => absent(error.to_string()),
        SignError::Submit(SubmitError::Conflict(session)) => {
            Problem::conflict("anchor_conflict", format!("session {session} has another anchor already"))
        }
        SignError::Submit(error @ (SubmitError::Full | SubmitError::Refused(_))) => absent(error.to_string()),
        SignError::Submit(SubmitError::Store(error)) if error.is_disk_full() => {
            Problem::insufficient_storage("disk_full", "the data disk is full: free some space and try again")
        }
        error @ SignError::Submit(_) => Problem::internal(&error),
    }
}

fn absent(detail: String) -> Problem {
    Problem::unavailable("chain_unavailable", detail).with_retry_after_s(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests;
