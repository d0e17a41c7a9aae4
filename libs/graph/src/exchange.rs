//! The model as text: TOML in stable order, to look at, keep, compare and bring back.
//!
//! Devices are named by the owner's name, or else by MAC; outside hosts by host name or address. What ends at a restart or after a
//! use is not part of the text.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use firewall_common::abi::{Action, PrincipalId};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::decision::{Answer, Author, Lifetime, Terms};
use crate::edge::{Edge, Path, Ruling, State};
use crate::graph::people::Said;
use crate::graph::{Graph, ImportReport, Mistake, NewHost, Patch};
use crate::host::{HostName, PREFIX};
use crate::operation::{Layer, Operation};
use crate::principal::{
    DESCRIPTION_CAP, Kind, NAME_CAP, Principal, Source, harmless, parse_address, show_address, show_mac,
};
use crate::time::Now;

const VERSION: i64 = 1;
/// Longest text that is read, in bytes.
const TEXT_CAP: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct EdgeEntry {
    from: String,
    to: String,
    plane: String,
    verb: String,
    object: String,
    /// The broker's port, where the object names none and means another one than the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    state: StateName,
    /// Seconds since 1970; without it the decision is for always.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// `reset` or `neutralise`, of a denied publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// `never`, where an allowed publish must not be retained.
    #[serde(skip_serializing_if = "Option::is_none")]
    retain: Option<String>,
    /// Highest `QoS` of an allowed publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_qos: Option<u8>,
}

#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
enum StateName {
    Learned,
    Allowed,
    Denied,
}

#[derive(Serialize)]
struct Written {
    version: i64,
    principal: Vec<PrincipalEntry>,
    edge: Vec<EdgeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    version: Spanned<i64>,
    #[serde(default)]
    principal: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    edge: Vec<Spanned<toml::Value>>,
}

/// What an entry asks for, once it is understood.
enum Change {
    /// An outside host that nothing has led to yet, with the number that it gets.
    Host(PrincipalId, HostName),
    Patch(PrincipalId, Patch),
    Learn(Path),
    Decide(Path, Said),
}

impl Graph {
    /// The model as TOML in stable order.
    pub fn export(&self) -> String {
        let own = self.principals().filter(|principal| !principal.is_builtin());
        let mut principal: Vec<PrincipalEntry> = own.filter_map(describe).collect();
        principal.sort_by(|left, right| {
            let key = |entry: &PrincipalEntry| {
                (entry.mac.clone(), entry.vlan, entry.address.clone(), entry.host.clone())
            };
            key(left).cmp(&key(right))
        });
        // Each is found once, however many edges it has.
        let references: HashMap<PrincipalId, String> =
            self.principals().filter_map(|known| Some((known.id, self.reference(known.id)?))).collect();
        let mut edge: Vec<EdgeEntry> =
            self.edges().filter_map(|edge| self.entry(edge, &references)).collect();
        edge.sort();
        let mut text =
            "# Who may do what to whom at this site.\n# Check it with `edgeward edges import --dry-run`.\n\n"
                .to_owned();
        let written = Written { version: VERSION, principal, edge };
        text.push_str(&toml::to_string(&written).expect("texts and numbers are always TOML"));
        text
    }

    /// Makes the model what the text says; what the text does not name stays.
    ///
    /// # Errors
    ///
    /// With a mistake, or a cap in the way, nothing is changed at all.
    pub fn import(
        &mut self,
        text: &str,
        dry_run: bool,
        author: &Author,
        now: Now,
    ) -> Result<ImportReport, Vec<Mistake>> {
        let changes = self.understand(text, now)?;
        let mut draft = self.clone();
        let report = draft.apply_all(&changes, author, now)?;
        if !dry_run {
            *self = draft;
        }
        Ok(report)
    }

    /// Makes all changes, as one: the kernel is told about the messages of a connection once.
    fn apply_all(
        &mut self,
        changes: &[(usize, Change)],
        author: &Author,
        now: Now,
    ) -> Result<ImportReport, Vec<Mistake>> {
        let mut report = ImportReport::default();
        let hosts = changes.iter().filter_map(|(_, change)| match change {
            Change::Host(id, name) => Some((*id, name.clone())),
            Change::Patch(..) | Change::Learn(_) | Change::Decide(..) => None,
        });
        let hosts: BTreeMap<PrincipalId, HostName> = hosts.collect();
        let refused = |line: usize, message: String| {
            vec![Mistake { line, message: format!("{message}; nothing was changed") }]
        };
        let mut streams = BTreeMap::new();
        self.hold();
        for (line, change) in changes {
            let Some(words) = self.tell_change(change, &hosts) else { continue };
            report.changes.push(words);
            self.apply(change, author, now).map_err(|message| refused(*line, message))?;
            if let Change::Learn(path) | Change::Decide(path, _) = change
                && path.operation.layer() == Layer::Message
            {
                streams.extend(path.stream().map(|stream| (stream, *line)));
            }
        }
        for (stream, line) in streams {
            self.check_messages(stream, now).map_err(|full| refused(line, full.to_string()))?;
        }
        self.release(now);
        if !report.changes.is_empty() {
            let what = crate::decision::What::Import { changes: report.changes.len() as u32 };
            self.record_decision(what, author, now);
        }
        Ok(report)
    }

