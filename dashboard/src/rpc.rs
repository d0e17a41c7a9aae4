//! The unix socket between `edgeward run` and everything else.
//!
//! One JSON object per line. Each [`Call`] gets one [`Reply`] with the same id; after [`Request::Watch`] the daemon also
//! sends [`Message::Event`] lines until the connection ends. Who may call is decided by the peer's uid and group.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::inspect;
use crate::pushes::Told;
use crate::view::{self, Role};

/// Name of the socket in the runtime directory.
pub const SOCKET: &str = "edgeward.sock";

/// How long a decision holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// One connection, or one message in a running connection, within 10 minutes.
    Once,
    /// So many uses.
    Uses(u32),
    /// So many seconds, 60 to 43,200.
    For(u32),
    /// Until a date, seconds since 1970.
    Until(i64),
    /// Until the box restarts.
    UntilRestart,
    Always,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Allow,
    Deny,
}

/// An edge as someone writes it: `--from X --to Y --plane packet --verb publish --object 'site/+/temp'`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EdgeSpec {
    /// Name, number, MAC or IP address of a principal.
    pub from: String,
    pub to: String,
    pub plane: String,
    pub verb: String,
    pub object: String,
    /// What becomes of a denied publish.
    #[serde(default)]
    pub action: Action,
    /// An allowed publish must not be retained.
    #[serde(default)]
    pub no_retain: bool,
    /// Highest quality of service of an allowed publish: 0, 1 or 2.
    #[serde(default)]
    pub max_qos: Option<u8>,
}

/// What becomes of a denied publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its connection ends.
    #[default]
    Reset,
    /// It goes on as a message that nobody receives, where that is possible.
    Neutralise,
}

/// Fields of a principal that a person sets; `None` leaves one as it is, an empty string removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalPatch {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub room: Option<String>,
    pub description: Option<String>,
    /// Of the household, where a dangerous kind becomes another one; refused as [`Request::Decide`] is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What can be asked of the daemon. A `principal` is a name, number, MAC or IP address.
