//! Live data: one task watches the daemon, and every open page has a stream of server-sent events.
//!
//! Events go into a ring with a number each. A stream is a position in that ring, so a slow page costs no memory, and a
//! page that was away for a moment goes on where it was by `Last-Event-ID`. The numbers are our own and not the revision
//! of the graph, because several events may share a revision and some carry none; they begin anew with each connection to
//! the daemon, under another epoch. Who comes with another epoch, or from before the ring's oldest entry, gets `resync`
//! and reads everything again.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::response::sse;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use utoipa::ToSchema;

use super::{Shared, now, page, problem::Problem, session::Token};
use crate::{
    pushes::{Heard, Outage},
    rpc::{ClientError, Request, Telling, Visitor},
    view::{self, Act, BrokerState, Event, Revoked, UnixSeconds},
};

/// Events that a page may have missed and still get.
const RING: usize = 1000;
/// Streams that are open at one time.
pub(super) const STREAMS: usize = 64;
/// What a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// A sign of life, also when nothing happens; at the same time the session is checked again.
const PING: Duration = Duration::from_secs(15);
/// First and last pause between tries to reach the daemon.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// First event of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Hello {
    /// Revision of the graph.
    rev: u64,
    /// Names the page that is served now; if it is not the one that reads this, a reload brings a newer one.
    ui_build: String,
    daemon: DaemonState,
}

/// Whether the daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct DaemonState {
    running: bool,
    /// Since when, as far as this process knows.
    since: UnixSeconds,
}

/// How Home Assistant's broker is reached.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct HomeState {
    state: BrokerState,
}

/// What a stream carries besides the [`Event`]s of the daemon.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "event", content = "data")]
#[allow(dead_code, reason = "describes the stream; the names are written where they are sent")]
pub(super) enum StreamEvent {
    #[serde(rename = "hello")]
    Hello(Hello),
    #[serde(rename = "daemon")]
    Daemon(DaemonState),
    /// How the connection to Home Assistant's broker stands now.
    #[serde(rename = "home")]
    Home(HomeState),
    /// Something was missed: read everything again.
    #[serde(rename = "resync")]
    Resync(Hello),
    /// A sign of life.
    #[serde(rename = "ping")]
    Ping {},
}

/// A place in the ring; as text it is the id of a server-sent event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    epoch: u64,
    number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.number)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, number) = text.split_once('-').ok_or(())?;
        Ok(Self {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| ())?,
            number: number.parse().map_err(|_| ())?,
        })
    }
}

/// The ring and who waits at it.
pub(super) struct Live {
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
    news: watch::Sender<()>,
    places: Arc<Semaphore>,
}

struct Ring {
    epoch: u64,
    /// Number of the newest entry.
    newest: u64,
    entries: VecDeque<Arc<Entry>>,
    rev: u64,
    daemon: DaemonState,
    /// What keeps the daemon from protecting, as it says itself.
    outage: Option<Outage>,
    closed: bool,
}

struct Entry {
    name: String,
    data: String,
}

/// What a stream finds after its position.
enum Next {
    Entry(Position, Arc<Entry>),
    /// What came next is not in the ring; the stream goes on from here.
    Missed(Position),
    Nothing,
    Closed,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            ring: Mutex::new(Ring {
                epoch: first_epoch(),
                newest: 0,
                entries: VecDeque::new(),
                rev: 0,
                daemon: DaemonState { running: false, since: now() },
                outage: None,
                closed: false,
            }),
            changed: watch::Sender::new(()),
            news: watch::Sender::new(()),
            places: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// Changes with everything that happens but counters, which change all the time.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Ends all streams.
    pub(super) fn close(&self) {
        self.change(|ring| ring.closed = true);
    }

    /// Why the firewall does not do its work, if it does not.
    pub(super) fn outage(&self) -> Option<Outage> {
        let ring = self.lock();
        if ring.daemon.running { ring.outage } else { Some(Outage::NotRunning) }
    }

    /// Says how the connection to Home Assistant's broker stands.
    pub(super) fn tell_home(&self, state: BrokerState) {
        let data = to_json(&HomeState { state });
        self.change(|ring| ring.push(Entry { name: "home".to_owned(), data }));
    }

