//! What devices do and notice, with the time: one JSON object per line.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point of the monotonic clock, which all namespaces share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(u64);

impl Moment {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has a monotonic clock");
        Self(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
    }

    /// The time from an earlier moment to this one; zero if it was not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What a device reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The broker has accepted the connection.
    Connected,
    /// The connection to the broker or battery ended or was refused.
    Disconnected,
    /// The subscription is in force.
    Subscribed,
    /// A first attempt at what the device is not supposed to do leaves now.
    Attempt,
    /// The broker has confirmed a message.
    Delivered,
    /// The door was opened.
    Opened,
    /// The door was closed.
    Closed,
    /// The battery has answered with its charge.
    Reached,
    /// The battery's service waits for readers.
    Listening,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Moment,
    pub event: What,
}

/// Reports something that happens now on standard output.
pub fn report(event: What) {
    let event = Event { at: Moment::now(), event };
    let mut line = serde_json::to_vec(&event).expect("an event has nothing that JSON cannot express");
    line.push(b'\n');
    // Nobody reads on when the site was taken down, and then there is nobody to tell.
    let _ = std::io::stdout().write_all(&line);
}

/// Reads the events of one device as they come.
#[derive(Debug)]
pub struct Reader {
    file: File,
    partial: Vec<u8>,
    waiting: std::collections::VecDeque<Event>,
}

impl Reader {
    /// Reads from the beginning.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { file, partial: Vec::new(), waiting: std::collections::VecDeque::new() })
    }

    /// Forgets what has happened so far.
    pub fn skip_to_now(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.partial.clear();
        self.waiting.clear();
        Ok(())
    }

    /// The next event, if one has come.
    pub fn poll(&mut self) -> Result<Option<Event>> {
        if self.waiting.is_empty() {
            self.file.read_to_end(&mut self.partial)?;
            while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                self.waiting
                    .push_back(serde_json::from_slice(&line).context("a device reported something odd")?);
            }
        }
        Ok(self.waiting.pop_front())
    }

    /// Waits for an event of this kind and drops those before it.
    pub fn wait_for(&mut self, what: What, within: Duration) -> Result<Event> {
        let deadline = Instant::now() + within;
        loop {
            match self.poll()? {
                Some(event) if event.event == what => return Ok(event),
                Some(_) => {}
                None if Instant::now() > deadline => {
                    bail!("waited {} s in vain for {what:?}", within.as_secs_f32())
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Whether an event of this kind comes within the time.
    pub fn comes(&mut self, what: What, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        loop {
            match self.poll()? {
                Some(event) if event.event == what => return Ok(true),
                Some(_) => {}
                None if Instant::now() > deadline => return Ok(false),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}
