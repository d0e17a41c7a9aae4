//! Copies of frames at a port: what devices tell everyone (DHCP, multicast DNS, SSDP), or all of one device. Nothing is
//! sent, and nothing is held up.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use firewall_common::wire::frame::ethertype;
use nix::sys::socket::{MsgFlags, recv};

/// Longest frame that is taken, and most bytes that wait to be taken.
const FRAME_CAP: usize = 2_304;
const WAITING: libc::c_int = 128 << 10;

/// Where the filter looks (`struct sock_filter`; offsets are those of an Ethernet frame without a tag, which the kernel
/// has taken off by then).
const DIRECTION: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();
const OUTGOING: u32 = libc::PACKET_OUTGOING as u32;
const UDP: u32 = libc::IPPROTO_UDP as u32;
const DHCP: u32 = 67;
const MDNS: u32 = 5_353;
const SSDP: u32 = 1_900;
/// Offset of a fragment of IPv4.
const FRAGMENT: u32 = 0x1fff;

/// One port.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Listener {
    /// Begins to listen to what is told everyone at the interface with this number.
    pub fn new(ifindex: u32) -> io::Result<Self> {
        Self::with(ifindex, &mut told_everyone())
    }

    /// Begins to listen to what a device sends and gets at this interface.
    pub fn to_device(ifindex: u32, mac: [u8; 6]) -> io::Result<Self> {
        Self::with(ifindex, &mut from_and_to(mac))
    }

    fn with(ifindex: u32, filter: &mut [libc::sock_filter]) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: takes three numbers. Without a protocol it hears nothing before it is bound.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &WAITING)?;
        // SAFETY: a structure of numbers, for which all zeros are a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = ifindex.cast_signed();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is alive and has this length.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket, buffer: vec![0; FRAME_CAP] })
    }

    /// The next frame that waits; `None` if there is none.
    pub fn frame(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(length) => return Ok(self.buffer.get(..length)),
                Err(nix::Error::EAGAIN) => return Ok(None),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sets an option of a socket, whose value must have the layout that the option asks for.
pub(super) fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let (socket, length) = (socket.as_raw_fd(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the value is alive and has this length.
    let done = unsafe { libc::setsockopt(socket, level, option, std::ptr::from_ref(value).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Where the filter goes on.
mod to {
    pub(super) const IPV6: usize = 10;
    pub(super) const PORTS: usize = 14;
    pub(super) const TAKE: usize = 20;
    pub(super) const LEAVE: usize = 21;
}

/// Passes what comes in, is UDP, no fragment, and goes to DHCP, multicast DNS or SSDP, or comes from SSDP.
fn told_everyone() -> [libc::sock_filter; 22] {
    let load = |size: u32, mode: u32, at: u32| step(libc::BPF_LD | size | mode, 0, 0, at);
    let (byte, half) = (libc::BPF_B, libc::BPF_H);
    let (at, behind) = (libc::BPF_ABS, libc::BPF_IND);
    [
        load(byte, at, DIRECTION),
        is(1, OUTGOING, to::LEAVE, 2),
        load(half, at, 12),
        is(3, u32::from(ethertype::IPV4), 4, to::IPV6),
        load(byte, at, 23),
        is(5, UDP, 6, to::LEAVE),
        load(half, at, 20),
        jump(7, libc::BPF_JSET, FRAGMENT, to::LEAVE, 8),
        step(libc::BPF_LDX | byte | libc::BPF_MSH, 0, 0, 14),
        step(libc::BPF_JMP | libc::BPF_JA, 0, 0, to::PORTS as u32 - 10),
        is(to::IPV6, u32::from(ethertype::IPV6), 11, to::LEAVE),
        load(byte, at, 20),
        is(12, UDP, 13, to::LEAVE),
        // The header of IPv6; what has another one behind it is left.
        step(libc::BPF_LDX | libc::BPF_IMM, 0, 0, 40),
        load(half, behind, 16),
        is(15, DHCP, to::TAKE, 16),
        is(16, MDNS, to::TAKE, 17),
        is(17, SSDP, to::TAKE, 18),
        load(half, behind, 14),
        is(19, SSDP, to::TAKE, to::LEAVE),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, FRAME_CAP as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

/// Passes what comes from a MAC or goes to it.
fn from_and_to(mac: [u8; 6]) -> [libc::sock_filter; 10] {
    const TO: usize = 4;
    const TAKE: usize = 8;
    const LEAVE: usize = 9;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let (first, last) = (number(&mac[..4]), number(&mac[4..]));
    let load = |size: u32, at: u32| step(libc::BPF_LD | size | libc::BPF_ABS, 0, 0, at);
    [
        load(libc::BPF_W, 6),
        is(1, first, 2, TO),
        load(libc::BPF_H, 10),
        is(3, last, TAKE, TO),
        load(libc::BPF_W, 0),
        is(5, first, 6, LEAVE),
        load(libc::BPF_H, 4),
        is(7, last, TAKE, LEAVE),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, FRAME_CAP as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

/// Whether the last value is this one: where to go on from this place.
const fn is(here: usize, value: u32, yes: usize, no: usize) -> libc::sock_filter {
    jump(here, libc::BPF_JEQ, value, yes, no)
}

/// Jumps are counted from the instruction behind this one, and lead forward.
const fn jump(here: usize, how: u32, value: u32, yes: usize, no: usize) -> libc::sock_filter {
    let (yes, no) = ((yes - here - 1) as u8, (no - here - 1) as u8);
    step(libc::BPF_JMP | how | libc::BPF_K, yes, no, value)
}

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
