//! The resources under `/api/v1`: each handler puts one question to the daemon and hands its view model on.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    input::{Body, Filter, Id},
    live::{self, Hello},
    openapi,
    problem::Problem,
    session::{Asker, Token},
};
use crate::{
    rpc::{Answer, ClientError, Decided, Lifetime, PrincipalPatch, Request, Visitor},
    view::{
        Decision, Edge, EdgeState, End, Explanation, Learning, Principal, PrincipalMode, SiteMode, Status,
        Trouble, Wish,
    },
};

/// Edges about which one request decides.
const AT_ONCE: usize = 100;
/// Decisions that are listed if nobody says how many.
const DECISIONS: u32 = 200;

type Answered<T> = Result<Json<T>, Problem>;
type Daemon = State<Arc<Shared>>;

/// What needs a session.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/mode", post(set_site_mode))
        .route("/api/v1/confirm", post(confirm))
        .route("/api/v1/moved", post(moved))
        .route("/api/v1/pending", get(pending))
        .route("/api/v1/edges", get(edges))
        .route("/api/v1/edges/decisions", post(decide_all))
        .route("/api/v1/edges/{id}", get(edge))
        .route("/api/v1/edges/{id}/evidence", get(evidence))
        .route("/api/v1/edges/{id}/decision", post(decide))
        .route("/api/v1/edges/{id}/wish", post(wish))
        .route("/api/v1/wishes", get(wishes))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/decisions/{id}/undo", post(undo))
        .route("/api/v1/principals", get(principals))
        .route("/api/v1/principals/{id}", get(principal).patch(set_principal))
        .route("/api/v1/principals/{id}/mode", post(set_mode))
        .route("/api/v1/principals/{id}/pause", post(pause))
        .route("/api/v1/principals/{id}/quarantine", post(quarantine))
        .route("/api/v1/principals/{id}/release", post(release))
        .route("/api/v1/principals/{id}/relearn", post(relearn))
        .route("/api/v1/trouble", get(trouble))
        .route("/api/v1/learning", get(learning))
        .route("/api/v1/learning/{principal}/finish", post(finish_learning))
        .route("/api/v1/learning/{principal}/wait", post(wait))
        .route("/api/v1/events", get(events))
        .route("/openapi.json", get(describe))
}

// The site.

/// The same object as `edgeward status --json`.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(asker: Asker) -> Answered<Status> {
    Ok(Json(asker.ask(Request::Status).await?))
}

/// The mode that the site shall have.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewSiteMode {
    mode: SiteMode,
}

/// Switches between monitor and enforce; a change to enforce reverts unless confirmed.
#[utoipa::path(post, path = "/api/v1/mode", request_body = NewSiteMode, responses((status = 200, body = Status)))]
pub(super) async fn set_site_mode(asker: Asker, Body(body): Body<NewSiteMode>) -> Answered<Status> {
    let mode = match body.mode {
        SiteMode::Monitor => "monitor",
        SiteMode::Enforce => "enforce",
    };
    let request = Request::SiteMode { mode: mode.to_owned() };
    Ok(Json(asker.ask(request).await?))
}

/// Keeps a change to enforce.
#[utoipa::path(post, path = "/api/v1/confirm", responses((status = 200, body = Status)))]
pub(super) async fn confirm(asker: Asker) -> Answered<Status> {
    Ok(Json(asker.ask(Request::Confirm).await?))
}

/// What a new router or network means.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    /// Whether all devices learn again; no model is forgotten.
    learn: bool,
}

/// Says what it means that the site is somewhere else.
#[utoipa::path(post, path = "/api/v1/moved", request_body = Moved, responses((status = 200, body = Status)))]
pub(super) async fn moved(asker: Asker, Body(body): Body<Moved>) -> Answered<Status> {
    Ok(Json(asker.ask(Request::Moved { learn: body.learn }).await?))
}

// Edges and what is decided about them.

/// What waits for a decision; a request is a pending edge and has its id.
#[utoipa::path(get, path = "/api/v1/pending", responses((status = 200, body = Vec<Edge>)))]
pub(super) async fn pending(asker: Asker) -> Result<Response, Problem> {
    Ok(asker.ask_text(Request::Pending).await?)
}

