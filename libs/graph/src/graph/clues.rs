//! What devices say of themselves, and what they are guessed to be.

use std::collections::BTreeSet;

use firewall_common::abi::PrincipalId;

use super::Graph;
use crate::command::{Alarm, Event};
use crate::edge::{Path, State};
use crate::inventory::{Clue, Guess, Served};
use crate::operation::Object;
use crate::principal::Principal;
use crate::time::Now;

impl Graph {
    /// A device says something of itself. It gains nothing by it; who says what another one has said raises an alarm.
    pub fn handle_clue(&mut self, id: PrincipalId, clue: Clue, now: Now) {
        if !self.principals.get(&id).is_some_and(Principal::is_device) {
            return;
        }
        if let Clue::HostName(hint) = clue {
            return self.hear_name(id, Some(hint), now);
        }
        let taken = match &clue {
            Clue::ClientId(client) => self.principals.values().any(|other| {
                other.id != id && !other.clues.client_id.is_empty() && other.clues.client_id == *client
            }),
            _ => false,
        };
        let Some(principal) = self.principals.get_mut(&id) else { return };
        if !principal.clues.take(clue) {
            return;
        }
        self.guess_again(id);
        let rev = self.touch();
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.rev = rev;
        }
        self.save_principal(id);
        self.notify(Event::PrincipalChanged(id));
        if taken {
            self.alarm(Alarm::ClientTaken, id, now);
        }
    }

    /// What a device may be, and what speaks for it.
    pub fn guess(&self, id: PrincipalId) -> Option<Guess> {
        let principal = self.principals.get(&id).filter(|principal| principal.is_device())?;
        let name = principal.hint.as_ref().map(|hint| hint.0.as_str());
        principal.clues.guess(name, &self.served_by(id))
    }

    pub(super) fn guess_again(&mut self, id: PrincipalId) {
        let guess = self.guess(id).map(|guess| guess.kind);
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.guessed = guess;
        }
    }

    /// The model has changed where others reach a device.
    pub(super) fn serves_otherwise(&mut self, path: &Path) {
        if let Object::Port { proto, port } = path.operation.object
            && (Served { proto, port }).tells()
        {
            self.guess_again(path.dst);
        }
    }

    /// Where others reach a device, by the model.
    fn served_by(&self, id: PrincipalId) -> BTreeSet<Served> {
        let settled =
            self.edges_to(id).filter(|edge| matches!(edge.state, State::Learned | State::Allowed(_)));
        settled
            .filter_map(|edge| match edge.path.operation.object {
                Object::Port { proto, port } => Some(Served { proto, port }),
                _ => None,
            })
            .collect()
    }
}
