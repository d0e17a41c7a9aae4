//! Requests on the socket: each becomes a question to the graph or a decision, and its answer a view model.

use std::fmt::Display;

use dashboard::{
    rpc::{Action, Answer, Decided, EdgeSpec, Lifetime, PrincipalPatch, Refusal, Request},
    view,
};
use firewall_common::abi::{self, PrincipalId};
use graph::{
    Graph, Now,
    ban::BanId,
    decision,
    decision::{Author, DecisionId, Refused, SiteMode, Terms},
    edge::EdgeId,
    graph::{Patch, Spec},
    principal::mode_from_name,
    usual::Response,
};
use serde_json::{Value, json};

use super::{
    access::Admitted,
    inspect,
    people::{self, People},
    tables::random,
    traffic::Past,
    views::{self, Views},
};
use crate::store::Change;

/// Decisions that are listed if nobody says how many.
const DECISIONS: usize = 200;

/// What became of a request, before its commands are carried out.
pub(super) enum Outcome {
    /// The answer is complete.
    Is(Value),
    /// The answer is complete once these changes are on the disk.
    Stored(Value, Vec<Change>),
    /// There is nothing to say once these changes are on the disk, and who watches shall know.
    Told(Box<view::Event>, Vec<Change>),
    /// The answer comes later: the first packet of this edge, and those within so many seconds; whether what they carry is
    /// hidden.
    Packets(EdgeId, Option<u32>, bool),
    /// The answer comes from the store: what edges have carried.
    Past(Past),
    /// The answer comes later: whether the ledger is whole.
    Ledger,
    /// The answer shows how this stands once the graph's commands are carried out.
    Then(Show),
}

/// What an answer shows.
pub(super) enum Show {
    Status,
    /// Only this verdict, only from this second on.
    Observations {
        verdict: Option<String>,
        since: Option<i64>,
    },
    Principal(PrincipalId),
    Review(PrincipalId),
    Edge(EdgeId),
    Bans,
    Alarms,
    Decided(DecisionId, Option<EdgeId>),
    Done,
}

