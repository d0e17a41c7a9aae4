//! Rules of the HTTP layer: who gets in, what an answer carries, and what a stream repeats.
//!
//! The daemon's socket is played by a stand-in that knows sessions, one edge and events; the decisions themselves are
//! tested end to end with the real daemon.

use std::{
    collections::HashSet,
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Notify, broadcast, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{Listening, Options, Shared, ntfy, openapi, serve};
use crate::pushes::{Outage, Push, Told};
use crate::rpc::{self, Call, Message, Refusal, Reply, Request};
use crate::view::{Act, Event, Revoked};

/// Nothing here takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(10);

/// The other side of the socket.
#[derive(Clone)]
struct Daemon {
    state: Arc<Mutex<DaemonState>>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct DaemonState {
    sessions: HashSet<String>,
    calls: Vec<Call>,
    rev: u64,
    ntfy: Value,
    told: Told,
    /// Of Home Assistant.
    broker: Value,
    /// Whether there is more than one edge, and the ledger broken.
    many: bool,
}

impl Daemon {
    fn new() -> Self {
        Self { state: Arc::default(), events: broadcast::channel(4096).0 }
    }

    fn listen(&self, runtime_dir: &Path) -> JoinHandle<()> {
        let listener = UnixListener::bind(runtime_dir.join(rpc::SOCKET)).unwrap();
        let daemon = self.clone();
        tokio::spawn(async move {
            // Connections end with the one who accepted them, as when the daemon dies.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(daemon.clone().answer_all(stream));
            }
        })
    }

    async fn answer_all(self, stream: UnixStream) {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut events = self.events.subscribe();
        let mut watching = false;
        loop {
            let message = tokio::select! {
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    let call: Call = serde_json::from_str(&line).unwrap();
                    watching |= call.request == Request::Watch;
                    let id = call.id;
                    Message::Reply(Reply { id, result: self.answer(call) })
                }
                event = events.recv(), if watching => Message::Event(Box::new(event.unwrap())),
            };
            let mut line = serde_json::to_vec(&message).unwrap();
            line.push(b'\n');
            if writer.write_all(&line).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, call: Call) -> Result<Value, Refusal> {
        let mut state = self.state.lock().unwrap();
        let answer = match &call.request {
            Request::Watch | Request::Reached | Request::Wish { edge: 8 } => Ok(Value::Null),
            Request::Status => Ok(status(state.rev)),
            Request::PairRedeem { code, name, .. } => match code.as_str() {
                "good" => {
                    state.sessions.insert("secret-1".to_owned());
                    Ok(json!({"token": "secret-1", "name": name, "role": "owner"}))
                }
                "used" => Err(refusal("gone")),
                "burnt" => Err(refusal("too_many")),
                _ => Err(refusal("forbidden")),
            },
            Request::SignIn { name, password, .. } => match (name.as_str(), password.as_str()) {
                ("Eve", "correct horse") => {
                    state.sessions.insert("secret-2".to_owned());
                    Ok(json!({"token": "secret-2", "name": name, "role": "pro"}))
                }
                ("Resting", _) => Err(refusal("too_many")),
                _ => Err(refusal("password_wrong")),
            },
            Request::SessionCheck { token, .. } if state.sessions.contains(token) => {
                Ok(json!({"id": "1", "name": "Phone", "role": "owner", "pin": false}))
            }
            Request::SessionCheck { .. } => Err(out()),
            _ if call.session.as_ref().is_some_and(|session| !state.sessions.contains(session)) => Err(out()),
            Request::SessionEnd { token } => {
                state.sessions.remove(token);
                Ok(Value::Null)
            }
            Request::Ntfy => Ok(state.ntfy.clone()),
            Request::Telling => Ok(json!({"told": state.told, "waiting": [], "ntfy": state.ntfy})),
            Request::NoteTold { told } => {
                state.told = told.clone();
                Ok(Value::Null)
            }
            Request::HomeAssistant | Request::Broker => Ok(state.broker.clone()),
            Request::Waiting => Ok(json!({"count": 1, "newest": 8, "sentence": "x"})),
            Request::Pending | Request::Edges { .. } if state.many => Ok(many_edges()),
            Request::Pending | Request::Edges { .. } => Ok(json!([edge(1)])),
            Request::Decisions { limit, before, .. } => {
                let newest = before.unwrap_or(6) - 1;
                let ids = (1..=newest).rev().take(limit.unwrap() as usize);
                Ok(ids.map(decision).collect())
            }
            Request::LedgerVerify if state.many => Err(refusal("conflict")),
            Request::LedgerVerify => Ok(json!({"entries": 7, "hash": "ab"})),
            Request::Clients => Ok(json!([client()])),
            Request::Pair { seconds, .. } => Ok(json!({
                "code": "k", "typed": "K7QF-2M9D", "expires_at": seconds, "role": "member", "listening": [],
                "authority": null,
            })),
            Request::TokenMake { name, role, .. } => Ok(json!({"token": "t", "name": name, "role": role})),
            Request::Settings | Request::SettingsSet { .. } => Ok(json!({"name": "Home", "notified": false})),
            Request::Packets { edge: 8, .. } => {
                Ok(json!([{"time": 1, "length": 60, "bytes": [71, 69, 84, 0]}]))
            }
            Request::Principals | Request::Packets { .. } => Ok(json!([])),
            Request::EdgesExport => Ok(json!("[[edge]]\n")),
            Request::GraphExport { .. } => Ok(json!("digraph edgeward {\n}\n")),
            Request::Explain { edge: 8 } => {
                Ok(json!({"edge": edge(2), "because": "", "habits": [], "evidence": []}))
            }
            Request::Decide { edge: 8, rev, .. } if *rev == Some(2) => {
                Ok(json!({"decision_id": 5, "edge": edge(3)}))
            }
            Request::Decide { edge: 8, .. } => Err(refusal("conflict")),
            Request::Widen { edge: 8, pin: Some(_) } => Ok(json!({"decision_id": 6, "edge": edge(3)})),
            Request::Widen { edge: 8, pin: None } => Err(refusal("pin_needed")),
            _ => Err(refusal("not_found")),
        };
        state.calls.push(call);
        answer
    }

    /// What was asked in the name of a session.
    fn asked(&self) -> Vec<Request> {
        let calls = self.calls().into_iter().filter(|call| call.session.is_some());
        calls.map(|call| call.request).collect()
    }

    fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }
}

/// What a session hears that was ended.
fn out() -> Refusal {
    refusal("unauthenticated").after(Some(Act { by: Some("Anna".to_owned()), at: 5 }))
}

