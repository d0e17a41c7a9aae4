use firewall_common::{
    abi::{Addr, EdgeKey, Kind as ObjectKind, Observed, ObservedKey, PrincipalId},
    precedence::Mode,
    reason::{Reason, Verdict},
};
use graph::{
    Fact, Settings,
    decision::{self, Author},
    graph::Patch,
    principal::{Place, show_mac},
};

use dashboard::rpc::{Action, EdgeSpec};

use super::*;
use crate::pairing::CODE_BYTES;

const WASHER: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const LOCK: [u8; 6] = [2, 0, 0, 0, 0, 0x20];
const LAMP: [u8; 6] = [2, 0, 0, 0, 0, 0x30];
const ROLES: [Role; 4] = [Role::Owner, Role::Member, Role::Viewer, Role::Pro];

/// A site where a washing machine asks to reach a lock and a lamp.
struct Site {
    graph: Graph,
    pairing: Pairing,
    pin: Pin,
    now: Now,
    /// Sessions in the order of [`ROLES`].
    sessions: [String; 4],
    lock: EdgeId,
    lamp: EdgeId,
}

impl Site {
    fn new() -> Self {
        let now =
            Now { boot_ns: 1_000_000_000_000, unix: 1_900_000_000, synchronised: true, ..Now::default() };
        let mut graph = Graph::new(Settings::default(), now);
        let owner = Author::person("someone");
        let [washer, lock, lamp] = [WASHER, LOCK, LAMP].map(|mac| {
            graph.handle_stranger(Place { port: "lan0".to_owned(), ifindex: 3, vlan: 0, mac }, now);
            graph.find(&show_mac(mac)).expect("it was registered")
        });
        for (id, kind) in [(washer, "washing_machine"), (lock, "lock"), (lamp, "light")] {
            let patch =
                Patch { name: Some(kind.to_owned()), kind: Some(kind.to_owned()), ..Patch::default() };
            graph.set_principal(id, &patch, &owner, now).unwrap();
        }
        graph.set_mode(washer, Mode::Enforcing, &owner, now).unwrap();
        for dst in [lock, lamp] {
            graph.handle_observed(&stopped(washer, dst, now), now);
        }
        let edge_to = |dst| graph.edges().find(|edge| edge.path.dst == dst).expect("it asks").id;
        let (lock, lamp) = (edge_to(lock), edge_to(lamp));
        let mut pairing = Pairing::default();
        let mut index = 0;
        let sessions = ROLES.map(|role| {
            index += 1;
            pairing.make_token(role.as_str(), role, [index; 32], now).unwrap().0.token
        });
        Self { graph, pairing, pin: Pin::default(), now, sessions, lock, lamp }
    }

    fn admit(&mut self, request: &Request, caller: &Caller) -> String {
        let mut access =
            Access { pairing: &self.pairing, pin: &mut self.pin, graph: &self.graph, now: self.now };
        access.admit(request, caller).map_or_else(|refusal| refusal.code, |_| "ok".to_owned())
    }

    /// What owner, member, viewer and pro are told.
    fn ask_all(&mut self, request: &Request) -> [String; 4] {
        self.sessions.clone().map(|session| self.admit(request, &caller(Some(&session), true)))
    }
}

fn stopped(src: PrincipalId, dst: PrincipalId, now: Now) -> Fact {
    let edge = EdgeKey { src, dst, port: 80, proto: 6, kind: ObjectKind::Transport as u8 };
    let key = ObservedKey { addr: Addr::default(), object: 0, edge, _pad: 0 };
    let value = Observed {
        count: 3,
        first: now.boot_ns,
        last: now.boot_ns,
        verdict: Verdict::Dropped as u8,
        reason: Reason::EdgeUnknown as u8,
        object_len: 0,
        ifindex: 3,
        object: [0; 256],
    };
    Fact { key, value }
}

fn caller(session: Option<&str>, is_page: bool) -> Caller {
    Caller { user: "root".into(), is_page, by: None, session: session.map(str::to_owned) }
}

