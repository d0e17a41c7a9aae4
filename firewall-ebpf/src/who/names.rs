//! Names before addresses: by which names a device knows an address, and who stands for them.
//!
//! A binding belongs to one device and says nothing to any other. It is made from the answer to a question of that
//! device, before the answer is passed on, so the first frame to a new address of a known name finds its edge.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_for_each_map_elem;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use firewall_common::abi::{
    Addr, KnownName, OTHER_NAMES, PrincipalId, RESOLVED_EACH, Resolved, ResolvedKey, capacity,
};

use crate::scratch::Scratch;
use crate::{atomic, observe};

/// Written by the kernel; by the daemon only before any program is attached.
#[map]
static RESOLVED: HashMap<ResolvedKey, Resolved> = HashMap::with_max_entries(capacity::RESOLVED, 0);

/// Written by the daemon.
#[map]
static NAMED: HashMap<u64, PrincipalId> = HashMap::with_max_entries(capacity::NAMED, 0);

/// Boot-time nanoseconds of the last sweep. Written by the kernel.
#[map]
static RESOLVED_SWEPT: Array<u64> = Array::with_max_entries(1, 0);

const SECOND: u64 = 1_000_000_000;
/// How long a binding holds at least, after the answer and after each use.
const HOLDS: u64 = 24 * 3_600 * SECOND;
/// Longest time to live that is believed (RFC 8767, section 4).
const TTL_CAP: u32 = 7 * 24 * 3_600;
/// A use is written at most this often.
const USED_EVERY: u64 = 600 * SECOND;
/// A full table is swept at most this often.
const SWEEP_EVERY: u64 = SECOND;

/// Who stands for the name of an entry of `NAMED`, or [`PrincipalId::UNKNOWN`].
#[inline(always)]
pub fn principal(via: u64) -> PrincipalId {
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    match unsafe { NAMED.get(via) } {
        Some(principal) => *principal,
        None => PrincipalId::UNKNOWN,
    }
}

/// Whether `NAMED` has an entry.
#[inline(always)]
pub fn is_named(via: u64) -> bool {
    principal(via) != PrincipalId::UNKNOWN
}

/// What [`holder`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// No name has led the device to the address.
    NoName,
    /// One has that nobody stands for.
    Nobody,
    As(PrincipalId),
}

/// Who stands for the name that led a device to an address last.
#[inline(never)]
pub fn holder(device: PrincipalId, addr: &Addr, now: u64) -> Known {
    let Some(entry) = RESOLVED.get_ptr_mut(ResolvedKey { addr: *addr, device }) else {
        return Known::NoName;
    };
    // SAFETY: the entry stays mapped while the program runs. In a slot that is given to another binding meanwhile, the
    // worst that is written is a later end of that one.
    let entry = unsafe { &mut *entry };
    if now >= entry.until || !is_kept(device, entry.born) {
        return Known::NoName;
    }
    if entry.until - now < HOLDS - USED_EVERY {
        entry.until = now + HOLDS;
    }
    match principal(entry.latest.via) {
        PrincipalId::UNKNOWN => Known::Nobody,
        named => Known::As(named),
    }
}

/// What a device has resolved that shows this name on a connection to this address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It knows the address by no name.
    Unbound,
    /// It knows the address by other names only.
    Foreign,
    /// This name led it there last.
    Latest(KnownName),
    /// This name led it there, too.
    Other,
}

/// Compares a name that a connection shows with those that led its device to the address.
#[inline(always)]
pub fn shown(device: PrincipalId, addr: &Addr, name: u64) -> Shown {
    // SAFETY: read only; the kernel replaces whole entries.
    let Some(entry) = (unsafe { RESOLVED.get(ResolvedKey { addr: *addr, device }) }) else {
        return Shown::Unbound;
    };
    if entry.latest.name == name {
        return Shown::Latest(entry.latest);
    }
    if has(entry, name) { Shown::Other } else { Shown::Foreign }
}

#[inline(always)]
fn has(entry: &Resolved, name: u64) -> bool {
    let mut found = false;
    let mut at = 0;
    while at < OTHER_NAMES {
        if entry.others[at] == Resolved::tag(name) {
            found = true;
        }
        at += 1;
    }
    found
}

