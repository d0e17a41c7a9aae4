//! The few requests of rtnetlink that are needed: dump links, dump addresses, hear of changes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Address, Link};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// `struct ifinfomsg`, up to its attributes.
const LINK_HEADER: usize = 16;
/// `struct ifaddrmsg`, up to its attributes.
const ADDRESS_HEADER: usize = 8;

/// Dumps all interfaces.
pub(super) fn links() -> io::Result<Vec<Link>> {
    let mut links = Vec::new();
    dump(libc::RTM_GETLINK, LINK_HEADER, |body| links.extend(link(body)))?;
    Ok(links)
}

/// Dumps all addresses.
pub(super) fn addresses() -> io::Result<Vec<Address>> {
    let mut addresses = Vec::new();
    dump(libc::RTM_GETADDR, ADDRESS_HEADER, |body| addresses.extend(address(body)))?;
    Ok(addresses)
}

/// Tells that interfaces or addresses have changed, not how.
pub struct Changes {
    socket: AsyncFd<OwnedFd>,
}

impl Changes {
    pub fn listen() -> io::Result<Self> {
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        let socket = open(SockFlag::SOCK_NONBLOCK, groups.cast_unsigned())?;
        // SAFETY: the descriptor is owned, so it stays open as long as its registration.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self { socket })
    }

    /// Waits for a change and forgets all that are there.
    pub async fn next(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            let mut guard = self.socket.readable().await?;
            let mut heard = false;
            loop {
                match recv(guard.get_inner().as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                    // ENOBUFS: more changes than fit, which is a change.
                    Ok(_) | Err(nix::Error::ENOBUFS) => heard = true,
                    Err(nix::Error::EAGAIN) => break,
                    Err(nix::Error::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            guard.clear_ready();
            if heard {
                return Ok(());
            }
        }
    }
}

fn open(flags: SockFlag, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

fn dump(request: u16, body_length: usize, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let socket = open(SockFlag::empty(), 0)?;
    let length = HEADER + body_length;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut message = vec![0; length];
    message[..4].copy_from_slice(&(length as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&request.to_ne_bytes());
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;

    let mut buffer = vec![0; 64 * 1024];
    loop {
        let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = buffer.get(..received).unwrap_or_default();
        while let Some((kind, body, next)) = split_message(rest) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => return Err(refusal(body)),
                _ => each(body),
            }
            rest = next;
        }
    }
}

/// The first message: its type, its body, and what follows it.
fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    let kind = u16_at(bytes, 4)?;
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn refusal(body: &[u8]) -> io::Error {
    let code = u32_at(body, 0).map_or(libc::EPROTO, |code| code.cast_signed().wrapping_neg());
    io::Error::from_raw_os_error(code)
}

fn link(body: &[u8]) -> Option<Link> {
    let ifindex = u32_at(body, 4)?;
    let mut name = None;
    let mut master = None;
    for (kind, value) in attributes(body.get(LINK_HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => name = value.split(|&byte| byte == 0).next(),
            libc::IFLA_MASTER => master = u32_at(value, 0),
            _ => {}
        }
    }
    Some(Link { ifindex, name: String::from_utf8_lossy(name?).into_owned(), master })
}

fn address(body: &[u8]) -> Option<Address> {
    let prefix_length = *body.get(1)?;
    let ifindex = u32_at(body, 4)?;
    let mut peer = None;
    let mut local = None;
    for (kind, value) in attributes(body.get(ADDRESS_HEADER..)?) {
        match kind {
            libc::IFA_ADDRESS => peer = ip(value),
            libc::IFA_LOCAL => local = ip(value),
            _ => {}
        }
    }
    // On a point-to-point interface IFA_ADDRESS is the other end; IPv6 has no IFA_LOCAL elsewhere.
    Some(Address { ifindex, ip: local.or(peer)?, prefix_length })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// Type and value of each attribute.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16_at(bytes, 0)? as usize;
        let kind = u16_at(bytes, 2)?;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_box_has_a_loopback() {
        let links = links().unwrap();
        let loopback = links.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!(loopback.master, None);
        let ours = |address: &Address| address.ifindex == loopback.ifindex && address.ip.is_loopback();
        assert!(addresses().unwrap().iter().any(ours));
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        assert_eq!(attributes(&[3, 0, 1, 0, 9, 9]).count(), 0);
        assert_eq!(attributes(&[200, 0, 1, 0]).count(), 0);
        assert_eq!(split_message(&[8, 0, 0, 0, 1, 0, 0, 0]), None);
    }
}