    fn understand(&self, text: &str, now: Now) -> Result<Vec<(usize, Change)>, Vec<Mistake>> {
        let mistake = |line, message: String| vec![Mistake { line, message }];
        if text.len() > TEXT_CAP {
            return Err(mistake(1, format!("a model has at most {TEXT_CAP} bytes")));
        }
        let read: Read = toml::from_str(text).map_err(|error| {
            mistake(error.span().map_or(1, |span| line_of(text, span.start)), error.message().to_owned())
        })?;
        let mut mistakes = Vec::new();
        let mut changes = Vec::new();
        if *read.version.get_ref() != VERSION {
            let line = line_of(text, read.version.span().start);
            mistakes
                .push(Mistake { line, message: format!("this version reads models of version {VERSION}") });
        }
        let hosts = self.new_hosts(&read);
        changes.extend(hosts.iter().map(|(name, id)| (1, Change::Host(*id, name.clone()))));
        let mut names: BTreeMap<String, PrincipalId> =
            hosts.into_iter().map(|(name, id)| (format!("{PREFIX}{name}"), id)).collect();
        let mut ids = BTreeSet::new();
        for entry in read.principal {
            let line = line_of(text, entry.span().start);
            match self.principal_change(entry.into_inner(), &mut names, &mut ids) {
                Ok(change) => changes.push((line, change)),
                Err(message) => mistakes.push(Mistake { line, message }),
            }
        }
        let mut paths = BTreeSet::new();
        for entry in read.edge {
            let line = line_of(text, entry.span().start);
            match self.edge_change(entry.into_inner(), &names, &mut paths, now) {
                Ok(change) => changes.push((line, change)),
                Err(message) => mistakes.push(Mistake { line, message }),
            }
        }
        if mistakes.is_empty() { Ok(changes) } else { Err(mistakes) }
    }

    /// Host names that have no principal yet, with numbers that are free. Names that are none stay, and are mistakes.
    fn new_hosts(&self, read: &Read) -> BTreeMap<HostName, PrincipalId> {
        let text = |value: &Spanned<toml::Value>, key: &str| {
            value.get_ref().get(key).and_then(toml::Value::as_str).map(str::to_owned)
        };
        let ends = read.edge.iter().flat_map(|entry| [text(entry, "from"), text(entry, "to")]);
        let named = ends.flatten().filter_map(|end| end.strip_prefix(PREFIX).map(str::to_owned));
        let hosts = read.principal.iter().filter_map(|entry| text(entry, "host"));
        let names: BTreeSet<HostName> =
            named.chain(hosts).filter_map(|name| HostName::parse_pattern(&name).ok()).collect();
        let unknown = names.into_iter().filter(|name| self.find(&format!("{PREFIX}{name}")).is_err());
        unknown.zip(self.free_numbers()).collect()
    }

    fn principal_change(
        &self,
        value: toml::Value,
        names: &mut BTreeMap<String, PrincipalId>,
        ids: &mut BTreeSet<PrincipalId>,
    ) -> Result<Change, String> {
        let entry: PrincipalEntry =
            value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let found = |text: &str| match names.get(&text.to_lowercase()) {
            Some(id) => Ok(*id),
            None => self.find(text).map_err(|refused| refused.to_string()),
        };
        let id = match (&entry.mac, &entry.address, &entry.host) {
            (Some(mac), None, None) => self.find_mac(mac, entry.vlan.unwrap_or(0)),
            (None, Some(address), None) if parse_address(address).is_some() => found(address),
            (None, None, Some(host)) => found(&format!("{PREFIX}{host}")),
            _ => Err("a principal needs a `mac`, or for an outside host an `address` or a `host`".to_owned()),
        }?;
        if !ids.insert(id) {
            return Err("the same principal stands twice".to_owned());
        }
        let kind = entry.kind.as_deref();
        if let Some(kind) = kind.filter(|kind| Kind::from_name(kind).is_none()) {
            return Err(format!("there is no kind {kind}"));
        }
        if let Some(name) = &entry.name {
            let name = self.checked_name(id, name).map_err(|refused| refused.to_string())?;
            let name = name.ok_or("a name needs a visible character")?;
            if names.insert(name.to_lowercase(), id).is_some() {
                return Err(format!("two principals have the name {name}"));
            }
        }
        // As they will be stored, so that what is there already is no change.
        let clean = |text: Option<String>, cap| text.map(|text| harmless(&text, cap));
        let PrincipalEntry { name, kind, room, description, .. } = entry;
        let (name, room) = (clean(name, NAME_CAP), clean(room, NAME_CAP));
        let description = clean(description, DESCRIPTION_CAP);
        Ok(Change::Patch(id, Patch { name, kind, room, description }))
    }

