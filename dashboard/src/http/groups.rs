//! Similar questions of one device stand together, and are answered together.

use std::collections::HashMap;

use axum::{Json, http::HeaderMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    api::{AllApplied, DecisionAnswer, NewDecision, decide_one},
    input::{Body, Id},
    openapi::{Resources, resources},
    problem::Problem,
    session::Asker,
};
use crate::{
    rpc::{Lifetime, Request},
    view::{Edge, End, UnixSeconds},
};

/// What first came within this many seconds belongs together.
const WITHIN: UnixSeconds = 24 * 60 * 60;

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        post "/api/v1/groups/{id}/decision" => decide,
    }
}

/// Questions of one device about targets of one kind, with the same verb and risk, that came within a day. What is of high
/// risk stands alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct QuestionGroup {
    /// Of its first question.
    pub(super) id: u32,
    from: End,
    /// Kind of all targets.
    kind: String,
    verb: String,
    risk: String,
    /// The newest revision in it; send it back with a decision.
    rev: u64,
    edges: Vec<Edge>,
}

/// What questions of one group share: device, kind of target, verb, risk, and whether they are about something unusual.
type Likeness = (u32, String, String, String, bool);

/// What waits, in groups; each has the number of its first question, and they are in that order.
pub(super) fn of(mut edges: Vec<Edge>) -> Vec<QuestionGroup> {
    edges.sort_by_key(|edge| (edge.first_seen, edge.id));
    let mut groups: Vec<QuestionGroup> = Vec::new();
    // The group that is being filled, and when it began.
    let mut open: HashMap<Likeness, (usize, UnixSeconds)> = HashMap::new();
    for edge in edges {
        // Who reads what is published is who it is for.
        let target = edge.beneficiaries.first().unwrap_or(&edge.to);
        let (kind, at) = (target.kind.clone(), edge.first_seen.unwrap_or_default());
        let key = (edge.from.id, kind.clone(), edge.verb.clone(), edge.risk.clone(), edge.flag.is_some());
        match open.get(&key) {
            Some((index, first)) if edge.risk != "high" && at - first < WITHIN => {
                let group = &mut groups[*index];
                group.rev = group.rev.max(edge.rev);
                group.id = group.id.min(edge.id);
                group.edges.push(edge);
            }
            Some(_) | None => {
                open.insert(key, (groups.len(), at));
                groups.push(QuestionGroup {
                    id: edge.id,
                    from: edge.from.clone(),
                    kind,
                    verb: edge.verb.clone(),
                    risk: edge.risk.clone(),
                    rev: edge.rev,
                    edges: vec![edge],
                });
            }
        }
    }
    groups.sort_unstable_by_key(|group| group.id);
    groups
}

/// One answer to a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupDecision {
    answer: DecisionAnswer,
    /// What is blocked without one is blocked always.
    lifetime: Option<Lifetime>,
    /// The `rev` of the group that was shown; what has come or changed since is refused.
    rev: Option<u64>,
    /// Questions that are left as they are.
    #[serde(default)]
    except: Vec<u32>,
    pin: Option<String>,
}

/// Decides about a group of `/pending?group=1`, one question after the other; what is refused keeps no other from being
/// decided. A repeat with the same `Idempotency-Key` gets the same answer.
#[utoipa::path(post, path = "/api/v1/groups/{id}/decision",
    params(("id" = u32, Path, description = "Of its first question"), ("idempotency-key" = Option<String>, Header)),
    request_body = GroupDecision, responses(
        (status = 200, description = "Decided as far as `refused` does not say otherwise", body = AllApplied),
        (status = 404, description = "Nothing waits there any more", body = Problem),
        (status = 409, description = "The same request is being carried out", body = Problem),
    ))]
pub(super) async fn decide(
    asker: Asker,
    headers: HeaderMap,
    Id(id): Id<u32>,
    Body(body): Body<GroupDecision>,
) -> Result<Json<AllApplied>, Problem> {
    let GroupDecision { answer, lifetime, rev, except, pin } = body;
    let asked = (id, format!("{answer:?} {lifetime:?} {rev:?} {except:?}"));
    let work = async {
        let group = of(asker.ask(Request::Pending).await?).into_iter().find(|group| group.id == id);
        let group = group.ok_or_else(|| Problem::not_found("This group does not wait any more"))?;
        let mut all = AllApplied::default();
        for edge in group.edges.iter().filter(|edge| !except.contains(&edge.id)) {
            // Nobody has seen it as it is now: it is decided about as something older, which is refused.
            let was_seen = rev.is_none_or(|rev| edge.rev <= rev);
            let rev = Some(if was_seen { edge.rev } else { 0 });
            let one = NewDecision::new(answer, lifetime.clone(), rev, pin.clone());
            all.add(edge.id, decide_one(&asker, edge.id, one).await);
        }
        Ok(Json(all))
    };
    asker.shared.once.answer(&headers, &asker.token, &asked, work).await
}
