//! Places for connections: so many in all, and so many for each address that is not this machine.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that are served at one time; a browser opens up to six.
const CONNECTIONS: usize = 256;
/// Connections of one address; one device must not take the page from all others.
pub(super) const EACH: usize = 24;

#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS)), taken: Arc::default() }
    }
}

impl Places {
    /// Waits for a free place.
    pub(super) async fn free(&self) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.all).acquire_owned().await;
        free.expect("the semaphore is never closed")
    }

    /// Takes the place for a connection from there; `None` if that address has too many already.
    pub(super) fn take(&self, free: OwnedSemaphorePermit, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(from).or_default();
        // Behind loopback may be a proxy or a forwarded port with many browsers.
        if *count >= EACH && !from.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Place { from, taken: Arc::clone(&self.taken), _free: free })
    }
}

/// A taken place; dropping it gives it back.
pub(super) struct Place {
    from: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _free: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_has_its_share_and_gives_it_back() {
        let places = Places::default();
        let greedy = "192.168.1.66".parse().unwrap();
        let mut taken = Vec::new();
        for _ in 0..EACH {
            taken.push(places.take(places.free().await, greedy).unwrap());
        }
        assert!(places.take(places.free().await, greedy).is_none());
        assert!(places.take(places.free().await, "::ffff:192.168.1.66".parse().unwrap()).is_none());
        assert!(places.take(places.free().await, "192.168.1.67".parse().unwrap()).is_some());
        taken.pop();
        assert!(places.take(places.free().await, greedy).is_some());
        drop(taken);
        assert!(places.taken.lock().unwrap().is_empty(), "nothing is remembered of who has left");
    }
}
