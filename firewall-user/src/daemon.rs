//! `edgeward run`: start, one loop, end.
//!
//! Start: claim the interfaces, load the [`guard`], open the store, load the kernel programs into the pinned maps, write
//! the model, sweep out what is not in it, attach, answer. The loop owns the graph: whatever happens (a bell, a request,
//! a change of interfaces, time) is handed to the graph, and then the graph's commands are carried out in their order.
//! End: the socket goes, what is gathered is written, and programs, maps and guard stay.

// Once, at the start.
mod instance;

// Who asks.
mod access;
mod people;

// What happens.
mod answer;
mod inspect;
mod inventory;
mod names;
mod observe;
mod packets;
mod ports;
mod traffic;

// What is done about it.
mod tables;

// What is shown.
mod alarms;
mod faults;
mod stats;
mod status;
mod views;

use std::{collections::VecDeque, iter, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use dashboard::{
    rpc::{Message, Refusal},
    view,
};
use graph::{
    Command, Graph, Now, Settings,
    command::{Alarm, Event},
    decision::SiteMode,
    edge::State,
    ledger,
    record::Record,
};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use self::{
    access::Access,
    alarms::Alarms,
    answer::{Outcome, Show},
    faults::Faults,
    instance::Instance,
    inventory::Inventory,
    names::Names,
    observe::Observer,
    packets::Packets,
    people::{
        People,
        household::{self, Household},
    },
    ports::Ports,
    stats::Stats,
    tables::{Done, Tables},
    traffic::Past,
    views::Views,
};
use crate::{
    clock::Clock,
    config::{self, Config},
    guard::{self, Guard},
    kernel::{Kernel, KernelError, Pins, Rung},
    makers::Makers,
    net::Changes,
    pairing::Pairing,
    pin::{self, Pin},
    socket::{self, Asked, Events, Socket},
    store::{Change, Opened, Store, StoreError, Writer},
};

/// How often what rings no bell is read.
const SCAN: Duration = Duration::from_secs(1);
/// The shortest time between two timeouts.
const SHORTEST: Duration = Duration::from_millis(1);
/// How often it is checked that the guard is still there.
const GUARD_CHECK: Duration = Duration::from_secs(30);
/// Bells that are handled before anything else gets its turn.
const BELLS: usize = 256;
/// Observations that are kept for `edgeward observe`.
const OBSERVATIONS: usize = 4096;

/// Runs the daemon until it is told to stop.
pub async fn run(config: Config) -> Result<()> {
    let ports = Ports::configured(&config)?;
    let interfaces = &config.interfaces;
    let _instance =
        Instance::claim(&config.state.runtime_dir, interfaces.protect.iter().chain(&interfaces.uplink))?;
    let pins = Pins::open(&config.state.bpffs)?;
    guard_of(&config).load()?;
    Box::pin(protect(config, ports, pins)).await.inspect_err(|_| {
        tracing::warn!(
            "The guard stays: nothing new passes the protected interfaces until Edgeward runs, or `edgeward unload` removes it"
        );
    })
}

/// From here on nothing passes that was not judged.
async fn protect(config: Config, mut ports: Ports, pins: Pins) -> Result<()> {
    let mut stop = Stop::listen()?;
    let clock = Clock::new()?;
    let Opened { store, set_aside } = Store::open(&config.state.dir)?;
    let (mut graph, store, set_aside) = restore(store, set_aside, &config, clock.now())?;
    let (sessions, names) = (store.sessions()?, store.names()?);
    let pin = Pin::restore(store.setting(pin::SETTING)?.as_deref());
    let household = Household::restore(store.setting(household::SETTING)?.as_deref());
    let wishes = store.setting(people::WISHES_SETTING)?;
    let mut faults = Faults::default();
    if let Some(aside) = set_aside {
        let aside = aside.display().to_string();
        tracing::error!(
            aside,
            "The state file was damaged; everything is learned anew unless a copy is put back"
        );
        faults.lasting = vec![view::Wrong::StateDamaged { aside }];
    }
    if graph.site().mode != site_mode(config.site.mode) {
        tracing::info!(
            "The site stays in mode {}, as it was left; `edgeward mode {}` changes it",
            graph.site().mode.as_str(),
            config.site.mode
        );
    }

    let (mut kernel, maps) = Kernel::load(pins)?;
    let mut bells = kernel.bells()?;
    let mut changes = Changes::listen().context("Failed to listen for changes of interfaces")?;
    let mut tables = Tables::adopt(maps, &config)?;
    ports.note(&mut tables, &mut graph, clock.now())?;

    let store = Arc::new(store);
    let (writer, mut writing) = Writer::start(Arc::clone(&store));
    let mut daemon = Daemon {
        clock,
        graph,
        observer: Observer::new(Names::new(tables.hash_key())),
        tables,
        packets: Packets::new(),
        people: People::new(
            Pairing::restore(sessions),
            pin,
            household,
            wishes.as_deref(),
            config.state.dir.clone(),
        ),
        seen: VecDeque::new(),
        alarms: Alarms::default(),
        stats: Stats::default(),
        faults,
        status_changed: false,
        store,
        writer,
        events: socket::events(),
    };
    daemon.people.prepare(config.pairing.clone(), &daemon.graph, daemon.clock.now());
    daemon.carry_out(Urgency::Decision).await?;
    daemon.tables.sweep(&ports.own_hosts())?;
    daemon.observer.names.restore(names, &mut daemon.tables, &daemon.graph, clock.now())?;
    ports.attach_all(&mut kernel, clock.now())?;
    kernel.keep_only(&ports.places()).context("Failed to remove what another version left")?;
    daemon.look_at_itself(&ports)?;
    // Who can connect finds everything in force.
    let (socket, mut asked) = Socket::bind(&config.state.runtime_dir, daemon.events.clone())?;
    let serving = tokio::spawn(socket.serve());
    let mut guarding = watch_guard(config.clone());
    let mut inventory = Inventory::new(Makers::load());
    tracing::info!(mode = daemon.graph.site().mode.as_str(), "Edgeward runs");

    let mut scan = interval(SCAN);
    scan.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let timeout = daemon.until_timeout();
        tokio::select! {
            () = stop.wait() => break,
            rung = bells.next(BELLS) => {
                let now = clock.now();
                for rung in rung.context("Failed to read what the kernel says")? {
                    daemon.handle_rung(&rung, &ports, now)?;
                }
                daemon.carry_out(Urgency::Fact).await?;
            }
            Some(asked) = asked.recv() => daemon.answer(asked, &ports).await?,
            changed = changes.next() => {
                changed.context("Failed to listen for changes of interfaces")?;
                daemon.update_ports(&mut ports, &mut kernel).await?;
            }
            () = sleep(timeout) => {
                daemon.graph.handle_timeout(clock.now());
                daemon.carry_out(Urgency::Fact).await?;
            }
            _ = scan.tick() => {
                daemon.update_ports(&mut ports, &mut kernel).await?;
                daemon.observer.scan(&mut daemon.tables, &ports, &mut daemon.graph, clock.now())?;
                inventory.listen(&ports, &mut daemon.graph, clock.now());
                if let Some(router) = crate::net::router() {
                    daemon.graph.handle_router(router, clock.now());
                }
                daemon.graph.handle_timeout(clock.now());
                daemon.carry_out(Urgency::Fact).await?;
                daemon.look_at_itself(&ports)?;
                daemon.tell_stats()?;
                let mut changes = daemon.observer.names.changes(&daemon.tables, clock.now())?;
                changes.extend(daemon.observer.traffic.changes(clock.now()));
                daemon.writer.write(changes).await?;
            }
            Ok(()) = guarding.changed() => {
                daemon.faults.guard.clone_from(&guarding.borrow_and_update());
                daemon.look_at_itself(&ports)?;
            }
            ended = &mut writing => return Err(why_ended(ended)),
        }
        daemon.keep_door().await?;
        if std::mem::take(&mut daemon.status_changed) {
            daemon.tell_status(&ports)?;
        }
    }

    tracing::info!("Edgeward ends; what is in force stays in force");
    serving.abort();
    daemon.graph.handle_shutdown(clock.now());
    let mut changes = daemon.observer.names.all_changes(&daemon.tables, clock.now())?;
    changes.extend(daemon.observer.traffic.all_changes(clock.now()));
    daemon.writer.write(changes).await?;
    daemon.carry_out(Urgency::Decision).await?;
    drop(daemon);
    writing.await.context("The task that writes the state has panicked")??;
    Ok(())
}

