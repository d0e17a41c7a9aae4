//! The far end of a tunnel, for packets that were wrapped to get past somebody.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, ensure};

use crate::{
    net::Namespace,
    raw::{self, checksum},
};

/// Name of the interface on which packets come out.
const INTERFACE: &str = "edtunnel";
/// Port of Teredo (RFC 4380, section 5.2).
const TEREDO: u16 = 3_544;
const IPV4_HEADER: usize = 20;

/// How a packet is wrapped in one of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// IP in IP (RFC 2003), or 6in4 (RFC 4213).
    Ip,
    /// GRE without a key (RFC 2784).
    Gre,
    /// IPv6 in UDP, as Teredo does.
    Udp,
}

impl Wrapping {
    /// Wraps a packet, between these addresses.
    pub fn wrap(self, inner: &[u8], from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let is_v4 = inner.first().is_some_and(|first| first >> 4 == 4);
        let ethertype: u16 = if is_v4 { 0x0800 } else { 0x86dd };
        let (protocol, head) = match self {
            Self::Ip => (if is_v4 { 4 } else { 41 }, Vec::new()),
            Self::Gre => (47, [[0, 0], ethertype.to_be_bytes()].concat()),
            Self::Udp => {
                let length = (8 + inner.len()) as u16;
                // Without a checksum (RFC 768).
                (17, [TEREDO.to_be_bytes(), TEREDO.to_be_bytes(), length.to_be_bytes(), [0; 2]].concat())
            }
        };
        let total = (IPV4_HEADER + head.len() + inner.len()) as u16;
        let [high, low] = total.to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 7, 0, 0, 64, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(head);
        packet.extend(inner);
        packet
    }
}

/// What was wrapped, if the packet is one of [`Wrapping`].
fn unwrap(packet: &[u8]) -> Option<&[u8]> {
    let payload = packet.get(usize::from(packet.first()? & 15) * 4..)?;
    match packet.get(9)? {
        4 | 41 => Some(payload),
        47 => payload.get(4..),
        17 if payload.get(2..4)? == TEREDO.to_be_bytes() => payload.get(8..),
        _ => None,
    }
}

/// While it lives, what reaches the namespace in a tunnel is unwrapped there.
#[derive(Debug)]
pub struct Exit {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<Result<()>>>,
}

impl Exit {
    pub fn open(namespace: &Namespace) -> Result<Self> {
        let (packets, inside) = namespace.enter(|| Ok((raw::packet_socket("eth0")?, interface()?)))?;
        namespace.ip(&format!("link set {INTERFACE} up\n"))?;
        // What comes out has the address of somebody who lives elsewhere.
        let lax = ["all", INTERFACE].map(|name| format!("net.ipv4.conf.{name}.rp_filter=0"));
        namespace.sysctl(&lax.each_ref().map(String::as_str))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worker = Some(thread::spawn(move || carry(packets, inside, &stopped)));
        Ok(Self { stop, worker })
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(error)) = self.worker.take().and_then(|worker| worker.join().ok()) {
            eprintln!("the tunnel's exit: {error:#}");
        }
    }
}

fn carry(mut packets: File, mut inside: File, stopped: &AtomicBool) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    while !stopped.load(Ordering::Relaxed) {
        let length = match packets.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(error).context("cannot receive a frame"),
        };
        let is_ipv4 = buffer.get(12..14) == Some(&[0x08, 0x00]);
        if let Some(inner) = buffer.get(14..length).filter(|_| is_ipv4).and_then(unwrap) {
            // What is no packet at all is refused.
            let _ = inside.write(inner);
        }
    }
    Ok(())
}

/// An interface whose packets come from us.
fn interface() -> Result<File> {
    /// `struct ifreq` (netdevice(7)), as far as it is used here.
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        flags: libc::c_short,
        rest: [u8; 22],
    }

    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun").context("no /dev/net/tun")?;
    let mut request =
        Request { name: [0; 16], flags: (libc::IFF_TUN | libc::IFF_NO_PI) as i16, rest: [0; 22] };
    request.name[..INTERFACE.len()].copy_from_slice(INTERFACE.as_bytes());
    // SAFETY: the request is a whole `ifreq` that lives during the call.
    let made = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    ensure!(made == 0, "cannot make an interface: {}", std::io::Error::last_os_error());
    Ok(tun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_out() {
        for wrapping in [Wrapping::Ip, Wrapping::Gre, Wrapping::Udp] {
            for inner in [[0x45; 30], [0x60; 30]] {
                let outer = wrapping.wrap(&inner, [10, 0, 0, 1], [10, 0, 0, 2]);
                assert_eq!(unwrap(&outer), Some(&inner[..]), "{wrapping:?}");
                assert_eq!(checksum(&outer[..20]), 0);
            }
        }
        assert_eq!(unwrap(&[0x45; 40]), None);
        assert_eq!(unwrap(&[]), None);
    }
}
