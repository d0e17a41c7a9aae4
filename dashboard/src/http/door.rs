//! Whom this process speaks with at all: the daemon says so for each address, before a byte is read.
//!
//! The firewall stops most others before, but not in mode monitor, and not the first connection of a device that learns.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::daemon::Daemon;
use crate::rpc::Request;

/// How long an answer of the daemon is believed: a browser opens six connections at once.
const BELIEVED: Duration = Duration::from_secs(1);
/// Addresses that are remembered; about more the daemon is asked each time.
const REMEMBERED: usize = 256;

/// Answers of a moment ago.
#[derive(Default)]
pub(super) struct Door {
    answers: Mutex<HashMap<(IpAddr, u16), (bool, Instant)>>,
}

impl Door {
    /// Whether a connection from there to here is served. Without an answer of the daemon it is not.
    pub(super) async fn admits(&self, daemon: &Daemon, from: IpAddr, here: SocketAddr) -> bool {
        let (from, port) = (from.to_canonical(), here.port());
        // Who is on this machine needs a session, like everybody.
        if from.is_loopback() {
            return true;
        }
        if let Some(answer) = self.remembered((from, port), Instant::now()) {
            return answer;
        }
        match daemon.ask(Request::Admit { from, port }).await {
            Ok(answer) => {
                self.remember((from, port), answer, Instant::now());
                answer
            }
            Err(error) => {
                tracing::debug!(%error, "Nobody says who may reach the page");
                false
            }
        }
    }

    fn remembered(&self, from: (IpAddr, u16), now: Instant) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&from).filter(|(_, at)| now.duration_since(*at) < BELIEVED).map(|(answer, _)| *answer)
    }

    fn remember(&self, from: (IpAddr, u16), answer: bool, now: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, at)| now.duration_since(*at) < BELIEVED);
        if answers.len() < REMEMBERED {
            answers.insert(from, (answer, now));
        }
    }
}