///
/// The reply to each is a model of [`view`]: `Status` gets [`view::Status`], `Principals` a list of [`view::Principal`],
/// what names one principal or changes it that [`view::Principal`], `Edges` and `Pending` lists of [`view::Edge`],
/// `Explain` a [`view::Explanation`], `Decide`, `EdgeDecide`, `EdgeRemove` and `Undo` a [`Decided`], `Decisions` a list of
/// [`view::Decision`] with the newest first, `Observations` a list of [`view::Observation`], `Trouble` a
/// [`view::Trouble`], `SiteMode`, `Confirm`, `Moved` and a `Pause` of the site [`view::Status`], `Pair` a [`PairingCode`],
/// `PairRedeem`, `SignIn` and `TokenMake` a [`Session`], `SessionCheck` a [`Visitor`], `Clients` a list of [`view::Client`], `Wishes`
/// a list of [`view::Wish`], `Certificate` a [`Certificate`], `Settings` and `SettingsSet` [`view::Settings`], `Ntfy` and `NtfySet` a
/// [`view::Ntfy`] or `null`, `HomeAssistant` and `HomeAssistantSet` a [`view::HomeAssistant`] or `null`, `Broker` a
/// [`Broker`] or `null`. The others get what their doc says, or `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    Status,
    Principals,
    Principal {
        principal: String,
    },
    PrincipalSet {
        principal: String,
        patch: PrincipalPatch,
    },
    /// `pin` as in `Decide`, where one of the two is dangerous, or does what is of high risk.
    PrincipalMerge {
        principal: String,
        into: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    /// `pin` as in `Decide`, where it is dangerous.
    PrincipalForget {
        principal: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    /// `enforcing`, `learning`, `guest`, `quarantine`, `new`. `rev`: refused with `conflict` if the mode has changed since.
    PrincipalMode {
        principal: String,
        mode: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    LearnStart {
        principal: Option<String>,
        seconds: Option<u32>,
    },
    /// Puts the protection of a principal that is ready off by so many seconds. The reply is the [`view::Principal`].
    LearnWait {
        principal: String,
        seconds: u32,
    },
    /// Lets a principal out of quarantine, into the mode that it had before. The reply is the [`view::Principal`].
    Release {
        principal: String,
    },
    /// Learns again, for so many seconds or until there is evidence enough. `forget`: without the habits that it has; what
    /// people decided stays. The reply is the [`view::Principal`].
    Relearn {
        principal: String,
        seconds: Option<u32>,
        forget: bool,
    },
    /// Who learns, and how far that has come: a list of [`view::Learner`].
    Learners,
    /// Ends learning and enforces now; without a principal for all that learn.
    LearnFinish {
        principal: Option<String>,
    },
    /// Filters: state and principal.
    Edges {
        state: Option<String>,
        principal: Option<String>,
    },
    Pending,
    Explain {
        edge: u32,
    },
    /// Decides about an edge that exists. `rev`: refused with `conflict` if the edge has changed since. `pin`: of the
    /// household; a session that allows for long what is of high risk is refused without it, with `pin_needed`,
    /// `pin_wrong` or `too_many`.
    Decide {
        edge: u32,
        answer: Answer,
        lifetime: Lifetime,
        rev: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    /// Allows for good what an edge allows, to every host of the domain of its target.
    Widen {
        edge: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    /// Asks the owners to decide about an edge.
    Wish {
        edge: u32,
    },
    /// What owners are asked to decide.
    Wishes,
    /// Decides about an edge that need not exist yet.
    EdgeDecide {
        spec: EdgeSpec,
        answer: Answer,
        lifetime: Lifetime,
    },
    /// Takes the edge out of the model; it is pending at its next try.
    EdgeRemove {
        edge: u32,
    },
    /// What is done about something unusual on an edge: `ask` or `block`; `null`: what is set for its source. The reply is
    /// the [`view::Edge`].
    EdgeUnusual {
        edge: u32,
        response: Option<String>,
    },
    /// As `EdgeUnusual`, for all edges of a principal that have no setting of their own.
    PrincipalUnusual {
        principal: String,
        response: String,
    },
    /// The model as TOML in stable order.
    EdgesExport,
    EdgesImport {
        toml: String,
        dry_run: bool,
    },
    /// The graph as an [`inspect::Format`]: an object, or a text.
    GraphExport {
        format: inspect::Format,
        device: Option<String>,
    },
    /// What a profile (RFC 8520) declares beside the model; an [`inspect::MudDiff`].
    MudDiff {
        device: String,
        profile: String,
    },
    /// Makes questions of what a profile declares; an [`inspect::MudImport`].
    MudImport {
        device: String,
        profile: String,
        dry_run: bool,
    },
    /// The habits of a device; an [`inspect::Review`].
    Review {
        principal: String,
    },
    /// What would not pass if a device, or all that learn, enforced; a list of [`inspect::Break`].
    WouldBreak {
        principal: Option<String>,
    },
    /// The first packet of an edge, if it was stopped, and those that come within so many seconds; a list of
    /// [`inspect::Packet`]. Without a number, others are waited for only where no first one is known. In the name of a
    /// session, of what they carry only what the edge says itself is shown.
    Packets {
        edge: u32,
        seconds: Option<u32>,
    },
    /// A device that enforces gets new software within so many seconds; an [`inspect::Review`].
    AwaitUpdate {
        principal: String,
        seconds: u32,
    },
    /// Who is banned: a list of [`view::Ban`].
    Bans,
    /// Bans a principal for so many seconds, or only its MQTT connections with one client id. The reply is the list of all
    /// bans.
    BanAdd {
        principal: String,
        client: Option<String>,
        seconds: u32,
        why: String,
    },
    /// Ends a ban before its time. The reply is as that of `BanAdd`.
    BanRemove {
        ban: u32,
    },
    /// How much each hour of the last 30 days has carried; a list of [`view::Hour`], oldest first.
    Hours,
    /// What each edge has carried in the hours that begin between two times, seconds since 1970: at most a day. A
    /// [`view::Traffic`].
    Traffic {
        from: i64,
        until: i64,
    },
    /// The newest first: older than this one, about this principal, by this person, of this kind.
    Decisions {
        limit: Option<u32>,
        #[serde(default)]
        before: Option<u64>,
        #[serde(default)]
        principal: Option<String>,
        #[serde(default)]
        by: Option<String>,
        #[serde(default)]
        what: Option<String>,
    },
    /// `pin` as in `Decide`, where something of high risk would pass for long again.
    Undo {
        decision: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    /// `monitor` or `enforce` for the site. A change to enforce reverts unless confirmed in time. `pin` as in `Decide`,
    /// where nothing would be stopped any more.
    SiteMode {
        mode: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
    },
    Confirm,
    /// What it means that the site is somewhere else: all goes on, or all learn again.
    Moved {
        learn: bool,
    },
    Pause {
        principal: Option<String>,
        seconds: u32,
    },
    /// What was seen, newest last.
    Observations {
        verdict: Option<String>,
        since_seconds: Option<u32>,
    },
    Trouble {
        principal: String,
        minutes: u32,
    },
    LedgerVerify,
    /// Makes a one-use code for the page; `seconds` is its lifetime.
    Pair {
        seconds: u32,
        #[serde(default)]
        role: Role,
    },
    /// Redeems a code; called by the page's process only. Refused with `forbidden` for a wrong code, `gone` for a used or
    /// expired one, `too_many` after five wrong tries, which also burn the code.
    PairRedeem {
        code: String,
        name: String,
        /// Where the phone is; refused with `forbidden` if a device that is no phone or computer is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Whose session this is; refused with `unauthenticated` if it is no session or was ended.
    SessionCheck {
        token: String,
        /// Where it comes from: a device that it was not used at before is let in, if it may be a phone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Whether the page's process speaks with whoever has this address, at this port of its; the reply is `true` or `false`.
    Admit {
        from: IpAddr,
        port: u16,
    },
    /// Makes a session of a name and a password; called by the page's process only. Refused with `password_wrong` whatever
    /// is wrong, with `too_many` after five wrong tries; `from` as in `PairRedeem`.
    SignIn {
        name: String,
        password: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Sets the password of the session in whose name it is asked, which a pro may have; `null` removes it. The old one is
    /// needed, if there is one. Whoever signed in by it is out.
    PasswordSet {
        password: Option<String>,
        old: Option<String>,
    },
    SessionEnd {
        token: String,
    },
    /// Who is let in.
    Clients,
    /// Logs someone out.
    ClientEnd {
        client: String,
    },
    /// Lets a program in, for so many seconds where that is said.
    TokenMake {
        name: String,
        role: Role,
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// Sets the PIN of the household; `null` removes it. In the name of a session the old one is needed, if there is one.
    PinSet {
        pin: Option<String>,
        old: Option<String>,
    },
    /// What the household has set up.
    Settings,
    /// Calls the site something else, an empty name removes it; goes to a step of the first run. `null` leaves as it is.
    SettingsSet {
        name: Option<String>,
        #[serde(default)]
        first_run: Option<view::FirstRun>,
    },
    /// Where questions are told, if anywhere.
    Ntfy,
    /// Tells questions to a new topic of this server from now on; without a server to nobody. `page` is where the page is
    /// reached by phones.
    NtfySet {
        server: Option<String>,
        page: Option<String>,
    },
    /// Where Home Assistant finds this box, if anywhere.
    HomeAssistant,
    /// Shows questions to Home Assistant through this broker from now on; `null` to nobody.
    HomeAssistantSet {
        broker: Option<Broker>,
    },
    /// The broker with its password, for the page's process.
    Broker,
    /// How many questions wait, and the newest, for the page's process; the reply is [`Waiting`].
    Waiting,
    /// Keeps blocked what waits, in the name of Home Assistant; what does not wait stays as it is.
    KeepBlocked {
        edge: u32,
    },
    /// A certificate for the page's process, which listens at these addresses.
    Certificate {
        listening: Vec<SocketAddr>,
    },
    /// What is needed to tell phones; the reply is a [`Telling`].
    Telling,
    /// Keeps what phones were told.
    NoteTold {
        told: Told,
    },
    /// The broker of Home Assistant has let this box in.
    Reached,
    /// The latest alarms, the oldest first.
    Alarms,
    /// From now on events are sent on this connection.
    Watch,
}

/// A broker and how to sign in there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Address or name.
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub user: Option<String>,
    /// Never shown again.
    #[serde(default)]
    pub password: Option<String>,
}

/// Reply to [`Request::Telling`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    pub told: Told,
    pub waiting: Vec<view::Edge>,
    pub ntfy: Option<view::Ntfy>,
}

/// Reply to [`Request::Waiting`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    pub count: usize,
    /// The newest, where it is stopped meanwhile, so that it can be kept blocked.
    pub newest: Option<u32>,
    /// The newest in plain English.
    pub sentence: Option<String>,
}

/// A request with the number that its reply carries and, for decisions, who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub id: u64,
    /// For the ledger; otherwise the daemon takes the peer's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In the name of this session: its role says what may be asked, and its name goes to the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(flatten)]
    pub request: Request,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// `not_found`, `conflict`, `invalid`, `unauthenticated`, `forbidden`, `ask_owner`, `pin_needed`, `pin_wrong`,
    /// `password_wrong`, `unavailable`, `gone`, `too_many`.
    pub code: String,
    /// One sentence with what to do.
    pub message: String,
    /// What somebody has done before, if it was that and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<view::Act>,
}

impl Refusal {
    /// A refusal with this code, and one sentence with what to do.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), act: None }
    }

    /// Says what somebody has done before.
    #[must_use]
    pub fn after(self, act: Option<view::Act>) -> Self {
        Self { act, ..self }
    }
}

/// What the daemon sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    Reply(Reply),
    Event(Box<view::Event>),
}

/// Answer to the call with this id; the body is the view model that the request names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub id: u64,
    pub result: Result<serde_json::Value, Refusal>,
}

/// Reply to [`Request::Decide`] and the like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decided {
    pub decision_id: u64,
    /// The edge as the kernel now holds it.
    pub edge: Option<view::Edge>,
}

/// Reply to [`Request::Pair`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairingCode {
    pub code: String,
    /// The same for typing.
    pub typed: String,
    pub expires_at: i64,
    pub role: Role,
    /// Where the page is served with TLS.
    pub listening: Vec<SocketAddr>,
    /// Who vouches for the page there.
    pub authority: Option<view::Authority>,
}