    fn edge_change(
        &self,
        value: toml::Value,
        names: &BTreeMap<String, PrincipalId>,
        paths: &mut BTreeSet<Path>,
        now: Now,
    ) -> Result<Change, String> {
        let entry: EdgeEntry =
            value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let find = |text: &str| match names.get(&text.to_lowercase()) {
            Some(id) => Ok(*id),
            None => self.find(text).map_err(|refused| refused.to_string()),
        };
        let (src, dst) = (find(&entry.from)?, find(&entry.to)?);
        if src == dst {
            return Err("an edge leads from one principal to another".to_owned());
        }
        let port = entry.port.unwrap_or_else(|| self.settings().mqtt_port());
        let (plane, operation) = Operation::parse(&entry.plane, &entry.verb, &entry.object, port)
            .map_err(|error| error.to_string())?;
        let path = Path { plane, src, dst, operation };
        if !paths.insert(path.clone()) {
            return Err("the same edge stands twice".to_owned());
        }
        let lifetime = entry.until.map_or(Lifetime::Always, Lifetime::Until);
        lifetime.check(now).map_err(|refused| refused.to_string())?;
        let terms = terms(entry.action.as_deref(), entry.retain.as_deref(), entry.max_qos)?;
        let answer = match entry.state {
            StateName::Learned if entry.until.is_some() => {
                return Err("what was learned has no `until`".to_owned());
            }
            StateName::Learned if terms != Terms::NONE => {
                return Err("what was learned has no `action`, `retain` or `max_qos`".to_owned());
            }
            StateName::Learned => return Ok(Change::Learn(path)),
            StateName::Allowed => Answer::Allow,
            StateName::Denied => Answer::Deny,
        };
        terms.check(&path.operation, answer).map_err(|refused| refused.to_string())?;
        Ok(Change::Decide(path, Said { answer, lifetime, terms }))
    }

    /// What a change would change, in words; `None` if everything is so already.
    fn tell_change(&self, change: &Change, hosts: &BTreeMap<PrincipalId, HostName>) -> Option<String> {
        let title = |id: &PrincipalId| match hosts.get(id) {
            Some(name) => name.to_string(),
            None => self.principal(*id).map_or_else(String::new, Principal::title),
        };
        match change {
            Change::Host(_, name) => Some(format!("{name} becomes a host")),
            Change::Patch(id, patch) => {
                let known = self.principal(*id);
                let mut words = String::new();
                let mut tell = |field: &str, value: &Option<String>, known: Option<&str>| {
                    // An empty text removes.
                    if let Some(value) = value.as_deref().filter(|value| *value != known.unwrap_or_default())
                    {
                        let _ = write!(words, " {field} {value}");
                    }
                };
                tell("name", &patch.name, known.and_then(|known| known.name.as_deref()));
                tell("kind", &patch.kind, known.map(|known| known.kind.as_str()));
                tell("room", &patch.room, known.and_then(|known| known.room.as_deref()));
                tell("description", &patch.description, known.and_then(|known| known.description.as_deref()));
                (!words.is_empty()).then(|| format!("set{words} of {}", title(id)))
            }
            Change::Learn(path) | Change::Decide(path, ..) => {
                let (wanted, said) = match change {
                    Change::Decide(_, said) => match said.answer {
                        Answer::Allow => ("allowed", Some(said)),
                        Answer::Deny => ("denied", Some(said)),
                    },
                    Change::Learn(_) | Change::Patch(..) | Change::Host(..) => ("learned", None),
                };
                let known = self.edge_with(path);
                let same = known.is_some_and(|edge| {
                    let ends = edge.state.ruling().map(Ruling::until);
                    let asked = said.map(|said| match said.lifetime {
                        Lifetime::Until(unix) => Some(unix),
                        _ => None,
                    });
                    let terms = edge.state.ruling().map(|ruling| ruling.terms) == said.map(|said| said.terms);
                    let counted = edge.state.ruling().is_some_and(|ruling| ruling.lifetime.uses().is_some());
                    edge.state.as_str() == wanted && ends == asked && terms && !counted
                });
                let before = known.map_or("nothing", |edge| edge.state.as_str());
                let operation = &path.operation;
                (!same).then(|| {
                    let (from, to) = (title(&path.src), title(&path.dst));
                    let (verb, object) = (operation.verb.as_str(), operation.object_text());
                    format!("{from} to {to}, {verb} {object}: {before} becomes {wanted}")
                })
            }
        }
    }