/// Asks the graph, or decides.
pub(super) fn handle(
    request: Request,
    Admitted { by: author, session }: &Admitted,
    graph: &mut Graph,
    people: &mut People,
    now: Now,
) -> Result<Outcome, Refusal> {
    let views = Views { graph, now };
    Ok(match request {
        Request::Status => Outcome::Then(Show::Status),
        Request::Principals => is(views.principals()),
        Request::Principal { principal } => Outcome::Then(Show::Principal(find(graph, &principal)?)),
        Request::Edges { state, principal } => {
            let principal = principal.map(|principal| find(graph, &principal)).transpose()?;
            is(views.edges(state.as_deref(), principal))
        }
        Request::Pending => is(views.pending()),
        Request::Explain { edge } => is(views.explanation(EdgeId(edge)).ok_or_else(|| no_edge(edge))?),
        Request::Decisions { limit, before, principal, by, what } => {
            let principal = principal.map(|principal| find(graph, &principal)).transpose()?;
            let wanted = views::Wanted { before, principal, by, what };
            is(views.decisions(&wanted, limit.map_or(DECISIONS, |limit| limit as usize)))
        }
        Request::Learners => is(views.learners()),
        Request::Trouble { principal, minutes } => is(views.trouble(find(graph, &principal)?, minutes)),
        Request::Observations { verdict, since_seconds } => {
            let since = since_seconds.map(|seconds| now.unix - i64::from(seconds));
            Outcome::Then(Show::Observations { verdict, since })
        }
        Request::LedgerVerify => Outcome::Ledger,
        Request::EdgesExport => is(graph.export()),
        Request::GraphExport { format, device } => {
            let device = device.map(|device| find(graph, &device)).transpose()?;
            Outcome::Is(views.export(format, device)?)
        }
        Request::MudDiff { device, profile } => {
            is(views.mud_diff(find(graph, &device)?, &inspect::profile(&profile)?))
        }
        Request::Review { principal } => is(views.review(find(graph, &principal)?)),
        Request::Hours => Outcome::Past(Past::all(now)),
        Request::Traffic { from, until } => Outcome::Past(Past::between(from, until)?),
        Request::WouldBreak { principal } => {
            is(views.would_break(principal.map(|principal| find(graph, &principal)).transpose()?))
        }
        Request::Watch => is(Value::Null),

        Request::Decide { edge, answer, lifetime, rev, pin: _ } => {
            let edge = EdgeId(edge);
            let decision = graph
                .decide(edge, answer_of(answer), lifetime_of(&lifetime), author, rev, now)
                .map_err(refused)?;
            Outcome::Then(Show::Decided(decision, Some(edge)))
        }
        Request::Widen { edge, pin: _ } => {
            let (decision, edge) = graph.widen(EdgeId(edge), author, now).map_err(refused)?;
            Outcome::Then(Show::Decided(decision, Some(edge)))
        }
        Request::EdgeDecide { spec, answer, lifetime } => {
            let (decision, edge) = graph
                .decide_spec(&spec_of(spec), answer_of(answer), lifetime_of(&lifetime), author, now)
                .map_err(refused)?;
            Outcome::Then(Show::Decided(decision, Some(edge)))
        }
        Request::EdgeRemove { edge } => {
            let decision = graph.remove_edge(EdgeId(edge), author, now).map_err(refused)?;
            Outcome::Then(Show::Decided(decision, Some(EdgeId(edge))))
        }
        Request::EdgeUnusual { edge, response } => {
            let response = response.map(|name| response_of(&name)).transpose()?;
            graph.set_edge_response(EdgeId(edge), response, author, now).map_err(refused)?;
            Outcome::Then(Show::Edge(EdgeId(edge)))
        }
        Request::PrincipalUnusual { principal, response } => {
            let id = find(graph, &principal)?;
            graph.set_response(id, response_of(&response)?, author, now).map_err(refused)?;
            Outcome::Then(Show::Principal(id))
        }
        Request::Bans => is(views.bans()),
        Request::BanAdd { principal, client, seconds, why } => {
            let id = find(graph, &principal)?;
            graph.ban(id, client.as_deref(), seconds, &why, author, now).map_err(refused)?;
            Outcome::Then(Show::Bans)
        }
        Request::BanRemove { ban } => {
            graph.lift_ban(BanId(ban), author, now).map_err(refused)?;
            Outcome::Then(Show::Bans)
        }
        Request::Undo { decision, pin: _ } => {
            let edge = graph
                .decisions()
                .find(|known| known.id.0 == decision)
                .and_then(|known| known.what.edge())
                .map(|edge| edge.id);
            let undo = graph.undo(DecisionId(decision), author, now).map_err(refused)?;
            Outcome::Then(Show::Decided(undo, edge))
        }
        Request::EdgesImport { toml, dry_run } => {
            let report =
                graph.import(&toml, dry_run, author, now).map_err(|mistakes| invalid(&all(&mistakes)))?;
            is(json!({ "changes": report.changes }))
        }
        Request::MudImport { device, profile, dry_run } => {
            is(inspect::propose(find(graph, &device)?, &profile, dry_run, graph, now)?)
        }

        Request::PrincipalSet { principal, patch } => {
            let id = find(graph, &principal)?;
            graph.set_principal(id, &patch_of(patch), author, now).map_err(refused)?;
            Outcome::Then(Show::Principal(id))
        }
        Request::PrincipalMerge { principal, into, pin: _ } => {
            let (from, into) = (find(graph, &principal)?, find(graph, &into)?);
            graph.merge(from, into, author, now).map_err(refused)?;
            Outcome::Then(Show::Principal(into))
        }
        Request::PrincipalForget { principal, pin: _ } => {
            let id = find(graph, &principal)?;
            graph.forget(id, author, now).map_err(refused)?;
            Outcome::Then(Show::Done)
        }
        Request::PrincipalMode { principal, mode, rev } => {
            let id = find(graph, &principal)?;
            let mode = mode_from_name(&mode).ok_or_else(|| {
                invalid("there is no such mode; choose new, learning, enforcing, guest or quarantine")
            })?;
            let decided = match rev {
                Some(rev) => graph.set_mode_seen(id, mode, rev, author, now),
                None => graph.set_mode(id, mode, author, now),
            };
            decided.map_err(|error| match error {
                Refused::Conflict(_) => refused(error).after(views::last_mode(graph, id)),
                Refused::NotFound(_) | Refused::Invalid(_) | Refused::Wrong { .. } | Refused::TooMany(_) => {
                    refused(error)
                }
            })?;
            Outcome::Then(Show::Principal(id))
        }
        Request::LearnStart { principal, seconds } => {
            let id = principal.map(|principal| find(graph, &principal)).transpose()?;
            graph.learn_start(id, seconds, author, now).map_err(refused)?;
            Outcome::Then(id.map_or(Show::Done, Show::Principal))
        }
        Request::Relearn { principal, seconds, forget } => {
            let id = find(graph, &principal)?;
            if forget {
                graph.learn_anew(id, seconds, author, now).map_err(refused)?;
            } else {
                graph.learn_start(Some(id), seconds, author, now).map_err(refused)?;
            }
            Outcome::Then(Show::Principal(id))
        }
        Request::Packets { edge, seconds } => Outcome::Packets(EdgeId(edge), seconds, session.is_some()),
        Request::AwaitUpdate { principal, seconds } => {
            let id = find(graph, &principal)?;
            graph.await_update(id, seconds, author, now).map_err(refused)?;
            Outcome::Then(Show::Review(id))
        }
        Request::LearnWait { principal, seconds } => {
            let id = find(graph, &principal)?;
            graph.postpone(id, seconds, author, now).map_err(refused)?;
            Outcome::Then(Show::Principal(id))
        }
        Request::Release { principal } => {
            let id = find(graph, &principal)?;
            graph.let_back(id, author, now).map_err(refused)?;
            Outcome::Then(Show::Principal(id))
        }
        Request::LearnFinish { principal } => {
            let id = principal.map(|principal| find(graph, &principal)).transpose()?;
            graph.learn_finish(id, author, now).map_err(refused)?;
            Outcome::Then(id.map_or(Show::Done, Show::Principal))
        }

        Request::SiteMode { mode, pin: _ } => {
            let mode = SiteMode::from_name(&mode)
                .ok_or_else(|| invalid("there is no such mode; choose monitor or enforce"))?;
            graph.site_mode(mode, author, now).map_err(refused)?;
            Outcome::Then(Show::Status)
        }
        Request::Confirm => {
            graph.confirm(author, now).map_err(refused)?;
            Outcome::Then(Show::Status)
        }
        Request::Moved { learn } => {
            graph.settle(learn, author, now).map_err(refused)?;
            Outcome::Then(Show::Status)
        }
        Request::Pause { principal, seconds } => {
            let id = principal.map(|principal| find(graph, &principal)).transpose()?;
            graph.pause(id, seconds, author, now).map_err(refused)?;
            Outcome::Then(id.map_or(Show::Status, Show::Principal))
        }

        Request::Wish { edge } => people.wish(edge, author.as_str(), graph, now)?,
        Request::Wishes => is(people.wishes(graph)),
        Request::Pair { seconds, role } => is(people.make_code(seconds, role, graph, now)),
        Request::PairRedeem { code, name, from } => people.redeem(&code, &name, from, graph, now)?,
        Request::SignIn { name, password, from } => people.sign_in(&name, &password, from, graph, now)?,
        Request::PasswordSet { password, old } => {
            let session = session.as_deref().ok_or_else(|| invalid("a password belongs to a session"))?;
            people.set_password(session, password.as_deref(), old.as_deref(), graph, now)?
        }
        Request::SessionCheck { token, from } => people.check(&token, from, graph, now)?,
        Request::SessionEnd { token } => people.end(&token, graph, now),
        Request::Admit { from, port } => people.admits(from, port, graph, now),
        Request::Clients => is(people.pairing.clients(now)),
        Request::ClientEnd { client } => people.end_client(&client, author, graph, now)?,
        Request::TokenMake { name, role, seconds } => people.make_token(&name, role, seconds, now)?,
        Request::PinSet { pin, old: _ } => done(people.pin.set(pin.as_deref(), random())?),
        Request::Settings => people.settings(graph),
        Request::SettingsSet { name, first_run } => people.set_up(name.as_deref(), first_run, graph),
        Request::Ntfy => people.ntfy(),
        Request::NtfySet { server, page } => people.tell(server.as_deref(), page.as_deref())?,
        Request::HomeAssistant => people.home_assistant(),
        Request::HomeAssistantSet { broker } => people.show_at(broker, author, graph, now)?,
        Request::Broker => people.broker(),
        Request::Telling => people.telling(views),
        Request::NoteTold { told } => done(people.note_told(told)),
        Request::Reached => people.reached(),
        Request::Alarms => Outcome::Then(Show::Alarms),
        Request::Waiting => is(people::waiting(graph)),
        Request::KeepBlocked { edge } => {
            if !people::is_stopped(graph, edge) {
                return Err(no_edge(edge));
            }
            let author = &Author::person("Home Assistant");
            let (edge, deny) = (EdgeId(edge), decision::Answer::Deny);
            let decision =
                graph.decide(edge, deny, decision::Lifetime::Always, author, None, now).map_err(refused)?;
            Outcome::Then(Show::Decided(decision, Some(edge)))
        }
        Request::Certificate { listening } => people.certificate(listening, graph, now)?,
    })
}