impl PairingCode {
    /// What a phone opens, at each address where the page is served to phones. The fragment goes over no wire.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.listening.iter().filter_map(|address| self.url_at(*address))
    }

    /// What a phone opens that reaches the page at this address.
    pub fn url_at(&self, address: SocketAddr) -> Option<String> {
        let fingerprint = self.authority.as_ref()?.fingerprint.get(..16)?;
        Some(format!("https://{address}/#/pair?k={}&fp={fingerprint}", self.code))
    }
}

/// Reply to [`Request::Certificate`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// PEM.
    pub certificate: String,
    /// PEM; never logged.
    pub key: String,
    pub issued_at: i64,
    pub authority: view::Authority,
    /// The issuer's certificate, PEM.
    pub issuer: String,
}

/// Reply to [`Request::PairRedeem`] and [`Request::SignIn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Secret of the cookie; never logged.
    pub token: String,
    pub name: String,
    pub role: Role,
}

/// Reply to [`Request::SessionCheck`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Visitor {
    /// Names it in the list of those who are let in.
    pub id: String,
    /// Name of the paired phone or browser.
    pub name: String,
    pub role: Role,
    /// Whether the household has a PIN.
    pub pin: bool,
    /// Whether the same person signs in elsewhere with a password.
    #[serde(default)]
    pub password: bool,
}

