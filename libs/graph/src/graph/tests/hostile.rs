//! Random facts and acts, as many as they come: no panic, no cap passed, kernel and disk as the model says.

use std::time::Duration;

use firewall_common::abi::Moved;
use proptest::prelude::*;

use super::*;
use crate::ban::BanId;
use crate::usual::{Metered, Response};

#[derive(Clone, Debug)]
enum Act {
    Stranger(u8),
    Attempt(u8, u8, u8, u8),
    Outside(u8, u8),
    Resolve(u8, u8, u8),
    Bind(u8, u8),
    Mode(u8, u8),
    Kind(u8, u8),
    Decide(u8, bool, u8),
    Write(u8, u8, u8, bool),
    Remove(u8),
    Undo(u8),
    Merge(u8, u8),
    Forget(u8),
    Learn(u8),
    Carry(u8, u16, u8),
    Respond(u8, bool),
    Ban(u8, Option<u8>),
    Lift(u8),
    Wait(u16),
    Networks(bool),
    Restart(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..6_u8).prop_map(Act::Stranger),
        20 => any::<(u8, u8, u8, u8)>().prop_map(|(src, dst, kind, object)| Act::Attempt(src, dst, kind, object)),
        4 => any::<(u8, u8)>().prop_map(|(src, addr)| Act::Outside(src, addr % 16)),
        4 => any::<(u8, u8, u8)>().prop_map(|(src, name, addr)| Act::Resolve(src, name, addr % 16)),
        1 => any::<(u8, u8)>().prop_map(|(id, addr)| Act::Bind(id, addr % 16)),
        2 => any::<(u8, u8)>().prop_map(|(id, mode)| Act::Mode(id, mode)),
        2 => any::<(u8, u8)>().prop_map(|(id, kind)| Act::Kind(id, kind)),
        6 => any::<(u8, bool, u8)>().prop_map(|(edge, allow, lifetime)| Act::Decide(edge, allow, lifetime)),
        4 => any::<(u8, u8, u8, bool)>().prop_map(|(src, dst, object, allow)| Act::Write(src, dst, object, allow)),
        1 => any::<u8>().prop_map(Act::Remove),
        2 => any::<u8>().prop_map(Act::Undo),
        1 => any::<(u8, u8)>().prop_map(|(from, into)| Act::Merge(from, into)),
        1 => any::<u8>().prop_map(Act::Forget),
        1 => any::<u8>().prop_map(Act::Learn),
        8 => any::<(u8, u16, u8)>().prop_map(|(edge, kilobytes, over)| Act::Carry(edge, kilobytes, over)),
        1 => any::<(u8, bool)>().prop_map(|(id, block)| Act::Respond(id, block)),
        2 => any::<(u8, Option<u8>)>().prop_map(|(id, client)| Act::Ban(id, client)),
        1 => any::<u8>().prop_map(Act::Lift),
        2 => (1..4_000_u16).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Networks),
        1 => any::<bool>().prop_map(Act::Restart),
    ]
}

const OBJECTS: [&str; 14] = [
    "lock/front/set",
    "lock/#",
    "m/1/w",
    "m/2/w",
    "m/3/w",
    "m/4/w",
    "#",
    "$SYS/x",
    "a//b",
    "x-1a2b3c",
    "x-4d5e6f",
    "x-7g8h9i",
    "$share/g/lock/#",
    "+/front/set",
];
const TRIED: [Kind; 13] = [
    Kind::Transport,
    Kind::Transport,
    Kind::MqttConnect,
    Kind::MqttPublish,
    Kind::MqttPublish,
    Kind::MqttSubscribe,
    Kind::Speaks,
    Kind::Speaks,
    Kind::HttpGet,
    Kind::HttpSet,
    Kind::ModbusRead,
    Kind::TlsName,
    Kind::Resolve,
];
const WRITTEN: [(&str, &str); 8] = [
    ("connect", "tcp/80"),
    ("connect", "tcp/80 http"),
    ("connect", "tcp/1883 http"),
    ("get", "http:/a/#"),
    ("get", "http:1883:/#"),
    ("publish", "mqtt:80:#"),
    ("read", "modbus:80:+/coils/8-12"),
    ("connect", "tls:80:+"),
];
const MODES: [Mode; 5] = [Mode::New, Mode::Learning, Mode::Enforcing, Mode::Guest, Mode::Quarantine];
const KINDS: [&str; 5] = ["lock", "hub", "light", "phone", ""];