/// Which edges are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EdgeFilter {
    state: Option<EdgeState>,
    /// Name, number, MAC or IP address of one end.
    principal: Option<String>,
}

/// The edges of the graph.
#[utoipa::path(get, path = "/api/v1/edges", params(EdgeFilter), responses((status = 200, body = Vec<Edge>)))]
pub(super) async fn edges(asker: Asker, Filter(filter): Filter<EdgeFilter>) -> Result<Response, Problem> {
    let state = filter.state.map(|state| match state {
        EdgeState::Learned => "learned".to_owned(),
        EdgeState::Allowed => "allowed".to_owned(),
        EdgeState::Denied => "denied".to_owned(),
        EdgeState::Pending => "pending".to_owned(),
    });
    let request = Request::Edges { state, principal: filter.principal };
    Ok(asker.ask_text(request).await?)
}

/// One edge.
#[utoipa::path(get, path = "/api/v1/edges/{id}", params(("id" = u32, Path)), responses(
    (status = 200, body = Edge), (status = 404, body = Problem),
))]
pub(super) async fn edge(asker: Asker, Id(edge): Id<u32>) -> Answered<Edge> {
    let explanation: Explanation = asker.ask(Request::Explain { edge }).await?;
    Ok(Json(explanation.edge))
}

/// Why an edge has its state, and what was seen.
#[utoipa::path(get, path = "/api/v1/edges/{id}/evidence", params(("id" = u32, Path)), responses(
    (status = 200, body = Explanation), (status = 404, body = Problem),
))]
pub(super) async fn evidence(asker: Asker, Id(edge): Id<u32>) -> Answered<Explanation> {
    Ok(Json(asker.ask(Request::Explain { edge }).await?))
}

/// An answer to a request, or a change of an earlier one.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewDecision {
    answer: Answer,
    lifetime: Lifetime,
    /// The `rev` of the edge that was shown; if the edge has changed since, nothing is decided.
    rev: Option<u64>,
    /// Of the household, where what is of high risk is allowed for long.
    pin: Option<String>,
}

impl NewDecision {
    /// What makes one request another than the next.
    fn essence(&self) -> String {
        format!("{:?} {:?} {:?}", self.answer, self.lifetime, self.rev)
    }
}

/// A decision that is in force.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Applied {
    decision_id: u64,
    state: DecisionState,
    edge: Option<Edge>,
}

/// How far a decision is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DecisionState {
    /// The kernel holds it.
    Applied,
}

impl From<Decided> for Applied {
    fn from(decided: Decided) -> Self {
        Self { decision_id: decided.decision_id, state: DecisionState::Applied, edge: decided.edge }
    }
}

/// Decides about an edge; answered when the kernel holds the decision. A repeat with the same `Idempotency-Key` gets the
/// same answer.
#[utoipa::path(post, path = "/api/v1/edges/{id}/decision",
    params(("id" = u32, Path), ("idempotency-key" = Option<String>, Header)), request_body = NewDecision,
    responses(
        (status = 200, body = Applied),
        (status = 403, description = "Not in this role, or not without the PIN", body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "Decided or changed meanwhile; `params.edge` says by whom", body = Problem),
    ))]
pub(super) async fn decide(
    asker: Asker,
    headers: HeaderMap,
    Id(edge): Id<u32>,
    Body(body): Body<NewDecision>,
) -> Answered<Applied> {
    let asked = (edge, body.essence());
    let work = async { decide_one(&asker, edge, body).await.map(Json) };
    asker.shared.once.answer(&headers, &asker.token, &asked, work).await
}

async fn decide_one(asker: &Asker, edge: u32, body: NewDecision) -> Result<Applied, Problem> {
    let NewDecision { answer, lifetime, rev, pin } = body;
    match asker.ask::<Decided>(Request::Decide { edge, answer, lifetime, rev, pin }).await {
        Ok(decided) => Ok(decided.into()),
        Err(error) => Err(with_present_edge(asker, edge, error.into()).await),
    }
}

/// One answer to several requests.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewDecisions {
    edges: Vec<EdgeAt>,
    answer: Answer,
    lifetime: Lifetime,
    pin: Option<String>,
}