/// What can go wrong between a client and the daemon.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("Edgeward is not running here (no answer on {path}); start it with `edgeward run`")]
    NotRunning { path: String, source: std::io::Error },
    #[error("The connection to the daemon ended")]
    Closed,
    #[error("The connection to the daemon failed")]
    Io(#[from] std::io::Error),
    #[error("The daemon sent something this version does not understand")]
    Format(#[from] serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// One connection to the daemon.
#[derive(Debug)]
pub struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    next_id: u64,
    by: Option<String>,
    session: Option<String>,
    waiting: std::collections::VecDeque<view::Event>,
}

impl Client {
    /// Connects to the daemon whose runtime directory this is.
    pub async fn connect(runtime_dir: &Path) -> Result<Self, ClientError> {
        let path = runtime_dir.join(SOCKET);
        let stream = UnixStream::connect(&path)
            .await
            .map_err(|source| ClientError::NotRunning { path: path.display().to_string(), source })?;
        let (reader, writer) = stream.into_split();
        let lines = BufReader::new(reader).lines();
        let waiting = std::collections::VecDeque::new();
        Ok(Self { lines, writer, next_id: 1, by: None, session: None, waiting })
    }

    /// Names who asks, for the ledger.
    #[must_use]
    pub fn on_behalf_of(mut self, name: impl Into<String>) -> Self {
        self.by = Some(name.into());
        self
    }

    /// Asks in the name of a session.
    #[must_use]
    pub fn in_session(mut self, token: impl Into<String>) -> Self {
        self.session = Some(token.into());
        self
    }

    /// Sends a request and waits for its reply; events that come in between are kept for [`Client::next_event`].
    pub async fn call<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, ClientError> {
        let id = self.send(request).await?;
        loop {
            match self.read().await? {
                Message::Reply(reply) if reply.id == id => return Ok(serde_json::from_value(reply.result?)?),
                Message::Reply(_) => {}
                Message::Event(event) => self.waiting.push_back(*event),
            }
        }
    }

    /// As [`Client::call`], with the reply as the daemon has written it: a long list is handed on without being read.
    pub async fn call_text(&mut self, request: Request) -> Result<String, ClientError> {
        let id = self.send(request).await?;
        let head = head_of_reply(id);
        loop {
            let mut line = self.lines.next_line().await?.ok_or(ClientError::Closed)?;
            if line.starts_with(&head) && line.ends_with(TAIL_OF_REPLY) {
                line.truncate(line.len() - TAIL_OF_REPLY.len());
                line.drain(..head.len());
                return Ok(line);
            }
            match serde_json::from_str(&line)? {
                Message::Reply(reply) if reply.id == id => return Ok(reply.result?.to_string()),
                Message::Reply(_) => {}
                Message::Event(event) => self.waiting.push_back(*event),
            }
        }
    }

    async fn send(&mut self, request: Request) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line =
            serde_json::to_vec(&Call { id, by: self.by.clone(), session: self.session.clone(), request })?;
        line.push(b'\n');
        self.writer.write_all(&line).await?;
        Ok(id)
    }

    /// Waits for the next event; only after [`Request::Watch`].
    pub async fn next_event(&mut self) -> Result<view::Event, ClientError> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(event);
        }
        loop {
            if let Message::Event(event) = self.read().await? {
                return Ok(*event);
            }
        }
    }

    async fn read(&mut self) -> Result<Message, ClientError> {
        let line = self.lines.next_line().await?.ok_or(ClientError::Closed)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// What stands before the body of a reply, as this version writes it.
fn head_of_reply(id: u64) -> String {
    format!(r#"{{"reply":{{"id":{id},"result":{{"Ok":"#)
}

/// What stands behind it.
const TAIL_OF_REPLY: &str = "}}}";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_stands_where_it_is_looked_for() {
        let body = json!([{ "name": "}}}" }, null]);
        let line = serde_json::to_string(&Message::Reply(Reply { id: 7, result: Ok(body.clone()) })).unwrap();
        let text = line.strip_prefix(&head_of_reply(7)).and_then(|rest| rest.strip_suffix(TAIL_OF_REPLY));
        assert_eq!(text, Some(body.to_string().as_str()));
        let refusal = Refusal::new("gone", "");
        let refused = serde_json::to_string(&Message::Reply(Reply { id: 7, result: Err(refusal) })).unwrap();
        assert!(!refused.starts_with(&head_of_reply(7)));
    }
}
