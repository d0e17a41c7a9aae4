//! The resources under `/api/v1`: each handler puts one question to the daemon and hands its view model on.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    groups::{self, QuestionGroup},
    input::{Body, Filter, Id},
    live::{self, Hello},
    openapi::{self, Resources, resources},
    parts::{self, Cursor},
    problem::Problem,
    session::{Asker, Token},
};
use crate::{
    rpc::{Answer, ClientError, Decided, Lifetime, PrincipalPatch, Request, Visitor},
    view::{
        Decision, Edge, EdgeState, End, Explanation, Learner, Principal, PrincipalMode, SiteMode, Status,
        Trouble, UnixSeconds, Wish,
    },
};

/// Edges about which one request decides.
const AT_ONCE: usize = 100;
/// Decisions that are listed if nobody says how many.
const DECISIONS: u32 = 200;

type Answered<T> = Result<Json<T>, Problem>;
type Daemon = State<Arc<Shared>>;

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        get "/api/v1/status" => status,
        post "/api/v1/mode" => set_site_mode,
        post "/api/v1/confirm" => confirm,
        post "/api/v1/moved" => moved,
        get "/api/v1/pending" => pending,
        get "/api/v1/edges" => edges,
        post "/api/v1/edges/decisions" => decide_all,
        get "/api/v1/edges/{id}" => edge,
        get "/api/v1/edges/{id}/evidence" => evidence,
        post "/api/v1/edges/{id}/decision" => decide,
        post "/api/v1/edges/{id}/widen" => widen,
        post "/api/v1/edges/{id}/wish" => wish,
        get "/api/v1/wishes" => wishes,
        get "/api/v1/decisions" => decisions,
        post "/api/v1/decisions/{id}/undo" => undo,
        get "/api/v1/ledger" => ledger,
        get "/api/v1/principals" => principals,
        get "/api/v1/principals/{id}" => principal,
        patch "/api/v1/principals/{id}" => set_principal,
        post "/api/v1/principals/{id}/mode" => set_mode,
        post "/api/v1/principals/{id}/pause" => pause,
        post "/api/v1/principals/{id}/quarantine" => quarantine,
        post "/api/v1/principals/{id}/release" => release,
        post "/api/v1/principals/{id}/relearn" => relearn,
        delete "/api/v1/principals/{id}" => forget,
        post "/api/v1/principals/merge" => merge,
        get "/api/v1/trouble" => trouble,
        get "/api/v1/learning" => learning,
        post "/api/v1/learning/{principal}/finish" => finish_learning,
        post "/api/v1/learning/{principal}/wait" => wait,
        get "/api/v1/events" => events,
        get "/openapi.json" => describe,
    }
}

// The site.

/// The same object as `edgeward status --json`.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(asker: Asker) -> Answered<Status> {
    Ok(Json(asker.ask(Request::Status).await?))
}

/// The mode that the site shall have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSiteMode {
    mode: SiteMode,
    /// Of the household, where nothing would be stopped any more.
    pin: Option<String>,
}

/// Switches between monitor and enforce; a change to enforce reverts unless confirmed.
#[utoipa::path(post, path = "/api/v1/mode", request_body = NewSiteMode, responses((status = 200, body = Status)))]
pub(super) async fn set_site_mode(asker: Asker, Body(body): Body<NewSiteMode>) -> Answered<Status> {
    let mode = match body.mode {
        SiteMode::Monitor => "monitor",
        SiteMode::Enforce => "enforce",
    };
    let request = Request::SiteMode { mode: mode.to_owned(), pin: body.pin };
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

/// How what waits is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PendingFilter {
    #[param(inline)]
    group: Option<Grouped>,
    /// 1 to 1000 at once.
    limit: Option<u32>,
    /// From the link to the next part.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Whether similar questions of one device stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum Grouped {
    #[serde(rename = "0")]
    No,
    #[serde(rename = "1")]
    Yes,
}

/// What waits for a decision; a request is a pending edge and has its id. With `group=1` a list of groups.
#[utoipa::path(get, path = "/api/v1/pending", params(PendingFilter), responses(
    (status = 200, description = "A list of edges, or with `group=1` of groups", body = Pending,
     headers(("Link" = Option<String>, description = "The next part, if there is one"))),
))]
pub(super) async fn pending(
    asker: Asker,
    uri: Uri,
    Filter(filter): Filter<PendingFilter>,
) -> Result<Response, Problem> {
    let size = parts::size(filter.limit, filter.cursor)?;
    let is_grouped = filter.group == Some(Grouped::Yes);
    if size.is_none() && !is_grouped {
        return Ok(asker.ask_text(Request::Pending).await?);
    }
    let edges: Vec<Edge> = asker.ask(Request::Pending).await?;
    let after = |id: u32| filter.cursor.is_none_or(|Cursor(last)| u64::from(id) > last);
    let size = size.unwrap_or(usize::MAX);
    Ok(if is_grouped {
        let mut groups = groups::of(edges);
        groups.retain(|group| after(group.id));
        parts::part(groups, size, &uri, |group| group.id.into())
    } else {
        parts::part(in_order(edges, after), size, &uri, |edge| edge.id.into())
    })
}