/// How soon what a batch of commands writes must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    /// Within a moment: it can be learned again.
    Fact,
    /// Before the kernel allows it, and before it is acknowledged.
    Decision,
}

/// What the loop owns.
struct Daemon {
    clock: Clock,
    graph: Graph,
    tables: Tables,
    observer: Observer,
    packets: Packets,
    people: People,
    /// The latest observations, newest last.
    seen: VecDeque<view::Observation>,
    alarms: Alarms,
    stats: Stats,
    faults: Faults,
    status_changed: bool,
    store: Arc<Store>,
    writer: Writer,
    events: Events,
}

impl Daemon {
    /// Carries out what the graph wants, in its order. Returns what the kernel had no room for.
    async fn carry_out(&mut self, urgency: Urgency) -> Result<Vec<String>> {
        let mut commands: VecDeque<Command> = iter::from_fn(|| self.graph.next_command()).collect();
        let mut gathered = Vec::new();
        let mut refused = Vec::new();
        while let Some(command) = commands.pop_front() {
            if is_for_disk(&command) {
                gathered.push(change(command)?);
                continue;
            }
            let is_for_kernel = !matches!(command, Command::Notify(_));
            if is_for_kernel && urgency == Urgency::Decision && !gathered.is_empty() {
                // One wait for the disk serves the whole batch: what is denied further on may be stored before.
                let (for_disk, rest): (VecDeque<_>, _) = commands.into_iter().partition(is_for_disk);
                commands = rest;
                for command in for_disk {
                    gathered.push(change(command)?);
                }
                self.writer.write(std::mem::take(&mut gathered)).await?;
                self.writer.flush().await?;
            }
            match self.tables.carry_out(command) {
                Ok(Done::Written) => {}
                Ok(Done::TooComplex) => {
                    refused.push("these message rules are too complex for the kernel; use fewer".to_owned());
                    self.notify(&Event::Alarm { alarm: Alarm::RulesTooComplex, principal: None })?;
                }
                Ok(Done::Event(event)) => self.notify(&event)?,
                Err(error @ KernelError::Full { .. }) => {
                    tracing::warn!(%error, "The kernel has no room");
                    refused.push(error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !gathered.is_empty() {
            self.writer.write(gathered).await?;
            if urgency == Urgency::Decision {
                self.writer.flush().await?;
            }
        }
        Ok(refused)
    }

    fn handle_rung(&mut self, rung: &Rung, ports: &Ports, now: Now) -> Result<(), KernelError> {
        match rung {
            Rung::Bell(bell) => self.observer.handle_bell(bell, &self.tables, ports, &mut self.graph, now),
            Rung::Shown(shown) => self.observer.handle_shown(shown, &self.tables, &self.graph, now),
        }
    }

    /// Answers a request when what follows from it is in force.
    async fn answer(&mut self, asked: Asked, ports: &Ports) -> Result<()> {
        let Asked { request, caller, answer } = asked;
        let now = self.clock.now();
        let People { pairing, pin, .. } = &mut self.people;
        let admitted = Access { pairing, pin, graph: &self.graph, now }.admit(&request, &caller);
        let handled = admitted
            .and_then(|admitted| answer::handle(request, &admitted, &mut self.graph, &mut self.people, now));
        let result = match handled {
            Err(refusal) => Err(refusal),
            Ok(Outcome::Packets(edge, seconds, is_hidden)) => {
                match self.packets.begin(
                    edge,
                    (seconds, is_hidden),
                    self.observer.firsts.of(edge),
                    &self.graph,
                    ports,
                ) {
                    Ok(wanted) => {
                        tokio::spawn(async move {
                            let _gone = answer.send(wanted.wait().await);
                        });
                        return Ok(());
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            Ok(Outcome::Past(past)) => {
                self.look_back(past, answer).await?;
                return Ok(());
            }
            Ok(Outcome::Ledger) => {
                // Its end is what the graph says, so everything has to be on the disk.
                self.carry_out(Urgency::Decision).await?;
                self.verify_ledger(answer).await?;
                return Ok(());
            }
            Ok(outcome) => {
                let refused = self.carry_out(Urgency::Decision).await?;
                if refused.is_empty() {
                    self.complete(outcome, ports).await?
                } else {
                    Err(Refusal::new("unavailable", refused.join("; ")))
                }
            }
        };
        // Who hung up does not want the answer.
        let _gone = answer.send(result);
        Ok(())
    }

    /// Reads what edges have carried beside the loop, because a day of a large site is long.
    async fn look_back(&self, past: Past, answer: oneshot::Sender<Result<Value, Refusal>>) -> Result<()> {
        self.writer.flush().await?;
        let (store, unwritten) = (Arc::clone(&self.store), self.observer.traffic.rows());
        tokio::task::spawn_blocking(move || {
            let read = past.read(&store, &unwritten).map_err(|error| {
                Refusal::new("unavailable", format!("what was carried cannot be read: {error}"))
            });
            let _gone = answer.send(read);
        });
        Ok(())
    }

    /// Checks the ledger as it stands now beside the loop, because that of some years is long.
    async fn verify_ledger(&self, answer: oneshot::Sender<Result<Value, Refusal>>) -> Result<()> {
        self.writer.flush().await?;
        let (ledger, head) = (self.store.ledger()?, self.graph.site().ledger);
        tokio::task::spawn_blocking(move || {
            let checked = match ledger.entries() {
                Ok(entries) => ledger::verify(entries.iter(), Some(head))
                    .map(|head| serde_json::json!({ "entries": head.entries, "hash": head.hash.to_string() }))
                    .map_err(|broken| Refusal::new("conflict", broken.to_string())),
                Err(error) => Err(Refusal::new("unavailable", format!("the ledger cannot be read: {error}"))),
            };
            let _gone = answer.send(checked);
        });
        Ok(())
    }

    /// Lets phones reach the page, and nobody else, and shows them how where there is a display.
    async fn keep_door(&mut self) -> Result<()> {
        self.people.keep_display(&self.graph, self.clock.now());
        if self.people.keep_door(&mut self.graph, self.clock.now()) {
            self.carry_out(Urgency::Decision).await?;
        }
        Ok(())
    }

    async fn complete(&mut self, outcome: Outcome, ports: &Ports) -> Result<Result<Value, Refusal>> {
        let views = Views { graph: &self.graph, now: self.clock.now() };
        let gone = || Refusal::new("gone", "it is no longer there");
        Ok(match outcome {
            Outcome::Is(value) => Ok(value),
            Outcome::Stored(value, changes) => {
                self.writer.write(changes).await?;
                self.writer.flush().await?;
                Ok(value)
            }
            Outcome::Told(event, changes) => {
                self.writer.write(changes).await?;
                self.writer.flush().await?;
                self.broadcast(*event)?;
                Ok(Value::Null)
            }
            // Packets, the past and the ledger are answered before, without the graph.
            Outcome::Then(Show::Done) | Outcome::Packets(..) | Outcome::Past(_) | Outcome::Ledger => {
                Ok(Value::Null)
            }
            Outcome::Then(Show::Status) => Ok(answer::value(&self.status(ports)?)),
            Outcome::Then(Show::Principal(id)) => {
                views.principal_by_id(id).map(|principal| answer::value(&principal)).ok_or_else(gone)
            }
            Outcome::Then(Show::Review(id)) => Ok(answer::value(&views.review(id))),
            Outcome::Then(Show::Alarms) => Ok(answer::value(&self.alarms.latest())),
            Outcome::Then(Show::Bans) => Ok(answer::value(&views.bans())),
            Outcome::Then(Show::Edge(id)) => {
                views.edge_by_id(id).map(|edge| answer::value(&edge)).ok_or_else(gone)
            }
            Outcome::Then(Show::Decided(decision, edge)) => {
                Ok(answer::value(&answer::decided(views, decision, edge)))
            }
            Outcome::Then(Show::Observations { verdict, since }) => {
                Ok(answer::value(&answer::select(self.seen.iter().cloned(), verdict.as_deref(), since)))
            }
        })
    }

    /// Tells whoever watches.
    fn notify(&mut self, event: &Event) -> Result<()> {
        let views = Views { graph: &self.graph, now: self.clock.now() };
        let mut view = views.event(event);
        self.people.door.note(event, &self.graph);
        match event {
            Event::Status => self.status_changed = true,
            Event::Alarm { alarm, principal } => {
                let end = principal.map(|id| views.end(id));
                let name = end.as_ref().map(|end| &end.name);
                tracing::warn!(alarm = alarm.as_str(), principal = name, "Alarm");
                view = Some(view::Event::Alarm(self.alarms.note(*alarm, end, views.now.unix)));
            }
            Event::Observation(seen) => {
                if let Some(edge) = seen.edge {
                    self.stats.note(edge, views);
                }
                if self.seen.len() == OBSERVATIONS {
                    self.seen.pop_front();
                }
                self.seen.push_back(views.observation(seen));
            }
            Event::EdgeChanged(id) | Event::EdgeDecided(id) => {
                let edge =
                    self.graph.edge(*id).filter(|edge| !matches!(edge.state, State::Pending | State::Lapsed));
                if let Some(edge) = edge {
                    self.observer.forget(&edge.path, &mut self.tables)?;
                }
            }
            Event::EdgeRemoved(id) => self.observer.firsts.forget(*id),
            Event::EdgePending(_)
            | Event::EdgeExpired(_)
            | Event::PrincipalAdded(_)
            | Event::PrincipalChanged(_)
            | Event::PrincipalRemoved(_) => {}
        }
        if let Some(view) = view {
            self.broadcast(view)?;
        }
        Ok(())
    }

    fn broadcast(&self, event: view::Event) -> Result<()> {
        if self.events.receiver_count() > 0 {
            let line = socket::line(&Message::Event(Box::new(event)))?;
            // The last watcher may have left just now.
            let _left = self.events.send(line.into());
        }
        Ok(())
    }

    /// Notes what is wrong with the firewall itself, and what it does not see.
    fn look_at_itself(&mut self, ports: &Ports) -> Result<(), KernelError> {
        self.status_changed |= self.faults.look(&self.tables, ports, &self.graph, self.clock.now())?;
        Ok(())
    }

    fn tell_stats(&mut self) -> Result<()> {
        if self.events.receiver_count() == 0 {
            return Ok(());
        }
        let views = Views { graph: &self.graph, now: self.clock.now() };
        let events: Vec<view::Event> = self.stats.next_events(views).collect();
        events.into_iter().try_for_each(|event| self.broadcast(event))
    }

    fn tell_status(&self, ports: &Ports) -> Result<()> {
        if self.events.receiver_count() == 0 {
            return Ok(());
        }
        let status = self.status(ports)?;
        self.broadcast(view::Event::Status(Box::new(status)))
    }

    fn status(&self, ports: &Ports) -> Result<view::Status, KernelError> {
        status::status(&self.tables, ports, &self.graph, self.faults.standing(), self.clock.now())
    }

    /// Follows the interfaces. What fails now is tried again with the next scan; until then the guard holds.
    async fn update_ports(&mut self, ports: &mut Ports, kernel: &mut Kernel) -> Result<()> {
        let now = self.clock.now();
        ports.note(&mut self.tables, &mut self.graph, now)?;
        self.carry_out(Urgency::Fact).await?;
        let error = ports.attach_all(kernel, now).err().map(|error| format!("{error:#}"));
        if error != self.faults.attach {
            if let Some(error) = &error {
                tracing::warn!(error, "An interface is not protected yet, and nothing passes there");
            }
            self.faults.attach = error;
            self.look_at_itself(ports)?;
        }
        Ok(())
    }

    fn until_timeout(&self) -> Duration {
        let now = self.clock.now();
        // A timeout that is over already must not keep the loop from everything else.
        self.graph
            .poll_timeout(now)
            .map_or(SCAN, |at| Duration::from_nanos(at.saturating_sub(now.boot_ns)).max(SHORTEST))
    }
}

fn is_for_disk(command: &Command) -> bool {
    matches!(command, Command::Save(_) | Command::Delete(_) | Command::Ledger(_))
}

/// What a command that is for the disk changes there.
fn change(command: Command) -> Result<Change> {
    Ok(match command {
        Command::Save(record) => {
            Change::PutRecord { key: serde_json::to_vec(&record.key())?, value: serde_json::to_vec(&record)? }
        }
        Command::Delete(key) => Change::RemoveRecord { key: serde_json::to_vec(&key)? },
        Command::Ledger(entry) => Change::AppendLedger { sequence: entry.number, entry: entry.bytes },
        other => bail!("not a change of the disk: {other:?}"),
    })
}

/// The graph as it was stored; a state that makes no graph is set aside like a damaged file.
fn restore(
    store: Store,
    set_aside: Option<PathBuf>,
    config: &Config,
    now: Now,
) -> Result<(Graph, Store, Option<PathBuf>)> {
    let entries = store.records()?;
    if entries.is_empty() {
        return Ok((Graph::new(settings(config), now), store, set_aside));
    }
    let restored = entries
        .iter()
        .map(|(_, value)| serde_json::from_slice::<Record>(value))
        .collect::<Result<Vec<Record>, _>>()
        .map_err(anyhow::Error::from)
        .and_then(|records| Ok(Graph::restore(settings(config), records, now)?));
    match restored {
        Ok(graph) => Ok((graph, store, set_aside)),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "The stored model cannot be used");
            let Opened { store, set_aside } = store.replace()?;
            Ok((Graph::new(settings(config), now), store, set_aside))
        }
    }
}

fn settings(config: &Config) -> Settings {
    let learning = &config.learning;
    Settings {
        site_mode: site_mode(config.site.mode),
        confirm: config.site.confirm.as_secs(),
        first_run: learning.first_run.as_secs(),
        learn_min: learning.min.as_secs(),
        learn_quiet: learning.quiet.as_secs(),
        learn_max: learning.max.as_secs(),
        ready_notice: learning.notice.as_secs(),
        window: learning.window.as_secs().max(1),
        learn_edges: learning.max_edges as usize,
        learn_destinations: learning.max_destinations as usize,
        mqtt_ports: config.mqtt.ports.clone(),
        ..Settings::default()
    }
}

fn site_mode(mode: config::SiteMode) -> SiteMode {
    match mode {
        config::SiteMode::Monitor => SiteMode::Monitor,
        config::SiteMode::Enforce => SiteMode::Enforce,
    }
}

fn guard_of(config: &Config) -> Guard<'_> {
    Guard {
        protect: &config.interfaces.protect,
        uplink: config.interfaces.uplink.as_ref(),
        marks: config.interfaces.marks,
    }
}

/// Loads the guard again when somebody has removed it, and tells when that does not succeed.
fn watch_guard(config: Config) -> watch::Receiver<Option<String>> {
    let (faults, watched) = watch::channel(None);
    let config = Arc::new(config);
    tokio::spawn(async move {
        while !faults.is_closed() {
            sleep(GUARD_CHECK).await;
            let config = Arc::clone(&config);
            let checked = tokio::task::spawn_blocking(move || {
                if guard::is_loaded() {
                    return None;
                }
                tracing::warn!("The guard was removed by someone; loading it again");
                guard_of(&config).load().err().map(|error| format!("{error:#}"))
            });
            let fault =
                checked.await.unwrap_or_else(|error| Some(format!("the guard cannot be checked: {error}")));
            faults.send_if_modified(|before| {
                let is_new = *before != fault;
                *before = fault;
                is_new
            });
        }
    });
    watched
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("Failed to listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("Failed to listen for SIGINT")?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn why_ended(ended: Result<Result<(), StoreError>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => StoreError::Ended.into(),
        Ok(Err(error)) => error.into(),
        Err(error) => anyhow::Error::from(error).context("The task that writes the state has panicked"),
    }
}
