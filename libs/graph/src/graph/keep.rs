//! What every change does: it is counted, saved, written down and told.

use firewall_common::abi::PrincipalId;
use serde::Serialize;

use super::{DECISIONS_CAP, Graph};
use crate::command::{Alarm, Command, Event};
use crate::decision::{Author, Decision, DecisionId, Phone, What};
use crate::edge::EdgeId;
use crate::principal::Principal;
use crate::record::{Record, RecordKey};
use crate::time::Now;

/// An alarm about the same principal is raised again after this time.
const ALARM_EVERY_NS: u64 = 3_600_000_000_000;

impl Graph {
    pub(super) fn touch(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    pub(super) fn push(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    pub(super) fn notify(&mut self, event: Event) {
        self.push(Command::Notify(event));
    }

    pub(super) fn alarm(&mut self, alarm: Alarm, principal: PrincipalId, now: Now) {
        let last = self.alarms.get(&(alarm, principal));
        if last.is_none_or(|at| now.boot_ns.saturating_sub(*at) >= ALARM_EVERY_NS) {
            self.alarms.insert((alarm, principal), now.boot_ns);
            self.notify(Event::Alarm { alarm, principal: Some(principal) });
        }
    }

    pub(super) fn save_edge(&mut self, id: EdgeId, now: Now) {
        if let Some(edge) = self.edges.get(&id) {
            let record = Record::Edge(edge.clone());
            self.saved.insert(id, now.boot_ns);
            self.push(Command::Save(Box::new(record)));
        }
    }

    pub(super) fn save_principal(&mut self, id: PrincipalId) {
        if let Some(principal) = self.principals.get(&id).filter(|principal| !principal.is_builtin()) {
            let record = Record::Principal(principal.clone());
            self.push(Command::Save(Box::new(record)));
        }
    }

    pub(super) fn save_site(&mut self) {
        let record = Record::Site(self.site.clone());
        self.push(Command::Save(Box::new(record)));
    }

    /// Writes a decision down: as a record, and as the next entry of the ledger.
    pub(crate) fn record_decision(&mut self, what: What, author: &Author, now: Now) -> DecisionId {
        let body = self.ledger_body(&what, author, now);
        let entry = self.site.ledger.append(&body);
        let id = DecisionId(entry.number);
        let decision =
            Decision { id, at: now.unix, by: author.clone(), what, undone: false, hash: entry.hash };
        self.push(Command::Save(Box::new(Record::Decision(decision.clone()))));
        self.decisions.insert(id, decision);
        if self.decisions.len() > DECISIONS_CAP
            && let Some((oldest, _)) = self.decisions.pop_first()
        {
            self.push(Command::Delete(RecordKey::Decision(oldest.0)));
        }
        self.save_site();
        self.push(Command::Ledger(entry));
        id
    }

    /// The number that the next decision gets.
    pub(super) const fn next_decision(&self) -> DecisionId {
        DecisionId(self.site.ledger.entries + 1)
    }

    pub(super) fn ledger_body(&self, what: &What, author: &Author, now: Now) -> Vec<u8> {
        #[derive(Serialize)]
        struct Who {
            id: u32,
            title: String,
        }
        #[derive(Serialize)]
        struct Which<'a> {
            id: u32,
            plane: &'a str,
            from: Who,
            to: Who,
            verb: &'a str,
            object: String,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            at: i64,
            clock_synchronised: bool,
            by: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            phone: Option<&'a Phone>,
            what: &'a str,
            detail: String,
            edge: Option<Which<'a>>,
            principal: Option<Who>,
        }
        let who = |id: PrincipalId| Who {
            id: id.0,
            title: self.principals.get(&id).map_or_else(String::new, Principal::title),
        };
        let body = Body {
            at: now.unix,
            clock_synchronised: now.synchronised,
            by: author.as_str(),
            phone: author.phone(),
            what: what.as_str(),
            detail: what.detail(),
            edge: what.edge().map(|edge| Which {
                id: edge.id.0,
                plane: edge.path.plane.as_str(),
                from: who(edge.path.src),
                to: who(edge.path.dst),
                verb: edge.path.operation.verb.as_str(),
                object: edge.path.operation.object_text(),
            }),
            principal: what.principal().map(who),
        };
        serde_json::to_vec(&body).expect("texts and numbers are always JSON")
    }
}
