//! `bpf(2)` where a program is run without its loader: an empty program, how long a run took, and runs on several CPUs.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::site::{SKB_CONTEXT, SKB_MARK};

/// `enum bpf_cmd` in linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const PROG_TEST_RUN: libc::c_int = 10;

/// `enum bpf_prog_type` in linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    Tc = 3,
    Xdp = 6,
}

/// Room for `union bpf_attr`; what a command does not use must be zero.
#[repr(C, align(8))]
struct Attr([u32; 32]);

impl Attr {
    fn put_u64(&mut self, word: usize, value: u64) {
        let (low, high) = (value as u32, (value >> 32) as u32);
        let words = if cfg!(target_endian = "little") { [low, high] } else { [high, low] };
        self.0[word..word + 2].copy_from_slice(&words);
    }
}

fn bpf(command: libc::c_int, attr: &mut Attr) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are as large as announced, and each caller keeps what they point to alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<Attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Loads a program that only returns this.
pub(crate) fn load_empty(kind: Kind, returned: u32) -> io::Result<OwnedFd> {
    // `r0 = returned; exit`, as in Documentation/bpf/standardization/instruction-set.rst.
    let program = [u64::from(returned) << 32 | 0xb7, 0x95].map(u64::to_le);
    let license = c"GPL";
    let mut attr = Attr([0; 32]);
    attr.0[0] = kind as u32;
    attr.0[1] = program.len() as u32;
    attr.put_u64(2, program.as_ptr() as u64);
    attr.put_u64(4, license.as_ptr() as u64);
    let fd = bpf(PROG_LOAD, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// What a program said, and how long one run of it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) action: u32,
    pub(crate) ns: u32,
}

/// Runs a program on a frame, with a context or the one that the kernel makes up.
pub(crate) fn run(program: BorrowedFd<'_>, frame: &[u8], context: &[u8], repeat: u32) -> io::Result<Ran> {
    let mut attr = Attr([0; 32]);
    attr.0[0] = program.as_raw_fd().cast_unsigned();
    attr.0[2] = frame.len() as u32;
    attr.put_u64(4, frame.as_ptr() as u64);
    attr.0[8] = repeat;
    if !context.is_empty() {
        attr.0[10] = context.len() as u32;
        attr.put_u64(12, context.as_ptr() as u64);
    }
    bpf(PROG_TEST_RUN, &mut attr)?;
    Ok(Ran { action: attr.0[1], ns: attr.0[9] })
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) action: u32,
    pub(crate) mark: u32,
    pub(crate) frame: Vec<u8>,
}

/// Runs a TC program on a frame.
pub(crate) fn judge(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<Judged> {
    let mut out = vec![0; frame.len() + 256];
    let (context_in, mut context) = ([0_u8; SKB_CONTEXT], [0_u8; SKB_CONTEXT]);
    let mut attr = Attr([0; 32]);
    attr.0[0] = program.as_raw_fd().cast_unsigned();
    attr.0[2] = frame.len() as u32;
    attr.0[3] = out.len() as u32;
    attr.put_u64(4, frame.as_ptr() as u64);
    attr.put_u64(6, out.as_mut_ptr() as u64);
    attr.0[8] = 1;
    (attr.0[10], attr.0[11]) = (SKB_CONTEXT as u32, SKB_CONTEXT as u32);
    attr.put_u64(12, context_in.as_ptr() as u64);
    attr.put_u64(14, context.as_mut_ptr() as u64);
    bpf(PROG_TEST_RUN, &mut attr)?;
    out.truncate(attr.0[3] as usize);
    let mark = context[SKB_MARK..SKB_MARK + 4].try_into().map_or(0, u32::from_ne_bytes);
    Ok(Judged { action: attr.0[1], mark, frame: out })
}