/// What `/pending` answers.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two forms")]
pub(super) enum Pending {
    Edges(Vec<Edge>),
    Groups(Vec<QuestionGroup>),
}

fn in_order(mut edges: Vec<Edge>, after: impl Fn(u32) -> bool) -> Vec<Edge> {
    edges.retain(|edge| after(edge.id));
    edges.sort_unstable_by_key(|edge| edge.id);
    edges
}

/// Which edges are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EdgeFilter {
    state: Option<EdgeState>,
    /// Name, number, MAC or IP address of one end.
    principal: Option<String>,
    /// 1 to 1000 at once; all if neither this nor a cursor is given.
    limit: Option<u32>,
    /// From the link to the next part.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// The edges of the graph.
#[utoipa::path(get, path = "/api/v1/edges", params(EdgeFilter), responses(
    (status = 200, body = Vec<Edge>,
     headers(("Link" = Option<String>, description = "The next part, if there is one"))),
))]
pub(super) async fn edges(
    asker: Asker,
    uri: Uri,
    Filter(filter): Filter<EdgeFilter>,
) -> Result<Response, Problem> {
    let size = parts::size(filter.limit, filter.cursor)?;
    let state = filter.state.map(|state| state.as_str().to_owned());
    let request = Request::Edges { state, principal: filter.principal };
    let Some(size) = size else { return Ok(asker.ask_text(request).await?) };
    let after = |id: u32| filter.cursor.is_none_or(|Cursor(last)| u64::from(id) > last);
    let edges = in_order(asker.ask(request).await?, after);
    Ok(parts::part(edges, size, &uri, |edge| edge.id.into()))
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
#[serde(deny_unknown_fields)]
pub(super) struct NewDecision {
    #[schema(value_type = DecisionAnswer)]
    answer: DecisionAnswer,
    /// What is blocked without one is blocked always.
    lifetime: Option<Lifetime>,
    /// The `rev` of the edge that was shown; if the edge has changed since, nothing is decided.
    rev: Option<u64>,
    /// Of the household, where what is of high risk is allowed for long.
    pin: Option<String>,
}

impl NewDecision {
    pub(super) fn new(
        answer: DecisionAnswer,
        lifetime: Option<Lifetime>,
        rev: Option<u64>,
        pin: Option<String>,
    ) -> Self {
        Self { answer, lifetime, rev, pin }
    }

    /// What makes one request another than the next.
    fn essence(&self) -> String {
        format!("{:?} {:?} {:?}", self.answer, self.lifetime, self.rev)
    }
}

/// What someone says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DecisionAnswer {
    Allow,
    Deny,
    /// Nothing is written; it stays as it is.
    Later,
    /// Owners are asked.
    Escalate,
}

/// A decision that is in force.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Applied {
    decision_id: u64,
    state: DecisionState,
    scope: Option<Scope>,
    edge: Option<Edge>,
}

/// What came of an answer that decides nothing.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Noted {
    state: NotedState,
    edge: Edge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NotedState {
    Later,
    Escalated,
}

/// What came of an answer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Outcome {
    Applied(Box<Applied>),
    Noted(Box<Noted>),
}

/// How far a decision reaches; the page makes its sentence of it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Scope {
    from: End,
    to: End,
    plane: String,
    verb: String,
    object: String,
    /// As in the view of an edge.
    lifetime: Option<String>,
    until: Option<UnixSeconds>,
    uses: Option<u64>,
}

impl From<&Edge> for Scope {
    fn from(edge: &Edge) -> Self {
        Self {
            from: edge.from.clone(),
            to: edge.to.clone(),
            plane: edge.plane.clone(),
            verb: edge.verb.clone(),
            object: edge.object.clone(),
            lifetime: edge.lifetime.clone(),
            until: edge.until,
            uses: edge.uses,
        }
    }
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
        let scope = decided.edge.as_ref().map(Scope::from);
        Self { decision_id: decided.decision_id, state: DecisionState::Applied, scope, edge: decided.edge }
    }
}

/// Decides about an edge; answered when the kernel holds the decision. `later` writes nothing, `escalate` asks the owners.
/// A repeat with the same `Idempotency-Key` gets the same answer.
#[utoipa::path(post, path = "/api/v1/edges/{id}/decision",
    params(("id" = u32, Path), ("idempotency-key" = Option<String>, Header)), request_body = NewDecision,
    responses(
        (status = 200, body = Outcome),
        (status = 429, description = "Too many wrong PINs, or no room for more decisions", body = Problem),
        (status = 403, description = "Not in this role, or not without the PIN", body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "Decided or changed meanwhile; `params.edge` says by whom", body = Problem),
    ))]