/// An edge as it was shown.
#[derive(Clone, Copy, Deserialize, Hash, ToSchema)]
pub(super) struct EdgeAt {
    id: u32,
    /// If it has changed since, nothing is decided about it.
    rev: Option<u64>,
}

/// What became of each.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub(super) struct AllApplied {
    applied: Vec<Applied>,
    refused: Vec<NotApplied>,
}

/// An edge about which nothing was decided.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct NotApplied {
    id: u32,
    problem: Problem,
}

/// Decides about several edges, one after the other, with the same answer; what is refused keeps no other from being
/// decided. A repeat with the same `Idempotency-Key` gets the same answer.
#[utoipa::path(post, path = "/api/v1/edges/decisions", params(("idempotency-key" = Option<String>, Header)),
    request_body = NewDecisions, responses(
        (status = 200, description = "Decided as far as `refused` does not say otherwise", body = AllApplied),
        (status = 422, body = Problem),
    ))]
pub(super) async fn decide_all(
    asker: Asker,
    headers: HeaderMap,
    Body(body): Body<NewDecisions>,
) -> Answered<AllApplied> {
    if body.edges.is_empty() || body.edges.len() > AT_ONCE {
        return Err(Problem::invalid(format!("Decide about 1 to {AT_ONCE} edges at once")));
    }
    let NewDecisions { edges, answer, lifetime, pin } = body;
    let asked = (edges.clone(), format!("{answer:?} {lifetime:?}"));
    let work = async {
        let mut all = AllApplied::default();
        for EdgeAt { id, rev } in edges {
            let one = NewDecision { answer, lifetime: lifetime.clone(), rev, pin: pin.clone() };
            match decide_one(&asker, id, one).await {
                Ok(applied) => all.applied.push(applied),
                Err(problem) => all.refused.push(NotApplied { id, problem }),
            }
        }
        Ok(Json(all))
    };
    asker.shared.once.answer(&headers, &asker.token, &asked, work).await
}

/// Adds to a conflict what the other side decided.
async fn with_present_edge(asker: &Asker, edge: u32, problem: Problem) -> Problem {
    if !problem.is_conflict() {
        return problem;
    }
    let now: Result<Explanation, ClientError> = asker.ask(Request::Explain { edge }).await;
    match now {
        Ok(explanation) => problem.with_edge(explanation.edge),
        Err(_) => problem,
    }
}

/// Asks the owners to decide about an edge.
#[utoipa::path(post, path = "/api/v1/edges/{id}/wish", params(("id" = u32, Path)), responses(
    (status = 204, description = "The owners see it"), (status = 404, body = Problem),
))]
pub(super) async fn wish(asker: Asker, Id(edge): Id<u32>) -> Result<StatusCode, Problem> {
    asker.ask::<IgnoredAny>(Request::Wish { edge }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What owners are asked to decide.
#[utoipa::path(get, path = "/api/v1/wishes", responses((status = 200, body = Vec<Wish>)))]
pub(super) async fn wishes(asker: Asker) -> Answered<Vec<Wish>> {
    Ok(Json(asker.ask(Request::Wishes).await?))
}

/// How many decisions are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DecisionFilter {
    limit: Option<u32>,
}

/// What was decided, newest first.
#[utoipa::path(get, path = "/api/v1/decisions", params(DecisionFilter),
    responses((status = 200, body = Vec<Decision>)))]
pub(super) async fn decisions(
    asker: Asker,
    Filter(filter): Filter<DecisionFilter>,
) -> Result<Response, Problem> {
    let limit = Some(filter.limit.unwrap_or(DECISIONS));
    Ok(asker.ask_text(Request::Decisions { limit }).await?)
}

/// What proves who takes a decision back.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct NewUndo {
    /// Of the household, where something of high risk would pass for long again.
    pin: Option<String>,
}

/// Takes a decision back, by a new entry; connections that it had opened end.
#[utoipa::path(post, path = "/api/v1/decisions/{id}/undo", params(("id" = u64, Path)),
    request_body(content = Option<NewUndo>, description = "Nothing, where no PIN is needed"), responses(
        (status = 200, body = Applied),
        (status = 403, description = "Not in this role, or not without the PIN", body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
    ))]