fn pick<T: Copy>(from: &[T], at: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(at) % from.len()])
}

fn act_on(site: &mut Site, act: &Act, boot: &mut u8) {
    let ids: Vec<PrincipalId> = site.graph.principals().map(|principal| principal.id).collect();
    let edges: Vec<EdgeId> = site.graph.edges().map(|edge| edge.id).collect();
    let decisions: Vec<DecisionId> = site.graph.decisions().map(|decision| decision.id).collect();
    let id = |at: u8| pick(&ids, at).unwrap_or(PrincipalId::SELF);
    let now = site.now;
    match *act {
        Act::Stranger(number) => {
            let place = Place { port: "lan0".into(), ifindex: 7, vlan: 0, mac: [2, 0, 0, 0, 0, number] };
            site.graph.handle_stranger(place, now);
        }
        Act::Attempt(src, dst, kind, object) => {
            let kind = pick(&TRIED, kind).unwrap_or(Kind::Transport);
            let port = match kind {
                Kind::Transport if object % 3 == 0 => object.into(),
                Kind::Transport | Kind::MqttConnect | Kind::MqttPublish | Kind::MqttSubscribe => MQTT,
                _ => pick(&[MQTT, 80, 81], object / 16).unwrap_or(80),
            };
            let objects: &[&str] = match kind {
                Kind::Transport => &[""],
                Kind::Speaks => &["http", "mqtt", "opaque", "tls", "modbus"],
                Kind::HttpGet | Kind::HttpSet => &["/a/1 h", "/a/2 h", "/a/3 h", "/a/4", "/", "/a/+"],
                Kind::ModbusRead => &["1/coils/0-9", "1/coils/10-19", "1/coils/5-25", "2/input/7-7"],
                Kind::TlsName => &["x.example", ""],
                Kind::Resolve => &["a.example.com", "b.example.com", "lan", "tunnel.example.org"],
                _ => &OBJECTS,
            };
            let object = pick(objects, object).unwrap_or_default().to_owned();
            if kind == Kind::Resolve {
                if site.graph.principal(id(src)).is_some_and(Principal::is_device) {
                    site.ask(id(src), &object);
                }
            } else if src != dst {
                site.attempt(&Try { src: id(src), dst: Ok(id(dst)), kind, port, object });
            }
        }
        Act::Outside(src, addr) => {
            site.reach(id(src), [192, 0, 2, addr], 443);
        }
        Act::Resolve(src, name, addr) => {
            let names = ["a.example.com", "b.example.com", "c.example.com", "d.example.com", "x.example.org"];
            site.resolve(id(src), pick(&names, name).unwrap_or("lan"), [192, 0, 2, addr]);
            site.reach(id(src), [192, 0, 2, addr], 443);
        }
        Act::Bind(to, addr) => site.graph.handle_bound(id(to), Addr::from_v4([192, 0, 2, addr]), now),
        Act::Mode(of, mode) => {
            let mode = pick(&MODES, mode).unwrap_or(Mode::New);
            let _refused = site.graph.set_mode(id(of), mode, &owner(), now);
        }
        Act::Kind(of, kind) => {
            let patch = Patch { kind: pick(&KINDS, kind).map(str::to_owned), ..Patch::default() };
            let _refused = site.graph.set_principal(id(of), &patch, &owner(), now);
        }
        Act::Decide(edge, allow, lifetime) => {
            let lifetimes = [
                Lifetime::Always,
                Lifetime::Once,
                Lifetime::Uses(2),
                Lifetime::For(60),
                Lifetime::Until(now.unix + 500),
                Lifetime::UntilRestart,
            ];
            if let (Some(edge), Some(lifetime)) = (pick(&edges, edge), pick(&lifetimes, lifetime)) {
                let answer = if allow { Answer::Allow } else { Answer::Deny };
                let _refused = site.graph.decide(edge, answer, lifetime, &owner(), None, now);
            }
        }
        Act::Write(src, dst, object, allow) => {
            let (verb, object) = pick(&WRITTEN, object).unwrap_or(("connect", "tcp/80"));
            let spec = Spec {
                from: id(src).0.to_string(),
                to: id(dst).0.to_string(),
                plane: "packet".into(),
                verb: verb.into(),
                object: object.into(),
                terms: Terms::NONE,
            };
            let answer = if allow { Answer::Allow } else { Answer::Deny };
            let _refused = site.graph.decide_spec(&spec, answer, Lifetime::Always, &owner(), now);
        }
        Act::Remove(edge) => {
            if let Some(edge) = pick(&edges, edge) {
                site.graph.remove_edge(edge, &owner(), now).unwrap();
            }
        }
        Act::Undo(decision) => {
            if let Some(decision) = pick(&decisions, decision) {
                let _refused = site.graph.undo(decision, &owner(), now);
            }
        }
        Act::Merge(from, into) => {
            let _refused = site.graph.merge(id(from), id(into), &owner(), now);
        }
        Act::Forget(of) => {
            let _refused = site.graph.forget(id(of), &owner(), now);
        }
        Act::Learn(of) => {
            let _refused = site.graph.learn_start(Some(id(of)), None, &owner(), now);
        }
        Act::Carry(edge, kilobytes, over) => {
            let moved = [Moved { messages: 1, bytes: u64::from(kilobytes) * 1_000 }, Moved::default()];
            let metered = Metered { moved, over: u32::from(over / 16), opened: 1, open: 1 };
            for _ in 0..8 {
                if let Some(edge) = pick(&edges, edge) {
                    site.graph.handle_metered(edge, &metered, Duration::from_secs(10), site.now);
                    site.wait(10);
                }
            }
        }
        Act::Respond(of, block) => {
            let response = if block { Response::Block } else { Response::Ask };
            let _refused = site.graph.set_response(id(of), response, &owner(), now);
        }
        Act::Ban(of, client) => {
            let client = client.and_then(|client| pick(&OBJECTS, client));
            let _refused = site.graph.ban(id(of), client, 600, "", &owner(), now);
        }
        Act::Lift(ban) => {
            let bans: Vec<BanId> = site.graph.bans().map(|ban| ban.id).collect();
            if let Some(ban) = pick(&bans, ban) {
                site.graph.lift_ban(ban, &owner(), now).unwrap();
            }
        }
        Act::Wait(seconds) => site.pass(seconds.into()),
        Act::Networks(all) => {
            let prefix = if all { 96 + 24 } else { 96 + 29 };
            let network = super::super::Network { addr: Addr::from_v4([192, 0, 2, 0]), prefix };
            site.graph.handle_networks(vec![network], now);
        }
        Act::Restart(box_too) => {
            *boot += u8::from(box_too);
            site.restart(*boot);
        }
    }
    site.graph.handle_timeout(site.now);
    site.execute();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_the_kernel_holds_what_the_model_says(acts in proptest::collection::vec(act(), 1..120)) {
        let mut site = Site::new(Settings {
            site_mode: crate::decision::SiteMode::Enforce,
            first_run: 2_000,
            learn_edges: 12,
            learn_destinations: 4,
            pending_per_source: 6,
            learn_min: 3_000,
            learn_quiet: 500,
            ready_notice: 1_000,
            principals_per_port: 5,
            ..Settings::default()
        });
        let mut boot = 1;
        for number in 1..=3 {
            site.device(number);
        }
        for act in &acts {
            act_on(&mut site, act, &mut boot);
            site.check();
        }
        let head = site.graph.site().ledger;
        prop_assert_eq!(crate::ledger::verify(site.ledger.iter(), Some(head)), Ok(head));
    }
}
