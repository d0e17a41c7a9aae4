//! What people look at before they decide.

use dashboard::{inspect, rpc::Refusal};
use firewall_common::abi::PrincipalId;
use graph::{Graph, Now, mud::Profile};
use serde_json::{Value, json};

use super::{
    answer::{invalid, refused, value},
    views::Views,
};

/// The version of [`Format::Json`](inspect::Format::Json).
const VERSION: u32 = 1;

impl Views<'_> {
    /// The graph, or what one device has learned.
    pub(super) fn export(
        self,
        format: inspect::Format,
        device: Option<PrincipalId>,
    ) -> Result<Value, Refusal> {
        Ok(match (format, device) {
            (inspect::Format::Json, device) => {
                let mut principals = self.principals();
                let edges = self.edges(None, device);
                let is_end = |id| edges.iter().any(|edge| edge.from.id == id || edge.to.id == id);
                if let Some(device) = device {
                    principals.retain(|principal| principal.id == device.0 || is_end(principal.id));
                }
                json!({ "version": VERSION, "principals": principals, "edges": edges })
            }
            (inspect::Format::Dot, None) => value(&self.graph.export_dot()),
            (inspect::Format::Mud, Some(device)) => value(&self.graph.export_mud(device, self.now)),
            (inspect::Format::Dot, Some(_)) => return Err(invalid("the picture is of the whole site")),
            (inspect::Format::Mud, None) => return Err(invalid("a profile is of one device; name it")),
        })
    }

    pub(super) fn mud_diff(self, device: PrincipalId, profile: &Profile) -> inspect::MudDiff {
        let row = |row: graph::mud::Row| inspect::MudRow {
            what: row.what,
            declared: row.declared,
            does: row.does,
            state: row.edge.and_then(|edge| self.graph.edge(edge)).map(|edge| edge.state.as_str().to_owned()),
            edge: row.edge.map(|edge| edge.0),
        };
        inspect::MudDiff {
            device: self.end(device),
            url: profile.url.clone(),
            about: profile.about.clone(),
            rows: self.graph.mud_rows(device, profile).into_iter().map(row).collect(),
        }
    }

    pub(super) fn review(self, id: PrincipalId) -> inspect::Review {
        let review = self.graph.review(id, self.now);
        let update = self.graph.principal(id).and_then(|principal| principal.update.as_ref());
        let group = |group: graph::review::Group| inspect::Group {
            with: group.with,
            newest: group.newest,
            habits: group.habits.into_iter().filter_map(|id| self.edge_by_id(id)).collect(),
        };
        inspect::Review {
            device: self.end(id),
            habits: review.habits,
            groups: review.groups.into_iter().map(group).collect(),
            evidence: review.evidence.map(|evidence| inspect::Evidence {
                days: evidence.days,
                quiet: evidence.quiet,
                not_covered: evidence.not_covered.iter().map(|gap| gap.as_str().to_owned()).collect(),
                gaps: evidence.not_covered.iter().map(|gap| gap.code().to_owned()).collect(),
                not_seen: evidence.not_seen.iter().map(|job| job.as_str().to_owned()).collect(),
                confidence: evidence.confidence.as_str().to_owned(),
            }),
            update: update.map(|update| inspect::Update {
                from: update.ends.from.unix,
                until: update.ends.unix(),
                over: update.over,
                learned: update.learned.iter().filter_map(|id| self.edge_by_id(*id)).collect(),
            }),
        }
    }

    pub(super) fn would_break(self, id: Option<PrincipalId>) -> Vec<inspect::Break> {
        let view = |broken: graph::review::Break| inspect::Break {
            edge: broken.edge.0,
            sentence: broken.sentence,
            tries: broken.tries,
            last_seen: broken.last_seen,
        };
        self.graph.would_break(id, self.now).into_iter().map(view).collect()
    }
}

/// Reads a profile that somebody has sent.
pub(super) fn profile(text: &str) -> Result<Profile, Refusal> {
    Profile::parse(text).map_err(|error| invalid(&format!("this is no MUD profile: {error}")))
}

/// Proposes what a profile declares.
pub(super) fn propose(
    device: PrincipalId,
    text: &str,
    dry_run: bool,
    graph: &mut Graph,
    now: Now,
) -> Result<inspect::MudImport, Refusal> {
    let profile = profile(text)?;
    let propose = |graph: &mut Graph| -> Result<inspect::MudImport, Refusal> {
        let proposed = graph.propose(device, &profile, now).map_err(refused)?;
        let views = Views { graph, now };
        let asked = proposed.asked.into_iter().filter_map(|id| views.edge_by_id(id)).collect();
        Ok(inspect::MudImport { asked, known: proposed.known, open: proposed.open })
    };
    if dry_run { propose(&mut graph.clone()) } else { propose(graph) }
}
