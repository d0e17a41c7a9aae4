//! What people say about the whole site.

use std::collections::BTreeSet;

use super::{Graph, Network};
use crate::command::{Alarm, Event};
use crate::decision::{Author, DecisionId, Refused, SiteMode, What};
use crate::time::{Deadline, Now};

/// Bits of a network that stands for any private address.
const WIDEST: u8 = 96 + 16;
/// Routers that are remembered.
const ROUTERS: usize = 8;

impl Graph {
    /// Sets the mode of the site; enforce reverts unless confirmed in time.
    pub fn site_mode(&mut self, mode: SiteMode, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        if self.site.mode == mode {
            return Err(Refused::Conflict(format!("The site is in mode {} already", mode.as_str())));
        }
        self.touch();
        self.site.mode = mode;
        let seconds = self.settings.confirm;
        let (confirm, why) = match mode {
            SiteMode::Enforce if seconds > 0 => {
                (Some(Deadline::after(now, seconds)), format!("to be confirmed within {seconds} s"))
            }
            SiteMode::Enforce | SiteMode::Monitor => (None, "a person chose it".to_owned()),
        };
        self.site.confirm = confirm;
        let what = What::SiteMode { to: mode, why };
        let decision = match mode {
            SiteMode::Enforce => {
                self.tell_site(now);
                self.record_decision(what, author, now)
            }
            SiteMode::Monitor => {
                let decision = self.record_decision(what, author, now);
                self.tell_site(now);
                decision
            }
        };
        self.notify(Event::Status);
        Ok(decision)
    }

    /// Notes where the site is. Where none of its networks is as before, the box has moved: asked about once, and nothing is
    /// forgotten, because edges are keyed by devices and not by addresses.
    ///
    /// IPv6 prefixes change by themselves, and the widest of IPv4 stand for addresses that are not known yet.
    pub(super) fn follow_networks(&mut self, now: Now) {
        let is_known = |network: &&Network| {
            network.addr.v4().is_some() && network.prefix > WIDEST && !network.addr.is_link_local()
        };
        let known = self.networks.iter().filter(is_known);
        let here: BTreeSet<([u8; 16], u8)> = known.map(|network| (network.addr.0, network.prefix)).collect();
        let here: Vec<_> = here.into_iter().collect();
        if here.is_empty() || here == self.site.networks {
            return;
        }
        let stays = here.iter().any(|network| self.site.networks.contains(network));
        let moved = !self.site.networks.is_empty() && !stays;
        self.site.networks = here;
        self.note_place(moved, now);
    }

    /// Notes which router leads to the Internet; another one than ever before is news like another network. While that is
    /// asked about nothing is noted: who shows one card after the other must not fill the disk.
    pub fn handle_router(&mut self, mac: [u8; 6], now: Now) {
        if self.site.moved.is_some() || self.site.routers.contains(&mac) {
            return;
        }
        let moved = !self.site.routers.is_empty();
        if self.site.routers.len() >= ROUTERS {
            self.site.routers.remove(0);
        }
        self.site.routers.push(mac);
        self.note_place(moved, now);
    }

    fn note_place(&mut self, moved: bool, now: Now) {
        let is_news = moved && self.site.moved.is_none();
        if is_news {
            self.touch();
            self.site.moved = Some(now.unix);
        }
        self.save_site();
        if is_news {
            self.notify(Event::Alarm { alarm: Alarm::Moved, principal: None });
            self.notify(Event::Status);
        }
    }

    /// Says what it means that the site is somewhere else: all goes on as it is, or all that enforce learn again. No
    /// model is forgotten.
    pub fn settle(&mut self, learn: bool, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        if self.site.moved.take().is_none() {
            return Err(Refused::Conflict("The site is where it was".to_owned()));
        }
        self.touch();
        let decision = self.record_decision(What::Moved { learn }, author, now);
        self.save_site();
        if learn {
            self.learn_start(None, None, author, now)?;
        }
        self.notify(Event::Status);
        Ok(decision)
    }

    /// Confirms the change to enforce.
    pub fn confirm(&mut self, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        self.handle_timeout(now);
        if self.site.confirm.take().is_none() {
            return Err(Refused::Conflict("Nothing waits to be confirmed".to_owned()));
        }
        self.touch();
        let decision = self.record_decision(What::Confirm, author, now);
        self.notify(Event::Status);
        Ok(decision)
    }
}