    fn apply(&mut self, change: &Change, author: &Author, now: Now) -> Result<(), String> {
        let refused = |refused: crate::decision::Refused| refused.to_string();
        match change {
            Change::Host(_, name) if !self.has_room_outside() => {
                Err(format!("there is no room for one more outside host, {name}"))
            }
            Change::Host(id, name) => {
                self.add_outside_as(*id, NewHost::Name(name.clone()), now);
                Ok(())
            }
            Change::Patch(id, patch) => {
                self.set_principal(*id, patch, author, now).map(|_| ()).map_err(refused)
            }
            Change::Decide(path, said) => {
                self.decide_path(path.clone(), *said, author, now).map(|_| ()).map_err(refused)
            }
            Change::Learn(path) => self.set_learned(path.clone(), now).map_err(refused),
        }
    }

    fn entry(&self, edge: &Edge, references: &HashMap<PrincipalId, String>) -> Option<EdgeEntry> {
        let (state, until) = match &edge.state {
            State::Learned => (StateName::Learned, None),
            State::Allowed(ruling) if lasts(ruling.lifetime) => (StateName::Allowed, ruling.until()),
            State::Denied(ruling) if lasts(ruling.lifetime) => (StateName::Denied, ruling.until()),
            State::Allowed(_) | State::Denied(_) | State::Pending | State::Lapsed => return None,
        };
        let operation = &edge.path.operation;
        let (plane, verb, object) = (edge.path.plane, operation.verb, operation.object_text());
        let read = Operation::parse(plane.as_str(), verb.as_str(), &object, self.settings().mqtt_port());
        let is_clear = read.is_ok_and(|(_, read)| read == *operation);
        let port = operation.end().map(|(_, port)| port).filter(|_| !is_clear);
        let terms = edge.state.ruling().map_or(Terms::NONE, |ruling| ruling.terms);
        Some(EdgeEntry {
            from: references.get(&edge.path.src)?.clone(),
            to: references.get(&edge.path.dst)?.clone(),
            plane: plane.as_str().to_owned(),
            verb: verb.as_str().to_owned(),
            object,
            port,
            state,
            until,
            action: (terms.action != Action::Reset).then(|| terms.action.as_str().to_owned()),
            retain: terms.no_retain.then(|| "never".to_owned()),
            max_qos: terms.max_qos,
        })
    }

    /// A text that finds the principal again, on another box too where that is possible.
    fn reference(&self, id: PrincipalId) -> Option<String> {
        let principal = self.principal(id)?;
        let candidates = [
            principal.name.clone(),
            principal.places.first().map(|place| show_mac(place.mac)),
            principal.host.as_ref().map(|host| format!("{PREFIX}{host}")),
            principal.addresses.first().filter(|_| principal.is_outside()).map(|addr| show_address(*addr)),
            Some(id.0.to_string()),
        ];
        candidates.into_iter().flatten().find(|text| self.find(text) == Ok(id))
    }
}

fn describe(principal: &Principal) -> Option<PrincipalEntry> {
    let kind = (principal.kind_source == Source::Owner).then(|| principal.kind.as_str().to_owned());
    let (name, room, description) =
        (principal.name.clone(), principal.room.clone(), principal.description.clone());
    let place = principal.places.first();
    let said = name.is_some() || kind.is_some() || room.is_some() || description.is_some();
    let mac = place.map(|place| show_mac(place.mac));
    let vlan = place.map(|place| place.vlan).filter(|vlan| *vlan != 0);
    let host = principal.host.as_ref().map(HostName::to_string);
    let by_address = place.is_none() && host.is_none();
    let address = principal.addresses.first().filter(|_| by_address).map(|addr| show_address(*addr));
    said.then_some(PrincipalEntry { mac, vlan, address, host, name, kind, room, description })
}

fn terms(action: Option<&str>, retain: Option<&str>, max_qos: Option<u8>) -> Result<Terms, String> {
    let action = match action {
        Some(name) => Action::from_name(name).ok_or("an action is `reset` or `neutralise`")?,
        None => Action::Reset,
    };
    let no_retain = match retain {
        Some("never") => true,
        Some("allowed") | None => false,
        Some(_) => return Err("retain is `allowed` or `never`".to_owned()),
    };
    Ok(Terms { action, no_retain, max_qos })
}

/// Whether a decision can outlast this run of the box.
const fn lasts(lifetime: Lifetime) -> bool {
    match lifetime {
        Lifetime::Always | Lifetime::For(_) | Lifetime::Until(_) => true,
        Lifetime::Once | Lifetime::Uses(_) | Lifetime::UntilRestart => false,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