    /// The daemon answers again; what happened meanwhile is unknown.
    fn daemon_came(&self, status: &view::Status) {
        self.change(|ring| {
            ring.epoch = ring.epoch.wrapping_add(1);
            ring.newest = 0;
            ring.entries.clear();
            ring.rev = status.rev;
            ring.outage = Outage::of(status);
            ring.daemon = DaemonState { running: true, since: now() };
        });
        self.news.send_replace(());
    }

    /// The daemon does not answer; whether that is news.
    fn daemon_left(&self) -> bool {
        let ran = self.lock().daemon.running;
        self.change(|ring| {
            if ran {
                ring.daemon = DaemonState { running: false, since: now() };
                let data = to_json(&ring.daemon);
                ring.push(Entry { name: "daemon".to_owned(), data });
            }
        });
        self.news.send_replace(());
        ran
    }

    fn handle_event(&self, event: &Event) {
        let Some((name, data)) = split(event) else {
            return;
        };
        self.change(|ring| {
            if let Event::Status(status) = event {
                ring.rev = status.rev;
                ring.outage = Outage::of(status);
            }
            ring.push(Entry { name, data });
        });
        if !matches!(event, Event::EdgeStats(_) | Event::LearningProgress(_)) {
            self.news.send_replace(());
        }
    }

    fn change(&self, change: impl FnOnce(&mut Ring)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    fn after(&self, position: Position) -> Next {
        self.lock().after(position)
    }

    fn hello(&self) -> (Position, Hello) {
        let ring = self.lock();
        let hello = Hello { rev: ring.rev, ui_build: page::build().to_owned(), daemon: ring.daemon };
        (ring.end(), hello)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        // A change of the ring does not call out, so it is whole after a panic elsewhere.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn end(&self) -> Position {
        Position { epoch: self.epoch, number: self.newest }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == RING {
            self.entries.pop_front();
        }
        self.entries.push_back(Arc::new(entry));
        self.newest += 1;
    }

    fn after(&self, position: Position) -> Next {
        if self.closed {
            return Next::Closed;
        }
        if position == self.end() {
            return Next::Nothing;
        }
        let oldest = self.newest - self.entries.len() as u64 + 1;
        let next = position.number.wrapping_add(1);
        let entry = next.checked_sub(oldest).and_then(|index| self.entries.get(usize::try_from(index).ok()?));
        match entry {
            Some(entry) if position.epoch == self.epoch => {
                Next::Entry(Position { number: next, ..position }, Arc::clone(entry))
            }
            Some(_) | None => Next::Missed(self.end()),
        }
    }
}

/// Follows the daemon for as long as this process lives; whoever tells phones hears of everything.
pub(super) async fn watch_daemon(shared: Arc<Shared>, teller: mpsc::Sender<Heard>) {
    let mut pause = BACKOFF.0;
    loop {
        let Err(error) = follow(&shared, &teller, &mut pause).await;
        tracing::debug!(%error, "The daemon cannot be watched");
        if shared.live.daemon_left() {
            let _gone = teller.send(Heard::Left).await;
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

async fn follow(
    shared: &Shared,
    teller: &mpsc::Sender<Heard>,
    pause: &mut Duration,
) -> Result<Infallible, ClientError> {
    let mut client = shared.daemon.connect().await?;
    client.call::<IgnoredAny>(Request::Watch).await?;
    // Asked after the watch began, so that no change falls between the two.
    let status: view::Status = client.call(Request::Status).await?;
    // Who was logged out meanwhile was not told to us.
    shared.sessions.forget_all();
    let Telling { told, waiting, ntfy } = client.call(Request::Telling).await?;
    shared.remember_ntfy(ntfy);
    shared.live.daemon_came(&status);
    let came = Heard::Came { outage: Outage::of(&status), waiting, told };
    let _gone = teller.send(came).await;
    shared.options.daemon_came.notify_one();
    *pause = BACKOFF.0;
    loop {
        let event = client.next_event().await?;
        if let Event::ClientRevoked(revoked) = event {
            shared.sessions.revoke(revoked);
            shared.live.change(|_| {});
            continue;
        }
        shared.live.handle_event(&event);
        // Who cannot keep up with telling has told enough already.
        let _full = teller.try_send(Heard::Event(Box::new(event)));
    }
}

/// Opens a stream for a page that has seen everything up to `last`.
pub(super) fn open(
    shared: Arc<Shared>,
    token: Token,
    client: String,
    last: Option<Position>,
) -> Result<sse::Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let place = Arc::clone(&shared.live.places)
        .try_acquire_owned()
        .map_err(|_| Problem::too_many("Too many pages are open", RETRY.as_secs() as u32))?;
    let (end, hello) = shared.live.hello();
    let position = last.unwrap_or(end);
    let hello = event("hello", to_json(&hello)).id(position.to_string()).retry(RETRY);
    let reader = Reader {
        changed: shared.live.changed.subscribe(),
        shared,
        token,
        client,
        position,
        first: Some(hello),
        next_ping: Instant::now() + PING,
        ended: false,
        _place: place,
    };
    Ok(sse::Sse::new(stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })))
}

/// One open stream.
struct Reader {
    shared: Arc<Shared>,
    token: Token,
    /// Whose it is.
    client: String,
    position: Position,
    first: Option<sse::Event>,
    changed: watch::Receiver<()>,
    next_ping: Instant,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(&mut self) -> Option<sse::Event> {
        if let Some(hello) = self.first.take() {
            return Some(hello);
        }
        while !self.ended {
            self.changed.mark_unchanged();
            if let Some(revoked) = self.shared.sessions.revoked(&self.client) {
                return Some(self.end(revoked.act));
            }
            match self.shared.live.after(self.position) {
                Next::Closed => return None,
                Next::Entry(position, entry) => {
                    self.position = position;
                    return Some(event(&entry.name, entry.data.clone()).id(position.to_string()));
                }
                Next::Missed(position) => {
                    self.position = position;
                    let (_, hello) = self.shared.live.hello();
                    return Some(event("resync", to_json(&hello)).id(position.to_string()));
                }
                Next::Nothing => {}
            }
            // The sender lives in `shared`, so this ends by a change or by the time for a ping.
            let changed = timeout_at(self.next_ping, self.changed.changed()).await;
            if changed.is_err() {
                self.next_ping += PING;
                return Some(self.ping().await);
            }
        }
        None
    }