fn refusal(code: &str) -> Refusal {
    Refusal::new(code, format!("refused: {code}"))
}

fn status(rev: u64) -> Value {
    json!({
        "version": "0", "interfaces": [], "mode": "enforce", "health": "ok", "faults": [], "paused_until": null,
        "confirm_until": null, "moved_since": null, "packets": {}, "events": {"produced": 0, "delivered": 0, "suppressed": 0, "lost": 0},
        "edges": {"learned": 0, "allowed": 0, "denied": 0, "pending": 1}, "principals": {}, "maps": [],
        "coverage": [], "clock_synchronised": true, "rev": rev,
    })
}

fn edge(rev: u64) -> Value {
    let end = json!({"id": 20, "name": "Hub", "confirmed": true, "kind": "hub"});
    json!({
        "id": 8, "plane": "packet", "from": end, "to": end, "verb": "publish", "object": "lock/front/set",
        "meaning": null, "state": "pending", "since": 0, "by": "Phone", "until": null, "lifetime": null, "uses": null, "action": null, "no_retain": false, "max_qos": null,
        "reason": null, "violated": null, "risk": "high", "beneficiaries": [], "tries": 1, "first_seen": null,
        "last_seen": null, "rev": rev, "unusual": "", "flag": null, "limit": null,
    })
}

/// Three questions of one device to sensors within a day, one a day later, and one of high risk.
fn many_edges() -> Value {
    let of = |(id, first_seen, risk): (u64, u64, &str)| {
        let mut edge = edge(id);
        edge["id"] = json!(id);
        edge["first_seen"] = json!(first_seen);
        edge["risk"] = json!(risk);
        edge["to"] = json!({"id": 30 + id, "name": "Sensor", "confirmed": true, "kind": "sensor"});
        edge
    };
    [(13, 100, "low"), (11, 50, "low"), (12, 86_449, "low"), (14, 86_450, "low"), (15, 60, "high")]
        .map(of)
        .into()
}

fn decision(id: u64) -> Value {
    json!({
        "id": id, "at": 0, "by": "Phone", "what": "allow", "edge": null, "principal": null, "detail": "always",
        "undone": false, "hash": "",
    })
}

fn client() -> Value {
    json!({
        "id": "7", "name": "Phone", "role": "owner", "token": false, "since": 0, "last_seen": 0, "until": null,
        "by_password": false,
    })
}

fn removed(id: u32) -> Event {
    Event::EdgeRemoved { id }
}

/// The server with its stand-in.
struct Site {
    address: SocketAddr,
    daemon: Daemon,
    daemon_task: JoinHandle<()>,
    server: JoinHandle<std::io::Result<()>>,
    stop: Option<oneshot::Sender<()>>,
    folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::new();
        let daemon_task = daemon.listen(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options { runtime_dir: folder.path().to_owned(), ..options };
        let server = tokio::spawn(serve(vec![Listening { listener, tls: None }], options, async {
            let _ = stopped.await;
        }));
        Self { address, daemon, daemon_task, server, stop: Some(stop), folder }
    }

    fn pair(&self) {
        self.daemon.state.lock().unwrap().sessions.insert("secret-1".to_owned());
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            write!(text, "host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        text.push_str("\r\n");
        text.push_str(body);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut answer))
            .await
            .expect("an answer comes in time")
            .unwrap();
        Answer::parse(&answer)
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[COOKIE], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[COOKIE, JSON], body).await
    }

    /// Opens a stream and reads its hello, once the daemon is being watched.
    async fn stream(&self, last: Option<&str>) -> (EventStream, SseEvent) {
        timeout(DEADLINE, async {
            loop {
                let (stream, hello) = self.open_stream(last).await;
                if hello.data.contains(r#""running":true"#) {
                    return (stream, hello);
                }
            }
        })
        .await
        .expect("the server watches the daemon in time")
    }

    async fn open_stream(&self, last: Option<&str>) -> (EventStream, SseEvent) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let text = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\ncookie: edgeward=secret-1\r\n{last}\r\n",
            self.address
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut stream = EventStream { reader: BufReader::new(stream) };
        let hello = stream.next().await.expect("a stream begins");
        (stream, hello)
    }
}

const COOKIE: (&str, &str) = ("cookie", "theme=dark; edgeward=secret-1");
const JSON: (&str, &str) = ("content-type", "application/json");

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, headers: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and code of a problem.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["status"], self.status);
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

struct EventStream {
    reader: BufReader<TcpStream>,
}

#[derive(Debug, Default, PartialEq)]
struct SseEvent {
    name: String,
    id: String,
    data: String,
    retry: String,
}

impl EventStream {
    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<SseEvent> {
        timeout(DEADLINE, self.read()).await.expect("an event comes in time")
    }

    async fn read(&mut self) -> Option<SseEvent> {
        let mut event = SseEvent::default();
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            // Lines of the head and of the chunked transfer have none of these names.
            match line.trim_end().split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data = data.to_owned(),
                Some(("retry", retry)) => event.retry = retry.to_owned(),
                None if line.trim_end().is_empty() && !event.name.is_empty() => return Some(event),
                Some(_) | None => {}
            }
        }
    }
}

/// Method and path of every route that there is, with numbers in its path.
fn routes(resources: &[openapi::Resources]) -> Vec<(String, String)> {
    let list = resources.iter().flat_map(|one| one.list);
    let filled = |path: &str| path.replace("{id}", "8").replace("{principal}", "8");
    list.map(|(method, path)| (method.to_uppercase(), filled(path))).collect()
}

#[tokio::test]
async fn nothing_but_pairing_answers_without_a_session() {
    let site = Site::start().await;
    let (guarded, open) = openapi::everything();
    let guarded = routes(&guarded);
    assert!(guarded.len() > 40, "{guarded:?}");
    for (method, path) in guarded {
        for headers in [&[JSON][..], &[JSON, ("cookie", "edgeward=guessed")]] {
            let answer = site.send(&method, &path, headers, "{}").await;
            assert_eq!(answer.problem(), (401, "unauthenticated".into()), "{method} {path}");
        }
    }
    let open: Vec<String> =
        routes(&open).into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(open, ["POST /api/v1/pair", "POST /api/v1/session", "GET /api/v1/authority", "GET /ca.crt"]);
}

