//! The one place where bytes of a frame are read.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};
use firewall_common::wire::Bytes;

/// A socket buffer at a TC hook.
pub struct Skb<'a>(pub &'a TcContext);

impl Skb<'_> {
    #[inline(always)]
    pub fn raw(&self) -> *mut __sk_buff {
        self.0.skb.skb
    }

    /// Bytes of each piece that the kernel put this frame together of; 0: it came as it is.
    #[inline(always)]
    pub fn gso_size(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.raw()).gso_size }
    }
}

/// Reads bytes where they lie, if all of them are in the linear part of the frame.
#[inline(always)]
fn direct<const N: usize>(data: usize, end: usize, offset: u32) -> Option<[u8; N]> {
    /// Headers begin at even offsets, and the kernels that run this read words at any.
    #[derive(Clone, Copy)]
    #[repr(C, align(2))]
    struct Header<const N: usize>([u8; N]);

    // The verifier follows an offset only up to 65,535.
    let offset = opaque(u64::from(offset));
    if offset > 0x7fff {
        return None;
    }
    let from = data + offset as usize;
    // Hidden: LLVM makes `from >= end` of it for a single byte, from which the verifier learns nothing.
    if opaque((from + N) as u64) > end as u64 {
        return None;
    }
    // SAFETY: the bytes lie between both ends of the frame, which the verifier checks again.
    Some(unsafe { (*(from as *const Header<N>)).0 })
}

/// Copies `length` bytes of a socket buffer, from 1 to `N`, to `to`.
///
/// The buffer comes as the pointer that a loop's callback was given.
#[inline(always)]
pub fn copy<const N: usize>(skb: *const c_void, offset: u32, to: &mut [u8; N], length: u32) -> bool {
    // Not `length == 0`: before Linux 6.8 the verifier learns nothing from an inequality, and takes zero for possible.
    let last = opaque(u64::from(length).wrapping_sub(1));
    if last >= N as u64 {
        return false;
    }
    let length = last + 1;
    // SAFETY: the helper checks offset and length against the frame, and `length` is at most that of `to`.
    unsafe { bpf_skb_load_bytes(skb, offset, to.as_mut_ptr().cast(), length as u32) == 0 }
}

impl Bytes for Skb<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut to = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper checks offset and length against the frame and fills all of `to` or fails.
        let result =
            unsafe { bpf_skb_load_bytes(self.raw().cast(), offset, to.as_mut_ptr().cast(), N as u32) };
        // SAFETY: filled by the helper.
        if result == 0 { Some(unsafe { to.assume_init() }) } else { None }
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        // SAFETY: the context is valid while the program runs.
        let (present, tag) = unsafe { ((*self.raw()).vlan_present, (*self.raw()).vlan_tci) };
        if present != 0 { Some(tag as u16) } else { None }
    }
}

/// The headers of a socket buffer, which are looked at in every frame: read where they lie, and copied by the kernel only
/// where they do not lie in one piece. Elsewhere the verifier would walk both ways for each field.
pub struct Headers<'a>(pub &'a TcContext);

impl Bytes for Headers<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        match direct(self.0.data(), self.0.data_end(), offset) {
            Some(bytes) => Some(bytes),
            None => Skb(self.0).load(offset),
        }
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        Skb(self.0).tag()
    }
}

/// A socket buffer, as the pointer that a loop's callback was given.
pub struct Raw(pub *const c_void);

impl Bytes for Raw {
    /// Not known here: who reads knows where its message ends.
    #[inline(always)]
    fn len(&self) -> u32 {
        u32::MAX
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut to = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper checks offset and length against the frame and fills all of `to` or fails.
        let result = unsafe { bpf_skb_load_bytes(self.0, offset, to.as_mut_ptr().cast(), N as u32) };
        // SAFETY: filled by the helper.
        if result == 0 { Some(unsafe { to.assume_init() }) } else { None }
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        None
    }
}

/// A frame at the XDP hook.
pub struct Xdp<'a>(pub &'a XdpContext);

impl Bytes for Xdp<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        (self.0.data_end() - self.0.data()) as u32
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut to = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: as above.
        let result =
            unsafe { bpf_xdp_load_bytes(self.0.as_ptr().cast(), offset, to.as_mut_ptr().cast(), N as u32) };
        // SAFETY: filled by the helper.
        if result == 0 { Some(unsafe { to.assume_init() }) } else { None }
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        None
    }
}

/// Hides a value from the optimiser, so that the check that follows is made on the very register that is used.
///
/// LLVM otherwise compares a copy and passes the unchecked original to a helper, which the verifier refuses.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: the instruction copies a register onto itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// Whether a map has an entry.
///
/// LLVM merges several `is_some` in a row into arithmetic on map pointers, which the verifier refuses; reading the value
/// keeps them apart.
#[inline(always)]
pub fn is_present<T>(entry: Option<*const T>) -> bool {
    match entry {
        // SAFETY: the entry is mapped while the program runs.
        Some(entry) => opaque(u64::from(unsafe { core::ptr::read_volatile(entry.cast::<u8>()) })) < 256,
        None => false,
    }
}