pub(super) async fn decide(
    asker: Asker,
    headers: HeaderMap,
    Id(edge): Id<u32>,
    Body(body): Body<NewDecision>,
) -> Answered<Outcome> {
    let asked = (edge, body.essence());
    let work = async { decide_one(&asker, edge, body).await.map(Json) };
    asker.shared.once.answer(&headers, &asker.token, &asked, work).await
}

pub(super) async fn decide_one(asker: &Asker, edge: u32, body: NewDecision) -> Result<Outcome, Problem> {
    let NewDecision { answer, lifetime, rev, pin } = body;
    let (answer, lifetime) = match (answer, lifetime) {
        (DecisionAnswer::Allow, Some(lifetime)) => (Answer::Allow, lifetime),
        (DecisionAnswer::Allow, None) => {
            return Err(Problem::refused("lifetime_missing", "Say for how long it is allowed"));
        }
        (DecisionAnswer::Deny, lifetime) => (Answer::Deny, lifetime.unwrap_or(Lifetime::Always)),
        (DecisionAnswer::Later, _) => return note(asker, edge, NotedState::Later).await,
        (DecisionAnswer::Escalate, _) => {
            asker.ask::<IgnoredAny>(Request::Wish { edge }).await?;
            return note(asker, edge, NotedState::Escalated).await;
        }
    };
    match asker.ask::<Decided>(Request::Decide { edge, answer, lifetime, rev, pin }).await {
        Ok(decided) => Ok(Outcome::Applied(Box::new(decided.into()))),
        Err(error) => Err(with_present_edge(asker, edge, error.into()).await),
    }
}

async fn note(asker: &Asker, edge: u32, state: NotedState) -> Result<Outcome, Problem> {
    let explanation: Explanation = asker.ask(Request::Explain { edge }).await?;
    Ok(Outcome::Noted(Box::new(Noted { state, edge: explanation.edge })))
}

/// One answer to several requests.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDecisions {
    edges: Vec<EdgeAt>,
    #[schema(value_type = DecisionAnswer)]
    answer: DecisionAnswer,
    /// What is blocked without one is blocked always.
    lifetime: Option<Lifetime>,
    pin: Option<String>,
}

/// An edge as it was shown.
#[derive(Clone, Copy, Deserialize, Hash, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EdgeAt {
    id: u32,
    /// If it has changed since, nothing is decided about it.
    rev: Option<u64>,
}

/// What became of each.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub(super) struct AllApplied {
    applied: Vec<Applied>,
    /// What was put off, or handed to the owners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    noted: Vec<Noted>,
    refused: Vec<NotApplied>,
}

impl AllApplied {
    pub(super) fn add(&mut self, id: u32, outcome: Result<Outcome, Problem>) {
        match outcome {
            Ok(Outcome::Applied(applied)) => self.applied.push(*applied),
            Ok(Outcome::Noted(noted)) => self.noted.push(*noted),
            Err(problem) => self.refused.push(NotApplied { id, problem }),
        }
    }
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
            all.add(id, decide_one(&asker, id, one).await);
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

/// More than an edge allows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wider {
    /// Of the household, where the edge is of high risk.
    pin: Option<String>,
}

/// Allows for good what an edge allows, to every host of the domain of its target.
#[utoipa::path(post, path = "/api/v1/edges/{id}/widen", params(("id" = u32, Path)), request_body = Wider, responses(
    (status = 200, body = Applied),
    (status = 403, description = "Not in this role, or not without the PIN", body = Problem),
    (status = 404, body = Problem),
    (status = 409, description = "It is not always allowed, or its target is of no domain", body = Problem),
    (status = 429, description = "Too many wrong PINs, or no room for more", body = Problem),
))]
pub(super) async fn widen(asker: Asker, Id(edge): Id<u32>, Body(body): Body<Wider>) -> Answered<Applied> {
    let decided: Decided = asker.ask(Request::Widen { edge, pin: body.pin }).await?;
    Ok(Json(decided.into()))
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

/// Which decisions are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DecisionFilter {
    /// 1 to 1000 at once; 200 if not given.
    limit: Option<u32>,
    /// From the link to the next part.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Name, number, MAC or IP address of whom it is about.
    principal: Option<String>,
    /// Who decided.
    by: Option<String>,
    /// One kind of them: `allow`, `deny`, `undo`, `mode`, ….
    what: Option<String>,
}

