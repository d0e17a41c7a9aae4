//! A socket that hears a multicast group on one link, and speaks to it there.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, IpMembershipRequest, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket,
    sockopt::{IpAddMembership, IpMulticastTtl, ReuseAddr},
};

use super::listen::set;

/// Joins a group at the link that has this address. Others on this machine may listen at the same port.
pub fn join(group: Ipv4Addr, port: u16, here: Ipv4Addr) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    // Only what is for the group arrives, and only from the link where it was joined.
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(group, port)))?;
    set(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, &0_i32)?;
    setsockopt(&socket, IpAddMembership, &IpMembershipRequest::new(group, Some(here)))?;
    let interface = libc::in_addr { s_addr: u32::from_ne_bytes(here.octets()) };
    set(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &interface)?;
    setsockopt(&socket, IpMulticastTtl, &255)?;
    Ok(socket.into())
}
