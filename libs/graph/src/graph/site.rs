//! What people say about the whole site.

use super::Graph;
use crate::command::Event;
use crate::decision::{Author, DecisionId, Refused, SiteMode, What};
use crate::time::{Deadline, Now};

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