fn decide(edge: EdgeId, answer: Answer, lifetime: Lifetime, pin: Option<&str>) -> Request {
    Request::Decide { edge: edge.0, answer, lifetime, rev: None, pin: pin.map(str::to_owned) }
}

fn set_mode(mode: &str) -> Request {
    Request::PrincipalMode { principal: "8".into(), mode: mode.into(), rev: None }
}

fn merge(principal: &str, into: &str, pin: Option<&str>) -> Request {
    Request::PrincipalMerge { principal: principal.into(), into: into.into(), pin: pin.map(str::to_owned) }
}

fn forget(principal: &str, pin: Option<&str>) -> Request {
    Request::PrincipalForget { principal: principal.into(), pin: pin.map(str::to_owned) }
}

fn site_mode(mode: &str, pin: Option<&str>) -> Request {
    Request::SiteMode { mode: mode.into(), pin: pin.map(str::to_owned) }
}

#[test]
fn a_role_is_what_it_may() {
    let mut site = Site::new();
    let (lock, lamp) = (site.lock, site.lamp);
    let redeem = Request::PairRedeem { code: "x".into(), name: "y".into(), from: None };
    let pin = Request::PinSet { pin: None, old: None };
    let password = Request::PasswordSet { password: None, old: None };
    let sign_in = Request::SignIn { name: "x".into(), password: "y".into(), from: None };
    let cases: [(Request, [&str; 4]); 18] = [
        // Owner, member, viewer, pro.
        (Request::Pending, ["ok", "ok", "ok", "ok"]),
        (decide(lock, Answer::Deny, Lifetime::Always, None), ["ok", "ok", "forbidden", "ok"]),
        (decide(lamp, Answer::Allow, Lifetime::Always, None), ["ok", "ok", "forbidden", "ok"]),
        (decide(lock, Answer::Allow, Lifetime::Once, None), ["ok", "ask_owner", "forbidden", "ok"]),
        (Request::Widen { edge: lamp.0, pin: None }, ["ok", "ok", "forbidden", "ok"]),
        (Request::Widen { edge: lock.0, pin: None }, ["ok", "ask_owner", "forbidden", "ok"]),
        (Request::Wish { edge: lock.0 }, ["ok", "ok", "forbidden", "ok"]),
        (set_mode("quarantine"), ["ok", "ok", "forbidden", "ok"]),
        (set_mode("learning"), ["ok", "ask_owner", "forbidden", "ok"]),
        (Request::Confirm, ["ok", "ask_owner", "forbidden", "ok"]),
        (pin, ["ok", "forbidden", "forbidden", "forbidden"]),
        (password, ["forbidden", "forbidden", "forbidden", "ok"]),
        (redeem, ["forbidden"; 4]),
        (sign_in, ["forbidden"; 4]),
        (merge("light", "washing_machine", None), ["ok", "ask_owner", "forbidden", "ok"]),
        (forget("light", None), ["ok", "ask_owner", "forbidden", "ok"]),
        (site_mode("monitor", None), ["ok", "ask_owner", "forbidden", "ok"]),
        (Request::BanRemove { ban: 1 }, ["ok", "ask_owner", "forbidden", "ok"]),
    ];
    for (request, expected) in cases {
        assert_eq!(site.ask_all(&request), expected, "{request:?}");
    }
}

#[test]
fn a_member_takes_back_only_what_is_its_own() {
    let mut site = Site::new();
    let lamp = site.lamp;
    let [owner, member, ..] = &site.sessions;
    let of = |token| author(&site.pairing.check(token, false, site.now).unwrap());
    let (owner, member) = (of(owner), of(member));
    // Names are chosen freely, and states of before may hold the same one twice.
    let namesake = Author::with_phone(member.as_str(), owner.phone().unwrap().clone());
    let before_phones = Author::person(member.as_str());
    for (by, may) in
        [(owner, "ask_owner"), (namesake, "ask_owner"), (before_phones, "ask_owner"), (member, "ok")]
    {
        let (deny, always) = (decision::Answer::Deny, decision::Lifetime::Always);
        let decision = site.graph.decide(lamp, deny, always, &by, None, site.now).unwrap().0;
        assert_eq!(
            site.ask_all(&Request::Undo { decision, pin: None }),
            ["ok", may, "forbidden", "ok"],
            "{by:?}"
        );
    }
}

