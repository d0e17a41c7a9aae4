#![no_std]
#![no_main]
#![feature(core_intrinsics, asm_experimental_arch)]
#![allow(internal_features)]

use aya_ebpf::{macros::{classifier, map}, maps::{HashMap, Array}, programs::TcContext, helpers};
use core::ffi::c_void;
use core::intrinsics::{atomic_cxchg, atomic_xadd, atomic_store, AtomicOrdering as O};

#[repr(C)]
#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
pub struct V { lock: u32, pad: u32, v: u64 }

#[map]
static M: HashMap<u32, V> = HashMap::with_max_entries(64, 0);
#[unsafe(no_mangle)]
static MARK: u32 = 0;

#[repr(C)]
struct Ctx { n: u64 }

#[inline(never)]
unsafe extern "C" fn cb(_i: u32, c: *mut c_void) -> i64 {
    let c = unsafe { &mut *(c as *mut Ctx) };
    c.n += 1;
    0
}

#[inline(never)]
unsafe extern "C" fn each(_m: *mut c_void, _k: *const u32, v: *mut V, _c: *mut c_void) -> i64 {
    unsafe { (*v).v += 1 };
    0
}

#[classifier]
pub fn t(_ctx: TcContext) -> i32 {
    let mut c = Ctx { n: 0 };
    unsafe { helpers::bpf_loop(10, cb as *mut c_void, &mut c as *mut _ as *mut c_void, 0) };
    let m = unsafe { core::ptr::read_volatile(&MARK) };
    if let Some(v) = M.get_ptr_mut(&1) {
        let (_, ok) = unsafe { atomic_cxchg::<u64, { O::SeqCst }, { O::SeqCst }>(core::ptr::addr_of_mut!((*v).v), 0, 1) };
        if !ok { return 2; }
        unsafe { atomic_xadd::<u64, u64, { O::Relaxed }>(core::ptr::addr_of_mut!((*v).v), c.n) };
        unsafe { core::ptr::write_volatile(core::ptr::addr_of_mut!((*v).v), 0) };
    }
    m as i32
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