/// How a decision stands now.
pub(super) fn decided(views: Views<'_>, decision: DecisionId, edge: Option<EdgeId>) -> Decided {
    Decided { decision_id: decision.0, edge: edge.and_then(|edge| views.edge_by_id(edge)) }
}

/// The observations that a request wants.
pub(super) fn select(
    seen: impl Iterator<Item = view::Observation>,
    verdict: Option<&str>,
    since: Option<i64>,
) -> Vec<view::Observation> {
    seen.filter(|seen| verdict.is_none_or(|verdict| seen.verdict.eq_ignore_ascii_case(verdict)))
        .filter(|seen| since.is_none_or(|since| seen.at >= since))
        .collect()
}

fn find(graph: &Graph, principal: &str) -> Result<PrincipalId, Refusal> {
    graph.find(principal).map_err(refused)
}

fn answer_of(answer: Answer) -> decision::Answer {
    match answer {
        Answer::Allow => decision::Answer::Allow,
        Answer::Deny => decision::Answer::Deny,
    }
}

fn response_of(name: &str) -> Result<Response, Refusal> {
    Response::from_name(name).ok_or_else(|| invalid("choose ask or block"))
}

fn lifetime_of(lifetime: &Lifetime) -> decision::Lifetime {
    match *lifetime {
        Lifetime::Once => decision::Lifetime::Once,
        Lifetime::Uses(uses) => decision::Lifetime::Uses(uses),
        Lifetime::For(seconds) => decision::Lifetime::For(seconds),
        Lifetime::Until(unix) => decision::Lifetime::Until(unix),
        Lifetime::UntilRestart => decision::Lifetime::UntilRestart,
        Lifetime::Always => decision::Lifetime::Always,
    }
}