pub(super) async fn undo(
    asker: Asker,
    Id(decision): Id<u64>,
    body: Option<Body<NewUndo>>,
) -> Answered<Applied> {
    let NewUndo { pin } = body.map_or_else(NewUndo::default, |Body(body)| body);
    let decided: Decided = asker.ask(Request::Undo { decision, pin }).await?;
    Ok(Json(decided.into()))
}

// Principals.

/// All principals.
#[utoipa::path(get, path = "/api/v1/principals", responses((status = 200, body = Vec<Principal>)))]
pub(super) async fn principals(asker: Asker) -> Result<Response, Problem> {
    Ok(asker.ask_text(Request::Principals).await?)
}

/// One principal.
#[utoipa::path(get, path = "/api/v1/principals/{id}", params(("id" = u32, Path)), responses(
    (status = 200, body = Principal), (status = 404, body = Problem),
))]
pub(super) async fn principal(asker: Asker, Id(id): Id<u32>) -> Answered<Principal> {
    let request = Request::Principal { principal: id.to_string() };
    Ok(Json(asker.ask(request).await?))
}

/// Sets name, kind, room or description; an empty text removes one.
#[utoipa::path(patch, path = "/api/v1/principals/{id}", params(("id" = u32, Path)), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = 404, body = Problem)))]
pub(super) async fn set_principal(
    asker: Asker,
    Id(id): Id<u32>,
    Body(patch): Body<PrincipalPatch>,
) -> Answered<Principal> {
    let request = Request::PrincipalSet { principal: id.to_string(), patch };
    Ok(Json(asker.ask(request).await?))
}

/// The mode that a principal shall have.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewMode {
    mode: PrincipalMode,
    /// The `rev` of the principal that was shown; if its mode has changed since, nothing is done.
    rev: Option<u64>,
}

/// Changes how a principal is treated.
#[utoipa::path(post, path = "/api/v1/principals/{id}/mode", params(("id" = u32, Path)), request_body = NewMode,
    responses(
        (status = 200, body = Principal),
        (status = 404, body = Problem),
        (status = 409, description = "Changed meanwhile; `params.act` says by whom and when", body = Problem),
        (status = 422, body = Problem),
    ))]
pub(super) async fn set_mode(
    asker: Asker,
    Id(id): Id<u32>,
    Body(body): Body<NewMode>,
) -> Answered<Principal> {
    let mode = match body.mode {
        PrincipalMode::New => "new",
        PrincipalMode::Learning => "learning",
        PrincipalMode::Enforcing => "enforcing",
        PrincipalMode::Guest => "guest",
        PrincipalMode::Quarantine => "quarantine",
        PrincipalMode::Ready | PrincipalMode::Outside | PrincipalMode::System => {
            return Err(Problem::invalid("Nobody can choose this mode"));
        }
    };
    change_mode(&asker, id, mode, body.rev).await
}

/// Cuts a principal off, at once.
#[utoipa::path(post, path = "/api/v1/principals/{id}/quarantine", params(("id" = u32, Path)),
    responses((status = 200, body = Principal), (status = 404, body = Problem)))]
pub(super) async fn quarantine(asker: Asker, Id(id): Id<u32>) -> Answered<Principal> {
    change_mode(&asker, id, "quarantine", None).await
}

/// Lets a principal out of quarantine, into the mode that it had before.
#[utoipa::path(post, path = "/api/v1/principals/{id}/release", params(("id" = u32, Path)),
    responses((status = 200, body = Principal), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn release(asker: Asker, Id(id): Id<u32>) -> Answered<Principal> {
    Ok(Json(asker.ask(Request::Release { principal: id.to_string() }).await?))
}

async fn change_mode(asker: &Asker, id: u32, mode: &str, rev: Option<u64>) -> Answered<Principal> {
    let request = Request::PrincipalMode { principal: id.to_string(), mode: mode.to_owned(), rev };
    Ok(Json(asker.ask(request).await?))
}

/// How long a principal is only watched.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPause {
    seconds: u32,
}

/// Lets a principal do everything for a while; what it does is recorded.
#[utoipa::path(post, path = "/api/v1/principals/{id}/pause", params(("id" = u32, Path)), request_body = NewPause,
    responses((status = 200, body = Principal), (status = 404, body = Problem)))]