#[test]
fn what_is_of_high_risk_and_holds_for_long_needs_the_pin() {
    let mut site = Site::new();
    let (lock, lamp) = (site.lock, site.lamp);
    let owner = caller(Some(&site.sessions[0].clone()), true);
    let always = |edge, pin| decide(edge, Answer::Allow, Lifetime::Always, pin);
    assert_eq!(site.admit(&always(lock, None), &owner), "ok", "there is none yet");
    site.pin.set(Some("4711"), [0; 16]).unwrap();
    assert_eq!(site.admit(&always(lock, None), &owner), "pin_needed");
    assert_eq!(site.admit(&always(lock, Some("1234")), &owner), "pin_wrong");
    assert_eq!(site.admit(&always(lock, Some("4711")), &owner), "ok");
    assert_eq!(site.admit(&decide(lock, Answer::Allow, Lifetime::UntilRestart, None), &owner), "pin_needed");
    assert_eq!(site.admit(&Request::Widen { edge: lock.0, pin: None }, &owner), "pin_needed");
    assert_eq!(site.admit(&decide(lock, Answer::Allow, Lifetime::For(3600), None), &owner), "ok");
    assert_eq!(site.admit(&decide(lock, Answer::Deny, Lifetime::Always, None), &owner), "ok");
    assert_eq!(site.admit(&always(lamp, None), &owner), "ok");
    assert_eq!(
        site.admit(&always(lock, None), &caller(None, false)),
        "ok",
        "who is on the box is known to it"
    );
    let new = |old: Option<&str>| Request::PinSet { pin: Some("1".into()), old: old.map(str::to_owned) };
    assert_eq!(site.admit(&new(None), &owner), "pin_needed");
    assert_eq!(site.admit(&new(Some("4711")), &owner), "ok");
}

#[test]
fn nobody_goes_around_the_pin() {
    let mut site = Site::new();
    let (lock, lamp) = (site.lock, site.lamp);
    let owner = caller(Some(&site.sessions[0].clone()), true);
    site.pin.set(Some("4711"), [0; 16]).unwrap();
    let mut say = |edge, answer, lifetime| {
        let author = Author::person("someone");
        site.graph.decide(edge, answer, lifetime, &author, None, site.now).unwrap().0
    };
    let (always, hour) = (decision::Lifetime::Always, decision::Lifetime::For(3600));
    let denied_first = say(lock, decision::Answer::Deny, always);
    let allowed = say(lock, decision::Answer::Allow, always);
    let denied = say(lock, decision::Answer::Deny, always);
    say(lock, decision::Answer::Allow, hour);
    let denied_after_an_hour = say(lock, decision::Answer::Deny, always);
    say(lamp, decision::Answer::Allow, always);
    let denied_lamp = say(lamp, decision::Answer::Deny, always);
    let undo = |decision, pin: Option<&str>| Request::Undo { decision, pin: pin.map(str::to_owned) };
    for (decision, expected) in [
        (denied, "pin_needed"),
        (denied_first, "ok"),
        (allowed, "ok"),
        (denied_after_an_hour, "ok"),
        (denied_lamp, "ok"),
    ] {
        assert_eq!(site.admit(&undo(decision, None), &owner), expected, "{decision}");
    }
    assert_eq!(site.admit(&undo(denied, Some("1234")), &owner), "pin_wrong");
    assert_eq!(site.admit(&undo(denied, Some("4711")), &owner), "ok");
    assert_eq!(site.admit(&undo(denied, None), &caller(None, false)), "ok", "who is on the box");

    let set = |principal: &str, kind: Option<&str>, pin: Option<&str>| {
        let [kind, pin] = [kind, pin].map(|text| text.map(str::to_owned));
        let patch = PrincipalPatch { name: Some("x".to_owned()), kind, pin, ..PrincipalPatch::default() };
        Request::PrincipalSet { principal: principal.to_owned(), patch }
    };
    for (request, expected) in [
        (set("lock", Some("light"), None), "pin_needed"),
        (set("lock", Some(""), None), "pin_needed"),
        (set("lock", Some("light"), Some("4711")), "ok"),
        (set("lock", Some("camera"), None), "ok"),
        (set("lock", Some("lock"), None), "ok"),
        (set("lock", None, None), "ok"),
        (set("light", Some("lock"), None), "ok"),
    ] {
        assert_eq!(site.admit(&request, &owner), expected, "{request:?}");
    }
}