#[tokio::test]
async fn every_route_is_described_with_what_can_go_wrong() {
    let site = Site::start().await;
    site.pair();
    let document = site.get("/openapi.json").await.json();
    let (guarded, open) = openapi::everything();
    let is_open = |path: &str, method: &str| open.iter().any(|one| one.list.contains(&(method, path)));
    let mut described = 0;
    for (method, path) in guarded.iter().chain(&open).flat_map(|one| one.list) {
        let operation = &document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path} is not described");
        described += 1;
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        let mut wanted = vec!["403", "422", "503"];
        if is_open(path, method) {
            assert_eq!(operation["security"], json!([]), "{method} {path}");
        } else {
            wanted.push("401");
        }
        if path.contains('{') {
            wanted.push("404");
        }
        if operation["requestBody"].is_object() {
            wanted.extend(["413", "415"]);
        }
        for status in wanted {
            assert!(responses.contains_key(status), "{method} {path} can answer {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
        }
    }
    let operations =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len());
    assert_eq!(operations.sum::<usize>(), described, "what is described is there");
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["bearer", "cookie"]);
    assert_eq!(document["security"], json!([{"cookie": []}, {"bearer": []}]));
}

#[tokio::test]
async fn what_is_not_described_is_refused() {
    let site = Site::start().await;
    site.pair();
    let (guarded, open) = openapi::everything();
    for (method, path) in routes(&guarded).into_iter().chain(routes(&open)) {
        let answer = site.send(&method, &format!("{path}?surprise=1"), &[COOKIE, JSON], "").await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{method} {path}");
    }
    for (method, path, body) in [
        ("GET", "/api/v1/edges?state=pending&state=learned", ""),
        ("POST", "/api/v1/confirm", "{}"),
        (
            "POST",
            "/api/v1/edges/8/decision",
            r#"{"answer":"allow","lifetime":"once","rev":2,"forever":true}"#,
        ),
        ("PATCH", "/api/v1/principals/20", r#"{"name":"Hub","colour":"red"}"#),
        ("PUT", "/api/v1/home-assistant", r#"{"broker":{"host":"a","port":1,"tls":true}}"#),
    ] {
        let answer = site.send(method, path, &[COOKIE, JSON], body).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{method} {path} {body}");
    }
    let asked = site.daemon.asked();
    assert!(asked.is_empty(), "the daemon hears of none of these: {asked:?}");
}

#[tokio::test]
async fn pairing_gives_a_cookie_that_opens_the_rest() {
    let site = Site::start().await;
    let answer =
        site.send("POST", "/api/v1/pair", &[JSON], r#"{"code":" good ","name":"Phone\u202e"}"#).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("set-cookie"),
        Some("edgeward=secret-1; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict")
    );
    let from = Some("127.0.0.1".parse().unwrap());
    let redeemed = Request::PairRedeem { code: "good".into(), name: "Phone".into(), from };
    assert!(site.daemon.calls().iter().any(|call| call.request == redeemed));
    let me = site.get("/api/v1/me").await;
    assert_eq!(
        me.json(),
        json!({"id": "1", "name": "Phone", "role": "owner", "pin": false, "password": false})
    );
    assert!(me.header("set-cookie").unwrap().contains("Max-Age=34560000"), "renewed at each visit");
    assert_eq!(site.get("/openapi.json").await.json()["info"]["title"], "Edgeward");
}

#[tokio::test]
async fn a_cookie_for_tls_is_not_sent_in_the_clear() {
    let site = Site::start_with(Options { tls: true, ..Options::default() }).await;
    let answer = site.send("POST", "/api/v1/pair", &[JSON], r#"{"code":"good","name":"Phone"}"#).await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_wrong_code_is_told_from_an_old_and_a_burnt_one() {
    let site = Site::start().await;
    for (code, problem) in
        [("bad", (403, "forbidden")), ("used", (410, "gone")), ("burnt", (429, "too_many"))]
    {
        let body = json!({"code": code, "name": "Phone"}).to_string();
        let answer = site.send("POST", "/api/v1/pair", &[JSON], &body).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), problem);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let nameless = site.send("POST", "/api/v1/pair", &[JSON], r#"{"code":"good","name":" \u200b"}"#).await;
    assert_eq!(nameless.problem(), (422, "name_missing".into()));
}

#[tokio::test]
async fn a_password_gives_a_cookie_like_a_code() {
    let site = Site::start_with(Options { tls: true, ..Options::default() }).await;
    let sign_in = async |name: &str, password: &str, headers: &[(&str, &str)]| {
        let body = json!({"name": name, "password": password}).to_string();
        site.send("POST", "/api/v1/session", headers, &body).await
    };
    let answer = sign_in(" Eve ", "correct horse", &[JSON]).await;
    assert_eq!(answer.status, 204);
    let cookie = "edgeward=secret-2; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict; Secure";
    assert_eq!(answer.header("set-cookie"), Some(cookie));
    for (name, password, problem) in [
        ("Eve", "wrong", (403, "password_wrong")),
        ("Nobody", "correct horse", (403, "password_wrong")),
        ("Resting", "correct horse", (429, "too_many")),
    ] {
        let answer = sign_in(name, password, &[JSON]).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), problem, "{name}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let asked = site.daemon.calls().len();
    let foreign = [JSON, ("origin", "http://evil.example")];
    assert_eq!(sign_in("Eve", "correct horse", &foreign).await.problem(), (403, "origin".into()));
    let rebound = [JSON, ("host", "evil.example")];
    assert_eq!(sign_in("Eve", "correct horse", &rebound).await.problem(), (421, "host".into()));
    assert_eq!(sign_in("Eve", &"x".repeat(20_000), &[JSON]).await.status, 413);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_ne!(sign_in("Eve", "correct horse", &form).await.status, 204, "what a form of another site sends");
    assert_eq!(site.daemon.calls().len(), asked, "the daemon hears of none of these");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let hosts = vec!["edgeward.home.arpa".to_owned()];
    let site = Site::start_with(Options { hosts: hosts.clone(), tls: true, ..Options::default() }).await;
    site.pair();
    let own = site.address.to_string();
    let own_origin = format!("http://{own}");
    let other_port = format!("http://127.0.0.1:{}", site.address.port() ^ 1);
    let asked = async |headers: &[(&str, &str)]| {
        let mut all = vec![COOKIE];
        all.extend_from_slice(headers);
        site.send("GET", "/api/v1/pending", &all, "").await.status
    };

    assert_eq!(asked(&[]).await, 200);
    assert_eq!(asked(&[("origin", &own_origin)]).await, 200);
    for host in
        ["localhost", "localhost:9000", "[::1]:9000", "edgeward.home.arpa:8443", "Edgeward.Home.ARPA."]
    {
        assert_eq!(asked(&[("host", host)]).await, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1", "127.0.0.1@evil.example", ""] {
        assert_eq!(asked(&[("host", host)]).await, 421, "{host}");
    }
    for origin in ["http://evil.example", "null", &other_port, "file://", &own] {
        assert_eq!(asked(&[("origin", origin)]).await, 403, "{origin}");
    }
    assert_eq!(asked(&[("sec-fetch-site", "same-origin")]).await, 200);
    assert_eq!(asked(&[("sec-fetch-site", "same-site")]).await, 403);
    assert_eq!(asked(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]).await, 403);
    assert_eq!(asked(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]).await, 200);

    // In clear, whoever answers for a name on the LAN could be meant.
    let clear = Site::start_with(Options { hosts, ..Options::default() }).await;
    clear.pair();
    let named = clear.send("GET", "/api/v1/pending", &[COOKIE, ("host", "edgeward.home.arpa")], "").await;
    assert_eq!(named.problem(), (421, "host".into()));

    // A page of another site may not pair itself either.
    let headers = [JSON, ("origin", "http://evil.example")];
    let answer = site.send("POST", "/api/v1/pair", &headers, r#"{"code":"good","name":"x"}"#).await;
    assert_eq!(answer.problem(), (403, "origin".into()));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let site = Site::start().await;
    for (path, host) in [("/", None), ("/api/v1/me", None), ("/nowhere", None), ("/", Some("evil.example"))] {
        let headers: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
        let answer = site.send("GET", path, &headers, "").await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    assert!(site.send("GET", "/", &[], "").await.body.contains("<!doctype html>"));
    assert_eq!(site.send("POST", "/", &[], "").await.status, 405);
    assert_eq!(site.send("GET", "/../Cargo.toml", &[], "").await.status, 404);
}

#[tokio::test]
async fn bodies_that_are_none_get_a_problem() {
    let site = Site::start().await;
    site.pair();
    let path = "/api/v1/edges/8/decision";
    let good = r#"{"answer":"allow","lifetime":"once","rev":2}"#;
    for (headers, body, problem) in [
        (&[COOKIE][..], good, (415, "invalid")),
        (&[COOKIE, ("content-type", "text/plain")], good, (415, "invalid")),
        (&[COOKIE, JSON], "{", (422, "invalid")),
        (&[COOKIE, JSON], r#"{"answer":"perhaps","lifetime":"once"}"#, (422, "invalid")),
        (&[COOKIE, JSON], &" ".repeat(20_000), (413, "invalid")),
    ] {
        let (status, code) = site.send("POST", path, headers, body).await.problem();
        assert_eq!((status, code.as_str()), problem, "{body:.40}");
    }
    assert_eq!(site.post("/api/v1/edges/front-door/decision", good).await.problem().0, 404);
    assert_eq!(site.get("/api/v1/edges?state=maybe").await.problem(), (422, "invalid".into()));
    assert!(!site.daemon.calls().iter().any(|call| matches!(call.request, Request::Decide { .. })));
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_as_well() {
    let site = Site::start().await;
    site.pair();
    for (method, path, status, code) in [
        ("DELETE", "/api/v1/status", 405, "invalid"),
        ("POST", "/api/v1/edges/8", 405, "invalid"),
        ("POST", "/", 405, "invalid"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/edges/none", 404, "not_found"),
        ("GET", "/api/v1/edges?state=odd", 422, "invalid"),
    ] {
        let answer = site.send(method, path, &[COOKIE, JSON], "").await;
        assert_eq!(answer.problem(), (status, code.into()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_decision_is_made_in_the_name_of_the_phone() {
    let site = Site::start().await;
    site.pair();
    let answer =
        site.post("/api/v1/edges/8/decision", r#"{"answer":"allow","lifetime":{"for":3600},"rev":2}"#).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(
        (&json["decision_id"], &json["state"], &json["edge"]),
        (&json!(5), &json!("applied"), &edge(3))
    );
    assert_eq!(
        (&json["scope"]["from"]["id"], &json["scope"]["object"]),
        (&json!(20), &json!("lock/front/set"))
    );
    let calls = site.daemon.calls();
    let call = calls.iter().find(|call| matches!(call.request, Request::Decide { .. })).unwrap();
    assert_eq!(call.session.as_deref(), Some("secret-1"));
}

#[tokio::test]
async fn a_whole_domain_is_allowed_in_the_name_of_the_phone() {
    let site = Site::start().await;
    site.pair();
    let path = "/api/v1/edges/8/widen";
    assert_eq!(site.post(path, "{}").await.problem(), (403, "pin_needed".into()));
    assert_eq!(site.post(path, r#"{"domain":"com"}"#).await.problem(), (422, "invalid".into()));
    let answer = site.post(path, r#"{"pin":"4711"}"#).await;
    let applied = answer.json();
    assert_eq!((&applied["decision_id"], &applied["state"]), (&json!(6), &json!("applied")));
    assert_eq!(applied["edge"], edge(3));
    let calls = site.daemon.calls();
    let call = calls.iter().find(|call| matches!(call.request, Request::Widen { .. })).unwrap();
    assert_eq!(call.session.as_deref(), Some("secret-1"));
}

#[tokio::test]
async fn a_conflict_says_who_decided() {
    let site = Site::start().await;
    site.pair();
    let answer =
        site.post("/api/v1/edges/8/decision", r#"{"answer":"allow","lifetime":"always","rev":1}"#).await;
    assert_eq!(answer.problem(), (409, "conflict".into()));
    assert_eq!(answer.json()["params"]["edge"]["by"], "Phone");
}

#[tokio::test]
async fn logging_out_holds_at_once() {
    let site = Site::start().await;
    site.pair();
    assert_eq!(site.get("/api/v1/pending").await.status, 200);
    let answer = site.send("DELETE", "/api/v1/session", &[COOKIE], "").await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().starts_with("edgeward=; Path=/; Max-Age=0;"));
    assert_eq!(site.get("/api/v1/pending").await.status, 401);
}

#[tokio::test]
async fn a_daemon_that_is_away_is_no_logout() {
    let site = Site::start().await;
    site.pair();
    site.daemon_task.abort();
    std::fs::remove_file(site.folder.path().join(rpc::SOCKET)).unwrap();
    assert_eq!(site.get("/api/v1/me").await.problem(), (503, "unavailable".into()));
}

#[tokio::test]
async fn what_was_carried_is_asked_for_a_time_and_bans_end_by_their_number() {
    let site = Site::start().await;
    site.pair();
    for path in ["/api/v1/traffic", "/api/v1/traffic?from=0", "/api/v1/traffic?from=noon&until=9"] {
        assert_eq!(site.get(path).await.problem(), (422, "invalid".into()), "{path}");
    }
    // The stand-in has no answer to these.
    for (method, path) in [
        ("GET", "/api/v1/traffic?from=7200&until=10800"),
        ("GET", "/api/v1/traffic/hours"),
        ("GET", "/api/v1/learning/20/review"),
        ("GET", "/api/v1/bans"),
        ("DELETE", "/api/v1/bans/3"),
    ] {
        assert_eq!(site.send(method, path, &[COOKIE], "").await.status, 404, "{path}");
        assert_eq!(site.send(method, path, &[], "").await.status, 401, "{path} without a session");
    }
    let wanted = [
        Request::Traffic { from: 7_200, until: 10_800 },
        Request::Hours,
        Request::Review { principal: "20".to_owned() },
        Request::Bans,
        Request::BanRemove { ban: 3 },
    ];
    let calls = site.daemon.calls();
    for request in wanted {
        let call = calls.iter().find(|call| call.request == request).unwrap_or_else(|| panic!("{request:?}"));
        assert_eq!(call.session.as_deref(), Some("secret-1"), "{request:?}");
    }
}

#[tokio::test]
async fn a_stream_says_hello_and_then_what_happens() {
    let site = Site::start().await;
    site.pair();
    let (mut stream, hello) = site.stream(None).await;
    assert_eq!((hello.name.as_str(), hello.retry.as_str()), ("hello", "2000"));
    let data: Value = serde_json::from_str(&hello.data).unwrap();
    assert_eq!(data["daemon"]["running"], true);
    site.daemon.events.send(removed(7)).unwrap();
    let event = stream.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.data.as_str()), ("edge.removed", r#"{"id":7}"#));
    assert_ne!(event.id, hello.id);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was() {
    let site = Site::start().await;
    site.pair();
    let (mut stream, hello) = site.stream(None).await;
    for id in 1..=3 {
        site.daemon.events.send(removed(id)).unwrap();
    }
    let first = stream.next().await.unwrap();
    stream.next().await.unwrap();
    stream.next().await.unwrap();
    drop(stream);

    let (mut again, _) = site.stream(Some(&first.id)).await;
    assert_eq!(again.next().await.unwrap().data, r#"{"id":2}"#);
    assert_eq!(again.next().await.unwrap().data, r#"{"id":3}"#);
    let (mut from_hello, _) = site.stream(Some(&hello.id)).await;
    assert_eq!(from_hello.next().await.unwrap(), first);
}

#[tokio::test]
async fn who_missed_too_much_reads_everything_again() {
    let site = Site::start().await;
    site.pair();
    let (mut stream, hello) = site.stream(None).await;
    for id in 0..1_001 {
        site.daemon.events.send(removed(id)).unwrap();
    }
    let mut newest = stream.next().await.unwrap();
    while newest.data != r#"{"id":1000}"# {
        newest = stream.next().await.unwrap();
    }
    for last in [hello.id.as_str(), "0-5"] {
        let (mut late, _) = site.stream(Some(last)).await;
        let resync = late.next().await.unwrap();
        assert_eq!((resync.name.as_str(), resync.id.as_str()), ("resync", newest.id.as_str()));
    }
    let (mut odd, hello) = site.stream(Some("no place at all")).await;
    assert_eq!(hello.id, newest.id);
    site.daemon.events.send(removed(5)).unwrap();
    assert_eq!(odd.next().await.unwrap().data, r#"{"id":5}"#);
}

#[tokio::test]
async fn a_stream_tells_that_the_daemon_went_and_came() {
    let came = Arc::new(Notify::new());
    let site = Site::start_with(Options { daemon_came: Arc::clone(&came), ..Options::default() }).await;
    site.pair();
    let (mut stream, _) = site.stream(None).await;
    timeout(DEADLINE, came.notified()).await.expect("the daemon is there");
    site.daemon_task.abort();
    let gone = stream.next().await.unwrap();
    assert_eq!(gone.name, "daemon");
    assert!(gone.data.contains(r#""running":false"#));

    std::fs::remove_file(site.folder.path().join(rpc::SOCKET)).unwrap();
    site.daemon.state.lock().unwrap().rev = 42;
    let _back = site.daemon.listen(site.folder.path());
    let resync = stream.next().await.unwrap();
    assert_eq!(resync.name, "resync");
    let data: Value = serde_json::from_str(&resync.data).unwrap();
    assert_eq!((&data["rev"], &data["daemon"]["running"]), (&json!(42), &json!(true)));
    timeout(DEADLINE, came.notified()).await.expect("a new daemon is told of at once");
}

#[tokio::test]
async fn streams_are_limited_and_give_their_place_back() {
    let site = Site::start().await;
    site.pair();
    let mut streams = Vec::new();
    for _ in 0..super::live::STREAMS {
        streams.push(site.stream(None).await);
    }
    let refused = site.get("/api/v1/events").await;
    assert_eq!(refused.problem(), (429, "too_many".into()));
    assert_eq!(refused.header("retry-after"), Some("2"));
    drop(streams);
    timeout(DEADLINE, async {
        loop {
            // A closed stream is noticed when something is written to it.
            let _ = site.daemon.events.send(removed(1));
            let mut probe = TcpStream::connect(site.address).await.unwrap();
            let text = format!(
                "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\ncookie: edgeward=secret-1\r\n\r\n",
                site.address
            );
            probe.write_all(text.as_bytes()).await.unwrap();
            let mut head = [0; 12];
            probe.read_exact(&mut head).await.unwrap();
            if &head == b"HTTP/1.1 200" {
                return;
            }
        }
    })
    .await
    .expect("places come back");
}

#[tokio::test]
async fn who_is_logged_out_is_out_at_once_and_hears_by_whom() {
    let site = Site::start().await;
    site.pair();
    let (mut stream, _) = site.stream(None).await;
    assert_eq!(site.get("/api/v1/pending").await.status, 200);
    let act = || Some(Act { by: Some("Anna".to_owned()), at: 5 });
    let revoke = |client: &str| {
        let revoked = Revoked { clients: vec![client.to_owned()], act: act() };
        site.daemon.events.send(Event::ClientRevoked(revoked)).unwrap();
    };
    revoke("2");
    site.daemon.events.send(removed(1)).unwrap();
    let next = stream.next().await.unwrap();
    assert_eq!(next.name, "edge.removed", "what concerns another phone is told to nobody else");
    site.daemon.state.lock().unwrap().sessions.clear();
    revoke("1");
    let last = stream.next().await.unwrap();
    let told: Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!(
        (last.name.as_str(), told),
        ("client.revoked", json!({"clients": ["1"], "act": {"by": "Anna", "at": 5}}))
    );
    for path in ["/api/v1/me", "/api/v1/pending", "/api/v1/events"] {
        let answer = site.get(path).await;
        assert_eq!(answer.problem(), (401, "unauthenticated".into()), "{path}");
        assert_eq!(answer.json()["params"]["act"], json!({"by": "Anna", "at": 5}));
    }
}

#[tokio::test]
async fn the_daemon_is_believed_and_not_the_answer_of_a_moment_ago() {
    let site = Site::start().await;
    site.pair();
    assert_eq!(site.get("/api/v1/me").await.status, 200);
    site.daemon.state.lock().unwrap().sessions.clear();
    for path in ["/api/v1/pending", "/api/v1/me"] {
        assert_eq!(site.get(path).await.problem(), (401, "unauthenticated".into()), "{path}");
    }
}

#[tokio::test]
async fn stopping_ends_the_streams() {
    let mut site = Site::start().await;
    site.pair();
    let (mut stream, _) = site.stream(None).await;
    site.stop.take().unwrap().send(()).unwrap();
    assert_eq!(stream.next().await, None);
    timeout(DEADLINE, &mut site.server).await.unwrap().unwrap().unwrap();
}

/// A server that speaks what ntfy documents: takes one message by POST and answers with a status.
struct NtfyServer {
    listener: TcpListener,
}

impl NtfyServer {
    async fn start(site: &Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        site.daemon.state.lock().unwrap().ntfy =
            json!({"server": server, "topic": "edgeward-x7", "page": "https://10.0.0.1:8443/"});
        Self { listener }
    }

    async fn take(&self, status: &str) -> String {
        timeout(DEADLINE, async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut request = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                length.is_some_and(|length| body.len() >= length.parse().unwrap())
            };
            while !is_whole(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request is cut off");
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        })
        .await
        .expect("a message comes in time")
    }
}

#[tokio::test]
async fn a_question_is_told_without_its_content() {
    let site = Site::start().await;
    site.pair();
    let ntfy = NtfyServer::start(&site).await;
    let _watched = site.stream(None).await;
    site.daemon.events.send(Event::EdgePending(serde_json::from_value(edge(1)).unwrap())).unwrap();
    let message = ntfy.take("200 OK").await;
    assert!(message.starts_with("POST /edgeward-x7 HTTP/1.1\r\n"), "{message}");
    for header in ["Priority: high", "Click: https://10.0.0.1:8443/", "Title: Edgeward"] {
        assert!(message.lines().any(|line| line == header), "{header}: {message}");
    }
    assert!(message.contains("1 question waits") && message.contains("important"), "{message}");
    for content in ["Hub", "front", "publish"] {
        let body = message.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.contains(content), "{content} is nobody else's business: {body}");
    }
}

#[tokio::test]
async fn that_the_daemon_is_gone_is_told_all_the_same() {
    let site = Site::start().await;
    let ntfy = NtfyServer::start(&site).await;
    let shared = Shared::new(Options { runtime_dir: site.folder.path().to_owned(), ..Options::default() });
    let told = |push| ntfy::send_to_whoever_listens(&shared, push);
    let ((), message) = tokio::join!(told(Push::AllWell), ntfy.take("200 OK"));
    assert!(message.contains("Priority: default") && message.contains("running again"), "{message}");
    std::fs::remove_file(site.folder.path().join(rpc::SOCKET)).unwrap();
    let ((), message) = tokio::join!(told(Push::Outage(Outage::NotRunning)), ntfy.take("200 OK"));
    assert!(message.starts_with("POST /edgeward-x7 ") && message.contains("Priority: high"), "{message}");
    assert!(message.contains("Edgeward is not running"), "{message}");
}

/// A broker that answers each connection with this return code.
async fn broker(site: &Site, code: u8) -> JoinHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    site.daemon.state.lock().unwrap().broker = json!({"host": "127.0.0.1", "port": port, "user": "edgeward"});
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut connect = [0; 256];
            assert!(stream.read(&mut connect).await.unwrap() > 0);
            stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
            tokio::spawn(async move { while stream.read(&mut connect).await.is_ok_and(|read| read > 0) {} });
        }
    })
}

#[tokio::test]
async fn whether_home_assistant_is_reached_is_found_out_and_shown() {
    let site = Site::start().await;
    site.pair();
    let test = || site.post("/api/v1/home-assistant/test", "");
    assert_eq!(test().await.problem(), (404, "not_found".into()));
    let state = async || site.get("/api/v1/home-assistant").await.json()["state"].clone();
    let (mut stream, _) = site.stream(None).await;

    let good = broker(&site, 0).await;
    assert_eq!(test().await.status, 204);
    assert_eq!(state().await, "connected");
    assert!(site.daemon.calls().iter().any(|call| call.request == Request::Reached));
    assert_eq!(
        stream.next().await.map(|event| (event.name, event.data)),
        Some(("home".into(), r#"{"state":"connected"}"#.into()))
    );

    good.abort();
    let _refusing = broker(&site, 5).await;
    assert_eq!(test().await.problem(), (502, "broker_refused".into()));
    assert_eq!(state().await, "refused");
    site.daemon.state.lock().unwrap().broker = json!({"host": "127.0.0.1", "port": 1});
    assert_eq!(test().await.problem(), (502, "broker_unreachable".into()));
    assert_eq!(state().await, "unreachable");
}

#[tokio::test]
async fn a_test_message_says_whether_it_was_taken() {
    let site = Site::start().await;
    site.pair();
    let test = || site.post("/api/v1/notify/test", "");
    assert_eq!(test().await.problem(), (404, "not_found".into()));
    let ntfy = NtfyServer::start(&site).await;
    let (answer, message) = tokio::join!(test(), ntfy.take("200 OK"));
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(message.contains("This is a test"), "{message}");
    for refusal in ["403 Forbidden", "nonsense"] {
        let (answer, _) = tokio::join!(test(), ntfy.take(refusal));
        assert_eq!(answer.problem(), (502, "undelivered".into()), "{refusal}");
    }
    drop(ntfy);
    assert_eq!(test().await.problem(), (502, "undelivered".into()));
}

#[tokio::test]
async fn what_is_taken_along_is_a_file() {
    let site = Site::start().await;
    site.pair();
    for (path, kind, name, content) in [
        ("edges/export?format=csv", "text/csv; charset=utf-8", "edges.csv", "8,pending,packet,Hub"),
        ("edges/export", "application/json", "edges.json", "lock/front/set"),
        ("graph?format=svg", "image/svg+xml", "graph.svg", "<svg"),
        ("graph?format=dot", "text/vnd.graphviz; charset=utf-8", "graph.dot", "digraph edgeward {"),
        ("graph?format=json", "application/json", "graph.json", "\"nodes\":[{\"id\":20"),
    ] {
        let answer = site.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        let disposition = format!("attachment; filename=\"edgeward-{name}\"");
        assert_eq!(answer.header("content-disposition"), Some(disposition.as_str()));
        assert!(answer.body.contains(content), "{path}: {}", answer.body);
    }
    assert_eq!(site.get("/api/v1/graph?format=exe").await.problem(), (422, "invalid".into()));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_no_second_decision() {
    let site = Site::start().await;
    site.pair();
    let body = r#"{"answer":"deny","lifetime":"always","rev":2}"#;
    let decide = async |key: &str, body: &str| {
        let headers = [COOKIE, JSON, ("idempotency-key", key)];
        site.send("POST", "/api/v1/edges/8/decision", &headers, body).await
    };
    let made =
        || site.daemon.calls().iter().filter(|call| matches!(call.request, Request::Decide { .. })).count();
    let first = decide("a", body).await;
    let again = decide("a", body).await;
    assert_eq!((first.status, again.status, &first.body), (200, 200, &again.body));
    assert_eq!(made(), 1);
    assert_eq!(decide("b", body).await.status, 200);
    assert_eq!(made(), 2, "another key is another decision");
    let other = r#"{"answer":"allow","lifetime":"once","rev":2}"#;
    assert_eq!(decide("a", other).await.problem(), (422, "invalid".into()));
    assert_eq!(decide("", body).await.problem(), (422, "invalid".into()));

    let old = r#"{"answer":"deny","lifetime":"always","rev":1}"#;
    for _ in 0..2 {
        assert_eq!(
            decide("c", old).await.problem(),
            (409, "conflict".into()),
            "what was refused is tried again"
        );
    }
    assert_eq!(made(), 4);
}

#[tokio::test]
async fn one_answer_decides_about_several_edges() {
    let site = Site::start().await;
    site.pair();
    let body =
        r#"{"edges":[{"id":8,"rev":2},{"id":8,"rev":1},{"id":9}],"answer":"deny","lifetime":"always"}"#;
    let answer = site.post("/api/v1/edges/decisions", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["applied"][0]["decision_id"], 5);
    let refused = |index: usize| {
        (json["refused"][index]["id"].clone(), json["refused"][index]["problem"]["code"].clone())
    };
    assert_eq!((refused(0), refused(1)), ((json!(8), json!("conflict")), (json!(9), json!("not_found"))));
    for none in [r#"{"edges":[],"answer":"deny","lifetime":"always"}"#.to_owned(), {
        let many: Vec<Value> = (0..101).map(|id| json!({"id": id})).collect();
        json!({"edges": many, "answer": "deny", "lifetime": "always"}).to_string()
    }] {
        assert_eq!(site.post("/api/v1/edges/decisions", &none).await.problem(), (422, "invalid".into()));
    }
}

#[tokio::test]
async fn long_lists_come_in_parts() {
    let site = Site::start().await;
    site.pair();
    site.daemon.state.lock().unwrap().many = true;
    let ids = |answer: &Answer| -> Vec<u64> {
        answer.json().as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    for (first, all) in [
        ("/api/v1/edges?state=pending&limit=2", vec![11, 12, 13, 14, 15]),
        ("/api/v1/pending?limit=2", vec![11, 12, 13, 14, 15]),
        ("/api/v1/pending?limit=2&group=1", vec![11, 14, 15]),
        ("/api/v1/decisions?limit=2&by=Phone", vec![5, 4, 3, 2, 1]),
    ] {
        let (mut path, mut found) = (first.to_owned(), Vec::new());
        loop {
            let answer = site.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let part = ids(&answer);
            assert!(part.len() <= 2, "{path}");
            found.extend(part);
            let Some(link) = answer.header("link") else { break };
            let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
            assert!(next.starts_with(first), "what was asked for stays: {next}");
            path = next.to_owned();
        }
        assert_eq!(found, all, "{first}");
    }
    assert_eq!(ids(&site.get("/api/v1/edges").await), [13, 11, 12, 14, 15], "all of it, as it is");
    for path in [
        "/api/v1/edges?limit=0",
        "/api/v1/edges?limit=1001",
        "/api/v1/edges?cursor=5",
        "/api/v1/edges?cursor=czz",
        "/api/v1/decisions?limit=-1",
        "/api/v1/pending?group=2",
    ] {
        assert_eq!(site.get(path).await.problem(), (422, "invalid".into()), "{path}");
    }
}

#[tokio::test]
async fn a_group_is_decided_but_for_what_is_left_out_or_was_not_seen() {
    let site = Site::start().await;
    site.pair();
    site.daemon.state.lock().unwrap().many = true;
    let groups = site.get("/api/v1/pending?group=1").await.json();
    let of_group = |index: usize| -> Vec<u64> {
        groups[index]["edges"].as_array().unwrap().iter().map(|edge| edge["id"].as_u64().unwrap()).collect()
    };
    assert_eq!((of_group(0), of_group(1), of_group(2)), (vec![11, 13, 12], vec![14], vec![15]));
    assert_eq!((&groups[0]["kind"], &groups[0]["rev"]), (&json!("sensor"), &json!(13)));

    let answer = site.post("/api/v1/groups/11/decision", r#"{"answer":"deny","except":[13],"rev":11}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let calls = site.daemon.calls();
    let decided: Vec<_> = calls
        .iter()
        .filter_map(|call| match &call.request {
            Request::Decide {
                edge, answer: rpc::Answer::Deny, lifetime: rpc::Lifetime::Always, rev, ..
            } => Some((*edge, *rev)),
            _ => None,
        })
        .collect();
    assert_eq!(
        decided,
        [(11, Some(11)), (12, Some(0))],
        "12 has changed since and is asked about as never seen"
    );
    for (path, status) in [("/api/v1/groups/13/decision", 404), ("/api/v1/groups/x/decision", 404)] {
        assert_eq!(site.post(path, r#"{"answer":"deny"}"#).await.status, status, "{path}");
    }
    let later = site.post("/api/v1/groups/14/decision", r#"{"answer":"later"}"#).await.json();
    assert_eq!((later["applied"].as_array().unwrap().len(), &later["refused"][0]["id"]), (0, &json!(14)));
}

#[tokio::test]
async fn a_question_can_be_put_off_or_handed_on() {
    let site = Site::start().await;
    site.pair();
    let path = "/api/v1/edges/8/decision";
    for (answer, state) in [("later", "later"), ("escalate", "escalated")] {
        let answer = site.post(path, &json!({ "answer": answer }).to_string()).await;
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!(state)));
        assert_eq!(answer.json()["edge"]["id"], 8);
    }
    let calls = site.daemon.calls();
    assert!(!calls.iter().any(|call| matches!(call.request, Request::Decide { .. })), "nothing is decided");
    assert_eq!(calls.iter().filter(|call| matches!(call.request, Request::Wish { edge: 8 })).count(), 1);
    assert_eq!(site.post(path, r#"{"answer":"allow"}"#).await.problem(), (422, "lifetime_missing".into()));
    assert_eq!(site.post("/api/v1/edges/9/decision", r#"{"answer":"later"}"#).await.status, 404);
    assert_eq!(site.post(path, r#"{"answer":"deny","rev":2}"#).await.status, 200, "blocked always");
}

#[tokio::test]
async fn the_graph_is_drawn_as_far_as_there_is_room() {
    let site = Site::start().await;
    site.pair();
    site.daemon.state.lock().unwrap().many = true;
    let count = |graph: &Value| {
        let length = |of: &str| graph[of].as_array().unwrap().len();
        (length("nodes"), length("edges"), graph["hidden"]["nodes"].clone(), graph["hidden"]["edges"].clone())
    };
    let whole = site.get("/api/v1/graph").await;
    assert_eq!(whole.header("content-disposition"), None);
    assert_eq!(count(&whole.json()), (6, 5, json!(0), json!(0)));
    let cut = site.get("/api/v1/graph?limit=3").await.json();
    assert_eq!(count(&cut), (3, 2, json!(3), json!(3)));
    assert_eq!(cut["nodes"][0]["name"], "Hub", "who has most edges comes first");
    assert_eq!(count(&site.get("/api/v1/graph?view=principal:44&since=60").await.json()).1, 1);
    assert_eq!(count(&site.get("/api/v1/graph?view=room:Attic").await.json()).1, 0);
    assert_eq!(count(&site.get("/api/v1/graph?state=denied").await.json()).1, 0);
    for path in
        ["view=attic", "view=room:", "view=principal:hub", "limit=0", "format=svg&limit=3", "state=odd"]
    {
        let answer = site.get(&format!("/api/v1/graph?{path}")).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{path}");
    }
    let file = site.get("/api/v1/graph?format=json").await;
    assert!(file.header("content-disposition").unwrap().contains("edgeward-graph.json"));
}

#[tokio::test]
async fn the_record_says_whether_it_is_whole() {
    let site = Site::start().await;
    site.pair();
    assert_eq!(
        site.get("/api/v1/ledger").await.json(),
        json!({"unbroken": true, "entries": 7, "hash": "ab"})
    );
    site.daemon.state.lock().unwrap().many = true;
    assert_eq!(site.get("/api/v1/ledger").await.json()["unbroken"], false);
}

#[tokio::test]
async fn who_is_let_in_has_an_end() {
    let site = Site::start().await;
    site.pair();
    assert_eq!(site.get("/api/v1/clients/7").await.json()["name"], "Phone");
    assert_eq!(site.get("/api/v1/clients/8").await.problem(), (404, "not_found".into()));
    let code = async |ttl: u32| {
        site.post("/api/v1/pair/codes", &json!({"role": "member", "ttl": ttl}).to_string()).await
    };
    assert_eq!(code(60).await.json()["expires_at"], 60);
    assert!(code(600).await.json()["qr_svg"].as_str().unwrap().starts_with("<svg xmlns"));
    for ttl in [0, 59, 601] {
        assert_eq!(code(ttl).await.problem(), (422, "duration_range".into()), "{ttl}");
    }
    let token = async |ttl: Value| {
        site.post("/api/v1/tokens", &json!({"name": "Script", "role": "viewer", "ttl": ttl}).to_string())
            .await
    };
    assert_eq!(token(json!(3_600)).await.json(), json!({"token": "t", "name": "Script", "role": "viewer"}));
    assert_eq!(token(json!(60)).await.problem(), (422, "duration_range".into()));
    let asked =
        Request::TokenMake { name: "Script".into(), role: crate::view::Role::Viewer, seconds: Some(3_600) };
    assert_eq!(site.daemon.calls().iter().filter(|call| call.request == asked).count(), 1);
}

#[tokio::test]
async fn devices_are_merged_forgotten_and_learn_again() {
    let site = Site::start().await;
    site.pair();
    for (method, path, body, request) in [
        (
            "POST",
            "/api/v1/principals/merge",
            r#"{"principal":20,"into":21,"pin":"4711"}"#,
            Request::PrincipalMerge { principal: "20".into(), into: "21".into(), pin: Some("4711".into()) },
        ),
        (
            "DELETE",
            "/api/v1/principals/20",
            r#"{"pin":"4711"}"#,
            Request::PrincipalForget { principal: "20".into(), pin: Some("4711".into()) },
        ),
        (
            "POST",
            "/api/v1/mode",
            r#"{"mode":"monitor","pin":"4711"}"#,
            Request::SiteMode { mode: "monitor".into(), pin: Some("4711".into()) },
        ),
        (
            "POST",
            "/api/v1/principals/20/relearn",
            r#"{"forget":true}"#,
            Request::Relearn { principal: "20".into(), seconds: None, forget: true },
        ),
        (
            "PATCH",
            "/api/v1/settings",
            r#"{"name":"Hut"}"#,
            Request::SettingsSet { name: Some("Hut".into()), first_run: None },
        ),
    ] {
        site.send(method, path, &[COOKIE, JSON], body).await;
        assert_eq!(site.daemon.asked().last(), Some(&request), "{method} {path}");
    }
    assert_eq!(site.post("/api/v1/principals/merge", r#"{"principal":20}"#).await.status, 422);
}

#[tokio::test]
async fn a_packet_and_the_model_can_be_taken_along() {
    let site = Site::start().await;
    site.pair();
    let hex = site.get("/api/v1/edges/8/packet?format=hex").await;
    assert_eq!(hex.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(hex.body, format!("0000  47 45 54 00{}  GET.\n", "   ".repeat(12)));
    let first = Request::Packets { edge: 8, seconds: Some(0) };
    assert_eq!(site.daemon.asked().last(), Some(&first), "nothing is waited for");
    assert_eq!(site.get("/api/v1/edges/9/packet?format=hex").await.problem(), (404, "not_found".into()));
    let model = site.get("/api/v1/edges/export?format=toml").await;
    assert_eq!((model.body.as_str(), model.header("content-type")), ("[[edge]]\n", Some("application/toml")));
}
