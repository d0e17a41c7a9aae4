//! The atomic operations of this target.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// Adds to a counter that other CPUs also write.
#[inline(always)]
pub fn add(counter: *mut u64, value: u64) {
    // SAFETY: callers pass a field of a map value, which stays mapped while the program runs.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, value) };
}

/// As [`add`], for a counter of 32 bits.
#[inline(always)]
pub fn add_word(counter: *mut u32, value: u32) {
    // SAFETY: as above.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(counter, value) };
}

/// Takes one from a counter; false if it is zero or another CPU was faster.
#[inline(always)]
pub fn take_one(counter: *mut u64) -> bool {
    // SAFETY: as above.
    let left = unsafe { core::ptr::read_volatile(counter) };
    left != 0 && swap(counter, left, left - 1)
}

/// Takes a lock; false if another CPU has it.
#[inline(always)]
pub fn try_lock(lock: *mut u64) -> bool {
    swap(lock, 0, 1)
}

/// Gives a lock back.
#[inline(always)]
pub fn unlock(lock: *mut u64) {
    swap(lock, 1, 0);
}

/// Replaces a value that is still `from`; false if another CPU was faster.
#[inline(always)]
pub fn swap(place: *mut u64, from: u64, to: u64) -> bool {
    // SAFETY: as above.
    unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(place, from, to) }.1
}