/// What was decided, newest first.
#[utoipa::path(get, path = "/api/v1/decisions", params(DecisionFilter), responses(
    (status = 200, body = Vec<Decision>,
     headers(("Link" = Option<String>, description = "The next part, if there is one"))),
))]
pub(super) async fn decisions(
    asker: Asker,
    uri: Uri,
    Filter(filter): Filter<DecisionFilter>,
) -> Result<Response, Problem> {
    let DecisionFilter { limit, cursor, principal, by, what } = filter;
    let size = parts::size(Some(limit.unwrap_or(DECISIONS)), cursor)?.unwrap_or(usize::MAX);
    // One more tells whether there is a next part.
    let limit = u32::try_from(size + 1).ok();
    let before = cursor.map(|Cursor(last)| last);
    let found: Vec<Decision> = asker.ask(Request::Decisions { limit, before, principal, by, what }).await?;
    Ok(parts::part(found, size, &uri, |decision| decision.id))
}

/// Whether the record of all that was decided is whole.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Ledger {
    /// Whether every entry follows from the one before it.
    unbroken: bool,
    entries: Option<u64>,
    /// Of the newest entry, hexadecimal.
    hash: Option<String>,
}

/// Checks the record from its first entry.
#[utoipa::path(get, path = "/api/v1/ledger", responses((status = 200, body = Ledger)))]
pub(super) async fn ledger(asker: Asker) -> Answered<Ledger> {
    /// Reply of the daemon.
    #[derive(Deserialize)]
    struct Head {
        entries: u64,
        hash: String,
    }
    match asker.ask::<Head>(Request::LedgerVerify).await {
        Ok(Head { entries, hash }) => {
            Ok(Json(Ledger { unbroken: true, entries: Some(entries), hash: Some(hash) }))
        }
        Err(ClientError::Refused(refusal)) if refusal.code == "conflict" => {
            tracing::warn!(why = refusal.message, "The ledger is broken");
            Ok(Json(Ledger { unbroken: false, entries: None, hash: None }))
        }
        Err(error) => Err(error.into()),
    }
}

/// What proves who takes a decision back.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
            return Err(Problem::refused("mode_unknown", "Nobody can choose this mode"));
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
#[serde(deny_unknown_fields)]
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

/// How a principal learns again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLearning {
    /// For so long, as for an update that is wanted; otherwise until there is evidence enough.
    seconds: Option<u32>,
    /// Whether it forgets its habits first; what people decided stays.
    #[serde(default)]
    forget: bool,
}

/// Lets a principal learn again.
#[utoipa::path(post, path = "/api/v1/principals/{id}/relearn", params(("id" = u32, Path)), request_body = NewLearning,
    responses((status = 200, body = Principal), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn relearn(
    asker: Asker,
    Id(id): Id<u32>,
    Body(body): Body<NewLearning>,
) -> Answered<Principal> {
    let NewLearning { seconds, forget } = body;
    let principal = id.to_string();
    Ok(Json(asker.ask(Request::Relearn { principal, seconds, forget }).await?))
}

/// Two principals that are the same thing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// Becomes part of the other, with its addresses and edges.
    principal: u32,
    into: u32,
    /// Of the household, where one of the two is dangerous, or does what is of high risk.
    pin: Option<String>,
}

/// Makes one principal of two; this cannot be undone.
#[utoipa::path(post, path = "/api/v1/principals/merge", request_body = Merge, responses(
    (status = 200, body = Principal), (status = 404, body = Problem),
    (status = 429, description = "It would have too many places", body = Problem),
))]
pub(super) async fn merge(asker: Asker, Body(body): Body<Merge>) -> Answered<Principal> {
    let Merge { principal, into, pin } = body;
    let request = Request::PrincipalMerge { principal: principal.to_string(), into: into.to_string(), pin };
    Ok(Json(asker.ask(request).await?))
}

/// What proves who forgets a device.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    /// Of the household, where the device is dangerous.
    pin: Option<String>,
}

/// Forgets a principal, with its habits and what was decided about it; if it is there, it is new at its next sign of life.
#[utoipa::path(delete, path = "/api/v1/principals/{id}", params(("id" = u32, Path)), request_body = Option<Forget>, responses(
    (status = 204, description = "Forgotten"), (status = 404, body = Problem),
))]
pub(super) async fn forget(
    asker: Asker,
    Id(id): Id<u32>,
    body: Option<Body<Forget>>,
) -> Result<StatusCode, Problem> {
    let Forget { pin } = body.map_or_else(Forget::default, |Body(body)| body);
    asker.ask::<IgnoredAny>(Request::PrincipalForget { principal: id.to_string(), pin }).await?;
    Ok(StatusCode::NO_CONTENT)
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

/// Who learns, and how far that has come.
#[utoipa::path(get, path = "/api/v1/learning", responses((status = 200, body = Vec<Learner>)))]
pub(super) async fn learning(asker: Asker) -> Answered<Vec<Learner>> {
    Ok(Json(asker.ask(Request::Learners).await?))
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
#[serde(deny_unknown_fields)]
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
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi::document())
}
