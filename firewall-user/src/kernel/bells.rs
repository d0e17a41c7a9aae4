//! The ring buffer: the kernel rings, the facts are in the maps.

use aya::maps::{MapData, RingBuf};
use firewall_common::abi::Bell;
use tokio::io::unix::AsyncFd;
use zerocopy::FromBytes;

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
    pub async fn next(&mut self, limit: usize) -> std::io::Result<Vec<Bell>> {
        let mut bells = Vec::new();
        loop {
            let mut guard = self.ring.readable_mut().await?;
            let ring = guard.get_inner_mut();
            while let Some(record) = ring.next() {
                bells.extend(Bell::read_from_bytes(&record).ok());
                if bells.len() == limit {
                    // There may be more: readiness stays.
                    return Ok(bells);
                }
            }
            guard.clear_ready();
            if !bells.is_empty() {
                return Ok(bells);
            }
        }
    }
}
