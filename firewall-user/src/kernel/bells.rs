//! The ring buffer: the kernel rings, the facts are in the maps.

use aya::maps::{MapData, RingBuf};
use firewall_common::abi::{Bell, Shown};
use tokio::io::unix::AsyncFd;
use zerocopy::FromBytes;

/// What the ring buffer holds.
pub enum Rung {
    Bell(Bell),
    /// The frame that the bell before was rung for.
    Shown(Box<Shown>),
}

impl Rung {
    fn from_record(record: &[u8]) -> Option<Self> {
        match record.len() {
            length if length == size_of::<Bell>() => Bell::read_from_bytes(record).ok().map(Self::Bell),
            _ => Shown::read_from_bytes(record).ok().map(Box::new).map(Self::Shown),
        }
    }
}

/// The reading end of `EVENTS`.
pub struct Bells {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Bells {
    pub(super) fn new(ring: RingBuf<MapData>) -> std::io::Result<Self> {
        // SAFETY: the ring buffer owns its descriptor and closes it only when it is dropped, with its registration.
        let ring = unsafe { AsyncFd::register(ring)? };
        Ok(Self { ring })
    }

    /// Waits until the kernel has rung and takes all that is there, at most `limit` at a time. Records of a length that
    /// no version of ours writes are left out.
    pub async fn next(&mut self, limit: usize) -> std::io::Result<Vec<Rung>> {
        let mut rung = Vec::new();
        loop {
            let mut guard = self.ring.readable_mut().await?;
            let ring = guard.get_inner_mut();
            while let Some(record) = ring.next() {
                rung.extend(Rung::from_record(&record));
                if rung.len() == limit {
                    // There may be more: readiness stays.
                    return Ok(rung);
                }
            }
            guard.clear_ready();
            if !rung.is_empty() {
                return Ok(rung);
            }
        }
    }
}