/// Binds an address to the name that the device at hand has asked for.
#[inline(never)]
pub fn bind(scratch: &mut Scratch, addr: &Addr) {
    let device = scratch.dst;
    // Who holds an address of the site is known better.
    if super::is_near(addr, scratch.link) || super::is_inside(addr) {
        return;
    }
    let Some(usage) = observe::usage(device) else { return };
    // SAFETY: array entries are always mapped.
    let made = unsafe { (*usage).resolved };
    let ttl = scratch.reply.ttl();
    let ttl = u64::from(if ttl > TTL_CAP { TTL_CAP } else { ttl }) * SECOND;
    let until = scratch.now + if ttl > HOLDS { ttl } else { HOLDS };
    let key = ResolvedKey { addr: *addr, device };
    let mut is_late = true;
    scratch.resolved = Resolved { latest: scratch.asked, until, born: made, others: [0; OTHER_NAMES] };
    // SAFETY: copied at once; the kernel replaces whole entries.
    if let Some(known) = unsafe { RESOLVED.get(key) } {
        if scratch.now < known.until && is_kept(device, known.born) {
            scratch.resolved = *known;
            is_late = made.wrapping_sub(known.born) > RESOLVED_EACH / 2;
        }
    }
    let binding = &mut scratch.resolved;
    if is_late {
        // Its place in the quota is the newest, or is again.
        binding.born = made;
        // SAFETY: as above.
        atomic::add(unsafe { &raw mut (*usage).resolved }, 1);
    }
    if binding.until < until {
        binding.until = until;
    }
    rename(binding, scratch.asked);
    store(scratch, &key);
}

/// Another name becomes the latest one; the one before is remembered.
#[inline(always)]
fn rename(binding: &mut Resolved, asked: KnownName) {
    let before = binding.latest.name;
    binding.latest = asked;
    if before == asked.name || has(binding, before) {
        return;
    }
    let mut at = OTHER_NAMES - 1;
    while at > 0 {
        binding.others[at] = binding.others[at - 1];
        at -= 1;
    }
    binding.others[0] = Resolved::tag(before);
}

/// A full table is swept once a second; what finds no room then is known by its address.
#[inline(always)]
fn store(scratch: &mut Scratch, key: &ResolvedKey) {
    if RESOLVED.insert(key, &scratch.resolved, BPF_ANY as u64).is_err() {
        sweep(scratch.now);
        let _ = RESOLVED.insert(key, &scratch.resolved, BPF_ANY as u64);
    }
}

/// Whether fewer than [`RESOLVED_EACH`] addresses have come after this one.
#[inline(always)]
fn is_kept(device: PrincipalId, born: u64) -> bool {
    match observe::usage(device) {
        // SAFETY: array entries are always mapped.
        Some(usage) => unsafe { (*usage).resolved }.wrapping_sub(born) <= RESOLVED_EACH,
        None => false,
    }
}

/// Removes bindings that hold no more, unless that was done a moment ago.
#[inline(never)]
fn sweep(now: u64) {
    let Some(swept) = RESOLVED_SWEPT.get_ptr_mut(0) else { return };
    // SAFETY: an array entry is always mapped; two CPUs at once sweep twice.
    let swept = unsafe { &mut *swept };
    if now.wrapping_sub(*swept) < SWEEP_EVERY {
        return;
    }
    *swept = now;
    let mut now = now;
    let map = (&raw const RESOLVED).cast_mut().cast::<c_void>();
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_for_each_map_elem(map, sweep_one as *mut c_void, (&raw mut now).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn sweep_one(
    _map: *mut c_void,
    key: *const ResolvedKey,
    binding: *mut Resolved,
    now: *mut c_void,
) -> i64 {
    // SAFETY: the kernel passes a valid key, value and context.
    let (key, until, born, now) = unsafe { (*key, (*binding).until, (*binding).born, *now.cast::<u64>()) };
    if now >= until || !is_kept(key.device, born) {
        let _ = RESOLVED.remove(key);
    }
    0
}
