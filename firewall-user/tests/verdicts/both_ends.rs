//! Both ends of a connection speak at once, on two CPUs: what passes is what would pass one after the other.
//!
//! The reference is the script: which segment of a side holds the end of its first forbidden topic. Until then each
//! segment passes unless the other side has ended the connection, and that one never does.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use firewall_common::precedence::RuleState;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::{
    connection::{
        Connection,
        Side::{self, Client, Server},
    },
    frame::ACK,
    message::{V3_1_1, publish},
    raw,
    site::{MARK_JUDGED, Site, TC_PASS, site},
    streams::Rig,
};

const SAID: &str = "site/hall/temp";
const HEARD: &str = "site/wash/start";
const FORBIDDEN: &str = "site/lock/set";

/// What one side says, and which of its segments must not pass.
#[derive(Clone, Debug)]
struct Script {
    segments: Vec<Segment>,
    /// Index of the segment with the end of a forbidden topic.
    stop: Option<usize>,
}

#[derive(Clone, Debug)]
struct Segment {
    words: Vec<u8>,
    /// Whether it is sent again at once, as if its acknowledgement had been lost.
    twice: bool,
}

/// Messages on a topic, one of them perhaps on a forbidden one, cut at random.
fn script(topic: &'static str) -> impl Strategy<Value = Script> {
    let payloads = vec(vec(any::<u8>(), 0..100), 8..40);
    let forbidden = proptest::option::weighted(0.4, any::<proptest::sample::Index>());
    (payloads, forbidden, vec((1..150_usize, any::<bool>()), 4..12)).prop_map(
        move |(payloads, forbidden, cuts)| {
            let forbidden = forbidden.map(|index| index.index(payloads.len()));
            let (mut words, mut last) = (Vec::new(), None);
            for (at, payload) in payloads.iter().enumerate() {
                let topic = if forbidden == Some(at) {
                    // The fixed header, the length of the rest in one byte, and that of the topic in two.
                    last = Some(words.len() + 4 + FORBIDDEN.len() - 1);
                    FORBIDDEN
                } else {
                    topic
                };
                words.extend(publish(topic, payload));
            }
            let (mut segments, mut stop, mut at) = (Vec::new(), None, 0);
            for &(length, twice) in cuts.iter().cycle() {
                let end = words.len().min(at + length);
                if last.is_some_and(|last| (at..end).contains(&last)) {
                    stop = Some(segments.len());
                }
                segments.push(Segment { words: words[at..end].to_vec(), twice });
                at = end;
                if at == words.len() {
                    break;
                }
            }
            Script { segments, stop }
        },
    )
}

/// One side of a connection, alone on its CPU.
struct End<'a> {
    connection: Connection,
    side: Side,
    program: BorrowedFd<'a>,
    /// Next number of this side and of the other one.
    own: &'a AtomicU32,
    other: &'a AtomicU32,
    /// Set as soon as a frame of either side was answered with a reset.
    over: &'a AtomicBool,
}