fn spec_of(spec: EdgeSpec) -> Spec {
    let EdgeSpec { from, to, plane, verb, object, action, no_retain, max_qos } = spec;
    let action = match action {
        Action::Reset => abi::Action::Reset,
        Action::Neutralise => abi::Action::Neutralise,
    };
    Spec { from, to, plane, verb, object, terms: Terms { action, no_retain, max_qos } }
}

fn patch_of(patch: PrincipalPatch) -> Patch {
    let PrincipalPatch { name, kind, room, description, pin: _ } = patch;
    Patch { name, kind, room, description }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(super) fn refused(refused: Refused) -> Refusal {
    Refusal::new(refused.code(), refused.to_string())
}

fn no_edge(edge: u32) -> Refusal {
    refused(Refused::NotFound(format!("there is no edge {edge}; `edgeward edges list` shows all")))
}

pub(super) fn invalid(message: &str) -> Refusal {
    Refusal::new("invalid", message)
}

fn all<T: Display>(mistakes: &[T]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn is<T: serde::Serialize>(answer: T) -> Outcome {
    Outcome::Is(value(&answer))
}

/// There is nothing to say once this is on the disk.
fn done(change: Change) -> Outcome {
    Outcome::Stored(Value::Null, vec![change])
}

/// A view model as JSON.
pub(super) fn value<T: serde::Serialize>(answer: &T) -> Value {
    serde_json::to_value(answer).expect("view models are plain data with text as keys")
}
