//! Copies of larger values, word by word and in order.
//!
//! LLVM either leaves a copy to a function that goes byte by byte, or reads all of it before it writes and keeps what does
//! not fit into registers on the stack, of which there are 512 bytes. Reads and writes that must not be reordered are
//! neither.

use firewall_common::abi::OBJECT_CAP;
use firewall_common::wire::stream::Said;
use zerocopy::{FromBytes, IntoBytes};

/// Copies a value that consists of whole words.
///
/// # Safety
///
/// `from` is a place that stays mapped while the program runs; who writes it meanwhile may leave a mixture.
#[inline(always)]
pub unsafe fn copy<T: FromBytes + IntoBytes>(to: &mut T, from: *const T) {
    let to: *mut T = to;
    if align_of::<T>() >= 8 {
        copy_as::<u64>(to.cast(), from.cast(), size_of::<T>() / 8);
    } else {
        const { assert!(align_of::<T>() >= 4, "copied in words") };
        copy_as::<u32>(to.cast(), from.cast(), size_of::<T>() / 4);
    }
}

/// Copies what was said; the bytes of its text only where it has one.
///
/// # Safety
///
/// As [`copy`].
#[inline(always)]
pub unsafe fn copy_said(to: &mut Said, from: *const Said) {
    let to: *mut Said = to;
    copy_as::<u64>(to.cast(), from.cast(), Said::HEAD / 8);
    // SAFETY: it was written by the line before.
    if unsafe { (*to).object.is_empty() } {
        return;
    }
    // SAFETY: the text is what lies behind the head.
    let (to, from) = unsafe { (to.byte_add(Said::HEAD), from.byte_add(Said::HEAD)) };
    copy_as::<u64>(to.cast(), from.cast(), OBJECT_CAP / 8);
}

/// Sets every word to zero.
#[inline(always)]
pub fn clear<T: FromBytes + IntoBytes>(value: &mut T) {
    const { assert!(align_of::<T>() >= 4, "written in words") };
    let value: *mut u32 = (&raw mut *value).cast();
    let mut at = 0;
    while at < size_of::<T>() / 4 {
        // SAFETY: inside the value, of which any bytes are one.
        unsafe { value.add(at).write_volatile(0) };
        at += 1;
    }
}

#[inline(always)]
fn copy_as<W>(to: *mut W, from: *const W, words: usize) {
    let mut at = 0;
    while at < words {
        // SAFETY: inside both values, which are aligned for words and of which any bytes are one.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        at += 1;
    }
}