#[test]
fn what_no_page_needs_is_for_the_box_alone() {
    let mut site = Site::new();
    let device = || "washing_machine".to_owned();
    let spec = EdgeSpec {
        from: device(),
        to: "lock".to_owned(),
        plane: "packet".to_owned(),
        verb: "connect".to_owned(),
        object: "tcp/80".to_owned(),
        action: Action::Reset,
        no_retain: false,
        max_qos: None,
    };
    let response = || "ask".to_owned();
    for request in [
        Request::EdgeDecide { spec, answer: Answer::Allow, lifetime: Lifetime::Always },
        Request::EdgeRemove { edge: site.lock.0 },
        Request::EdgeUnusual { edge: site.lock.0, response: None },
        Request::PrincipalUnusual { principal: device(), response: response() },
        Request::EdgesImport { toml: String::new(), dry_run: false },
        Request::MudDiff { device: device(), profile: String::new() },
        Request::MudImport { device: device(), profile: String::new(), dry_run: false },
        Request::WouldBreak { principal: None },
        Request::AwaitUpdate { principal: device(), seconds: 60 },
        Request::LearnStart { principal: Some(device()), seconds: None },
        Request::BanAdd { principal: device(), client: None, seconds: 60, why: String::new() },
        Request::Observations { verdict: None, since_seconds: None },
        Request::Pause { principal: None, seconds: 60 },
    ] {
        assert_eq!(site.ask_all(&request), ["forbidden"; 4], "{request:?}");
        assert_eq!(site.admit(&request, &caller(None, true)), "forbidden", "{request:?}");
        assert_eq!(site.admit(&request, &caller(None, false)), "ok", "{request:?}");
    }
}

#[test]
fn devices_that_become_one_or_are_forgotten_are_no_way_around_the_pin() {
    let mut site = Site::new();
    let owner = caller(Some(&site.sessions[0].clone()), true);
    site.pin.set(Some("4711"), [0; 16]).unwrap();
    for (request, expected) in [
        (merge("lock", "light", None), "pin_needed"),
        (merge("light", "lock", None), "pin_needed"),
        (merge("lock", "light", Some("1234")), "pin_wrong"),
        (merge("lock", "light", Some("4711")), "ok"),
        (merge("light", "washing_machine", None), "ok"),
        (forget("lock", None), "pin_needed"),
        (forget("lock", Some("4711")), "ok"),
        (forget("light", None), "ok"),
        (forget("nobody", None), "ok"),
    ] {
        assert_eq!(site.admit(&request, &owner), expected, "{request:?}");
    }
    assert_eq!(site.admit(&merge("lock", "light", None), &caller(None, false)), "ok", "who is on the box");

    // Who may open the lock for long gives that to whoever becomes part of it.
    for (lifetime, expected) in
        [(decision::Lifetime::For(3600), "ok"), (decision::Lifetime::Always, "pin_needed")]
    {
        let author = Author::person("someone");
        site.graph.decide(site.lock, decision::Answer::Allow, lifetime, &author, None, site.now).unwrap();
        for request in [merge("light", "washing_machine", None), merge("washing_machine", "light", None)] {
            assert_eq!(site.admit(&request, &owner), expected, "{lifetime:?} {request:?}");
        }
    }
}