impl End<'_> {
    /// Whether a segment passed as it was sent.
    fn passes(&mut self, words: &[u8]) -> bool {
        let (own, other) = (self.own.load(Ordering::Acquire), self.other.load(Ordering::Acquire));
        (self.connection.client_seq, self.connection.server_seq) = match self.side {
            Client => (own, other),
            Server => (other, own),
        };
        let frame = self.connection.frame(self.side, self.connection.segment(self.side, ACK), words);
        let judged = raw::judge(self.program, &frame).expect("the program runs");
        judged.action == TC_PASS && judged.mark & MARK_JUDGED != 0 && judged.frame == frame
    }

    /// Says everything until something does not pass; returns how many segments did.
    fn speak(mut self, script: &Script) -> usize {
        for (at, Segment { words, twice }) in script.segments.iter().enumerate() {
            let was_over = self.over.load(Ordering::Acquire);
            if !self.passes(words) {
                self.over.store(true, Ordering::Release);
                return at;
            }
            assert!(!was_over, "{:?}: nothing passes behind a reset", self.side);
            let again = *twice && !self.passes(words);
            self.own.fetch_add(words.len() as u32, Ordering::AcqRel);
            if again {
                assert!(self.is_over_soon(), "{:?}: what passed passes again", self.side);
                return at + 1;
            }
        }
        script.segments.len()
    }

    /// Whether the other side has ended the connection, or is about to say so.
    fn is_over_soon(&self) -> bool {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while std::time::Instant::now() < deadline {
            if self.over.load(Ordering::Acquire) {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

/// The CPUs on which the two sides run; the same one twice where there is one.
fn two_cpus() -> [CpuSet; 2] {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("every thread has a set of CPUs");
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
    [cpus[0], cpus[cpus.len() - 1]].map(|cpu| {
        let mut set = CpuSet::new();
        set.set(cpu).expect("it was in a set");
        set
    })
}

/// Lets both sides speak at once; returns how many segments of each passed.
fn at_once(program: BorrowedFd<'_>, connection: Connection, scripts: [&Script; 2]) -> [usize; 2] {
    let (client, server) = (AtomicU32::new(connection.client_seq), AtomicU32::new(connection.server_seq));
    let (over, start) = (AtomicBool::new(false), Barrier::new(2));
    let ends = [(Client, &client, &server), (Server, &server, &client)];
    thread::scope(|scope| {
        let start = &start;
        let over = &over;
        let mut threads = Vec::new();
        for (((side, own, other), script), cpu) in ends.into_iter().zip(scripts).zip(two_cpus()) {
            let end = End { connection, side, program, own, other, over };
            threads.push(scope.spawn(move || {
                sched_setaffinity(Pid::from_raw(0), &cpu).expect("a thread may choose among its CPUs");
                start.wait();
                end.speak(script)
            }));
        }
        let mut passed = threads.into_iter().map(|thread| thread.join().expect("a side does not panic"));
        [passed.next().expect("two sides"), passed.next().expect("two sides")]
    })
}

#[test]
fn what_passes_on_two_cpus_is_what_passes_on_one() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::publishing(&mut site, &[SAID]);
    rig.subscribe(&mut site, HEARD, RuleState::Allowed);
    let program = site.program(edgeward::kernel::Hook::LanIngress);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() });
    let site = std::cell::RefCell::new(&mut *site);
    let result = runner.run(&(script(SAID), script(HEARD)), |(client, server)| {
        let site: &mut Site = &mut site.borrow_mut();
        site.hear_out();
        let connection = rig.connected(site, V3_1_1);
        let passed = at_once(program.as_fd(), connection, [&client, &server]);
        let scripts = [&client, &server];
        for (passed, script) in passed.into_iter().zip(scripts) {
            prop_assert!(
                passed <= script.stop.unwrap_or(script.segments.len()),
                "{} of {:?}",
                passed,
                script.stop
            );
        }
        // Who ended it got as far as the script says; nobody is stopped without a reason.
        let as_far = |side: usize| passed[side] == scripts[side].stop.unwrap_or(scripts[side].segments.len());
        match scripts.map(|script| script.stop.is_some()) {
            [false, false] => prop_assert!(as_far(0) && as_far(1), "{:?}", passed),
            [true, false] => prop_assert!(as_far(0), "{:?}", passed),
            [false, true] => prop_assert!(as_far(1), "{:?}", passed),
            [true, true] => prop_assert!(as_far(0) || as_far(1), "{:?}", passed),
        }
        if let [false, false] = scripts.map(|script| script.stop.is_some()) {
            // Urgent data ends it, so that the next one has room.
            end(site, connection, &client, &server);
        }
        Ok(())
    });
    result.unwrap();
}

/// Ends a connection on which everything was said.
fn end(site: &mut Site, mut connection: Connection, client: &Script, server: &Script) {
    const URG: u8 = 0x20;
    let length =
        |script: &Script| script.segments.iter().map(|segment| segment.words.len() as u32).sum::<u32>();
    connection.client_seq = connection.client_seq.wrapping_add(length(client));
    connection.server_seq = connection.server_seq.wrapping_add(length(server));
    connection.send(site, Client, ACK | URG, b"x");
}
