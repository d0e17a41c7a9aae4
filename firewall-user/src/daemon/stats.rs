//! What changes all the time and is no change of the model, told in batches.

use std::collections::{BTreeMap, BTreeSet};

use dashboard::view::{EdgeStats, Event, Learning, Progress};
use graph::edge::{EdgeId, State};

use super::views::Views;

/// Edges in one batch; the others follow in the next.
const MOST: usize = 256;
/// Between two looks at how far devices have come, in nanoseconds.
const LOOK_EVERY: u64 = 10_000_000_000;

/// What was not told yet.
#[derive(Debug, Default)]
pub(super) struct Stats {
    used: BTreeSet<EdgeId>,
    learning: BTreeMap<u32, Learning>,
    looked: Option<u64>,
}

impl Stats {
    /// An edge was used. One that somebody has decided about, or has to, is told by itself.
    pub(super) fn note(&mut self, edge: EdgeId, views: Views<'_>) {
        if views.graph.edge(edge).is_some_and(|edge| edge.state == State::Learned) {
            self.used.insert(edge);
        }
    }

    /// What is to be told now; nothing where nothing has changed.
    pub(super) fn next_events(&mut self, views: Views<'_>) -> impl Iterator<Item = Event> {
        let batch: Vec<EdgeId> = self.used.iter().copied().take(MOST).collect();
        for edge in &batch {
            self.used.remove(edge);
        }
        let edges = batch.into_iter().filter_map(|id| views.graph.edge(id));
        let stats: Vec<EdgeStats> = edges
            .map(|edge| EdgeStats { id: edge.id.0, tries: edge.tries, last_seen: edge.last_seen })
            .collect();
        let progress = self.progress(views);
        let stats = (!stats.is_empty()).then_some(Event::EdgeStats(stats));
        stats.into_iter().chain((!progress.is_empty()).then_some(Event::LearningProgress(progress)))
    }

    fn progress(&mut self, views: Views<'_>) -> Vec<Progress> {
        let now = views.now.boot_ns;
        if self.looked.is_some_and(|at| now.saturating_sub(at) < LOOK_EVERY) {
            return Vec::new();
        }
        self.looked = Some(now);
        let learners: BTreeMap<u32, Learning> = views
            .principals()
            .into_iter()
            .filter_map(|principal| Some((principal.id, principal.learning?)))
            .collect();
        let before = std::mem::replace(&mut self.learning, learners);
        let news = self
            .learning
            .iter()
            .filter(|(id, learning)| before.get(id).is_some_and(|before| is_further(before, learning)));
        news.map(|(&principal, learning)| Progress { principal, learning: learning.clone() }).collect()
    }
}

/// Whether more has changed than the time that is left.
fn is_further(before: &Learning, now: &Learning) -> bool {
    let at_least_seconds = now.at_least_seconds;
    Learning { at_least_seconds, ..before.clone() } != *now
}

#[cfg(test)]
mod tests {
    use graph::{Graph, Now, Settings, time::BootId};

    use super::*;

    #[test]
    fn time_alone_is_no_progress() {
        let learning = Learning {
            since: 0,
            habits: 3,
            last_new_at: Some(5),
            percent: 40,
            at_least_seconds: 1_000,
            enforces_at: None,
            capped: false,
        };
        assert!(!is_further(&learning, &Learning { at_least_seconds: 900, ..learning.clone() }));
        assert!(is_further(&learning, &Learning { percent: 41, ..learning.clone() }));
        assert!(is_further(&learning, &Learning { habits: 4, ..learning.clone() }));
    }

    #[test]
    fn nothing_is_told_where_nothing_has_changed() {
        let now = Now { boot: BootId([1; 16]), boot_ns: 1, unix: 1, synchronised: true };
        let graph = Graph::new(Settings::default(), now);
        let mut stats = Stats::default();
        for boot_ns in [1, 2, LOOK_EVERY + 5] {
            let views = Views { graph: &graph, now: Now { boot_ns, ..now } };
            assert_eq!(stats.next_events(views).count(), 0);
        }
    }
}