#[test]
fn to_stop_nothing_any_more_needs_the_pin() {
    let mut site = Site::new();
    let owner = caller(Some(&site.sessions[0].clone()), true);
    site.pin.set(Some("4711"), [0; 16]).unwrap();
    site.graph.site_mode(SiteMode::Enforce, &Author::person("someone"), site.now).unwrap();
    assert_eq!(site.admit(&site_mode("monitor", None), &owner), "pin_needed");
    assert_eq!(site.admit(&site_mode("monitor", Some("4711")), &owner), "ok");
    assert_eq!(site.admit(&site_mode("enforce", None), &owner), "ok");
    let pause = Request::Pause { principal: Some("lock".to_owned()), seconds: 3600 };
    assert_eq!(site.admit(&pause, &owner), "ok", "it is over within a day");
    site.graph.site_mode(SiteMode::Monitor, &Author::person("someone"), site.now).unwrap();
    assert_eq!(site.admit(&site_mode("monitor", None), &owner), "ok", "as it is already");
}

#[test]
fn the_pages_process_has_no_rights_of_its_own() {
    let mut site = Site::new();
    let deny = decide(site.lock, Answer::Deny, Lifetime::Always, None);
    for request in [deny.clone(), Request::Confirm, Request::Pending, Request::Clients] {
        assert_eq!(site.admit(&request, &caller(None, true)), "forbidden", "{request:?}");
        assert_eq!(site.admit(&request, &caller(Some("guessed"), true)), "unauthenticated", "{request:?}");
        assert_eq!(site.admit(&request, &caller(None, false)), "ok", "{request:?}");
    }
    let check = Request::SessionCheck { token: String::new(), from: None };
    let admit = Request::Admit { from: std::net::Ipv4Addr::LOCALHOST.into(), port: 8443 };
    for request in [Request::Watch, Request::Status, check, admit] {
        assert_eq!(site.admit(&request, &caller(None, true)), "ok", "{request:?}");
    }
    let code = site.pairing.make_code([1; CODE_BYTES], 60, Role::Viewer, site.now);
    let (session, _) = site.pairing.redeem(&code.code, "phone", None, [9; 32], site.now).unwrap();
    assert_eq!(site.admit(&deny, &caller(Some(&session.token), false)), "forbidden", "on the box as well");
}

#[test]
fn what_leaves_the_house_is_for_owners_to_say() {
    let mut site = Site::new();
    let for_owners = [
        Request::SettingsSet { name: Some("Home".to_owned()), first_run: None },
        Request::Ntfy,
        Request::NtfySet { server: None, page: None },
        Request::HomeAssistant,
        Request::HomeAssistantSet { broker: None },
    ];
    for request in for_owners {
        assert_eq!(site.ask_all(&request), ["ok", "forbidden", "forbidden", "forbidden"], "{request:?}");
    }
    assert_eq!(site.ask_all(&Request::Settings), ["ok"; 4]);
    for request in [Request::Broker, Request::Waiting, Request::KeepBlocked { edge: 1 }] {
        assert_eq!(site.ask_all(&request), ["forbidden"; 4], "{request:?}");
        assert_eq!(site.admit(&request, &caller(None, true)), "ok", "{request:?}");
    }
    for request in [Request::Settings, Request::HomeAssistant, Request::NtfySet { server: None, page: None }]
    {
        assert_eq!(site.admit(&request, &caller(None, true)), "forbidden", "{request:?}");
    }
}

#[test]
fn what_packets_carry_is_for_professionals() {
    let mut site = Site::new();
    let request = Request::Packets { edge: site.lock.0, seconds: Some(0) };
    assert_eq!(site.ask_all(&request), ["forbidden", "forbidden", "forbidden", "ok"]);
    assert_eq!(site.admit(&request, &caller(None, false)), "ok", "who is on the box");
}

#[test]
fn a_name_for_the_ledger_is_that_of_the_session() {
    let site = Site::new();
    let mut pin = Pin::default();
    let mut access = Access { pairing: &site.pairing, pin: &mut pin, graph: &site.graph, now: site.now };
    let mut claims = caller(Some(&site.sessions[1]), true);
    claims.by = Some("owner".to_owned());
    let by = access.admit(&Request::Pending, &claims).unwrap().by;
    assert_eq!((by.as_str(), by.phone().map(|phone| phone.role.as_str())), ("member", Some("member")));
    let on_the_box = access.admit(&Request::Pending, &caller(None, false)).unwrap().by;
    assert_eq!((on_the_box.as_str(), on_the_box.phone()), ("root", None));
}