pub(super) async fn pause(asker: Asker, Id(id): Id<u32>, Body(body): Body<NewPause>) -> Answered<Principal> {
    let request = Request::Pause { principal: Some(id.to_string()), seconds: body.seconds };
    Ok(Json(asker.ask(request).await?))
}

/// How long a principal learns.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewLearning {
    seconds: u32,
}

/// Lets a principal learn for a while, for an update that is wanted.
#[utoipa::path(post, path = "/api/v1/principals/{id}/relearn", params(("id" = u32, Path)), request_body = NewLearning,
    responses((status = 200, body = Principal), (status = 404, body = Problem)))]
pub(super) async fn relearn(
    asker: Asker,
    Id(id): Id<u32>,
    Body(body): Body<NewLearning>,
) -> Answered<Principal> {
    let start = Request::LearnStart { principal: Some(id.to_string()), seconds: Some(body.seconds) };
    Ok(Json(asker.ask(start).await?))
}

/// Whose trouble, and how far back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TroubleFilter {
    /// Name, number, MAC or IP address.
    principal: String,
    /// 15 if not given.
    minutes: Option<u32>,
}

/// What was blocked for a principal lately.
#[utoipa::path(get, path = "/api/v1/trouble", params(TroubleFilter), responses((status = 200, body = Trouble)))]
pub(super) async fn trouble(asker: Asker, Filter(filter): Filter<TroubleFilter>) -> Answered<Trouble> {
    let request = Request::Trouble { principal: filter.principal, minutes: filter.minutes.unwrap_or(15) };
    Ok(Json(asker.ask(request).await?))
}

/// A principal that learns, or has learned and will enforce soon.
#[derive(Serialize, ToSchema)]
pub(super) struct Learner {
    principal: End,
    #[schema(value_type = PrincipalMode)]
    mode: String,
    learning: Learning,
}

/// Who learns, and how far that has come.
#[utoipa::path(get, path = "/api/v1/learning", responses((status = 200, body = Vec<Learner>)))]
pub(super) async fn learning(asker: Asker) -> Answered<Vec<Learner>> {
    let principals: Vec<Principal> = asker.ask(Request::Principals).await?;
    let learners = principals.into_iter().filter_map(|principal| {
        Some(Learner {
            learning: principal.learning?,
            mode: principal.mode,
            principal: End {
                id: principal.id,
                name: principal.name,
                confirmed: principal.confirmed,
                kind: principal.kind,
            },
        })
    });
    Ok(Json(learners.collect()))
}

/// Ends learning and enforces now.
#[utoipa::path(post, path = "/api/v1/learning/{principal}/finish", params(("principal" = u32, Path)),
    responses((status = 200, body = Principal), (status = 404, body = Problem)))]
pub(super) async fn finish_learning(asker: Asker, Id(id): Id<u32>) -> Answered<Principal> {
    let finish = Request::LearnFinish { principal: Some(id.to_string()) };
    asker.ask::<IgnoredAny>(finish).await?;
    principal(asker, Id(id)).await
}

/// By how many seconds protection is put off.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewWait {
    seconds: u32,
}

/// Puts the protection of a device that is ready off.
#[utoipa::path(post, path = "/api/v1/learning/{principal}/wait", params(("principal" = u32, Path)), request_body = NewWait,
    responses((status = 200, body = Principal), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn wait(asker: Asker, Id(id): Id<u32>, Body(body): Body<NewWait>) -> Answered<Principal> {
    let request = Request::LearnWait { principal: id.to_string(), seconds: body.seconds };
    Ok(Json(asker.ask(request).await?))
}

// Live data, and the description of all this.

/// Everything that changes, as server-sent events.
#[utoipa::path(get, path = "/api/v1/events", responses(
    (status = 200, description = "text/event-stream of `hello`, `resync` and the events of the view models; `id` is a \
     position to come back to with Last-Event-ID", body = Hello, content_type = "text/event-stream"),
    (status = 429, description = "Too many open pages", body = Problem),
))]
pub(super) async fn events(
    State(shared): Daemon,
    Extension(token): Extension<Token>,
    Extension(who): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let last =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    live::open(shared, token, who.id, last)
}

/// This description.
async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi::document())
}