    async fn ping(&mut self) -> sse::Event {
        match self.shared.sessions.check(&self.shared.daemon, &self.token, None).await {
            Err(problem) if problem.is_unauthenticated() => self.end(problem.act()),
            // A browser tells its page nothing of a comment.
            Ok(Visitor { .. }) | Err(_) => event("ping", "{}".to_owned()).comment("ping"),
        }
    }

    /// The last event of a browser that was logged out.
    fn end(&mut self, act: Option<Act>) -> sse::Event {
        self.ended = true;
        event("client.revoked", to_json(&Revoked { clients: vec![self.client.clone()], act }))
    }
}

fn event(name: &str, data: String) -> sse::Event {
    sse::Event::default().event(name).data(data)
}

/// An event in the form that the socket has.
#[derive(serde::Deserialize)]
struct Parts {
    event: String,
    data: serde_json::Value,
}

/// Name and data of an event; `None` for what pages do not show.
fn split(event: &Event) -> Option<(String, String)> {
    // There may be hundreds in a second, and they would push everything else out of the ring.
    if matches!(event, Event::Observation(_)) {
        return None;
    }
    let parts: Parts = serde_json::from_value(serde_json::to_value(event).ok()?).ok()?;
    Some((parts.event, parts.data.to_string()))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs of plain fields become JSON")
}

/// A page must not take a ring of an earlier process for the one it knew.
fn first_epoch() -> u64 {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    bytes.iter().fold(0, |epoch, byte| epoch << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_no_news_and_all_else_is() {
        let live = Live::new();
        let (mut news, mut changed) = (live.news(), live.changed.subscribe());
        for counters in [Event::EdgeStats(Vec::new()), Event::LearningProgress(Vec::new())] {
            live.handle_event(&counters);
            assert!(changed.has_changed().unwrap() && !news.has_changed().unwrap(), "{counters:?}");
            changed.mark_unchanged();
        }
        live.handle_event(&Event::EdgeRemoved { id: 1 });
        assert!(changed.has_changed().unwrap() && news.has_changed().unwrap());
        news.mark_unchanged();
    }
}
