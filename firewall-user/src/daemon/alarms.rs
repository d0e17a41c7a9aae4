//! The latest alarms, for who looks later.

use dashboard::view::{Alarm, End};
use graph::command;

/// Alarms that are kept; the one that was quiet for longest gives way.
const KEPT: usize = 32;

/// One entry for each kind of alarm and device, the latest last.
#[derive(Debug, Default)]
pub(super) struct Alarms(Vec<Alarm>);

impl Alarms {
    /// Takes an alarm in, and returns how it stands now.
    pub(super) fn note(&mut self, alarm: command::Alarm, principal: Option<End>, now: i64) -> Alarm {
        let (code, device) = (alarm.as_str(), principal.as_ref().map(|end| end.id));
        let is_same =
            |known: &Alarm| known.code == code && known.principal.as_ref().map(|end| end.id) == device;
        let known = self.0.iter().position(is_same).map(|at| self.0.remove(at));
        let (since, times) = known.map_or((now, 0), |known| (known.since, known.times));
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(Alarm { code: code.to_owned(), principal, since, last: now, times: times + 1 });
        self.0[self.0.len() - 1].clone()
    }

    pub(super) fn latest(&self) -> &[Alarm] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use graph::command::Alarm::{Flood, Moved, Scan};

    use super::*;

    fn end(id: u32) -> End {
        End { id, name: "x".to_owned(), confirmed: false, kind: "unknown".to_owned() }
    }

    #[test]
    fn what_comes_again_is_counted_and_what_is_oldest_gives_way() {
        let mut alarms = Alarms::default();
        alarms.note(Moved, None, 1);
        alarms.note(Flood, Some(end(16)), 2);
        alarms.note(Scan, Some(end(16)), 3);
        let again = alarms.note(Flood, Some(end(16)), 9);
        assert_eq!((again.since, again.last, again.times), (2, 9, 2));
        let codes: Vec<&str> = alarms.latest().iter().map(|alarm| alarm.code.as_str()).collect();
        assert_eq!(codes, ["site.moved", "scan", "flood"]);
        for id in 100..200 {
            alarms.note(Scan, Some(end(id)), 10);
        }
        assert_eq!(alarms.latest().len(), KEPT);
        assert_eq!(alarms.note(Flood, Some(end(16)), 11).times, 1, "it was forgotten");
    }
}
