//! A TCP client in user space that sends what no operating system would: it decides about every segment, packet and frame.
//!
//! Its frames leave through a packet socket with the device's own addresses; the kernel of the device does not see the
//! answers, so it resets nothing.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::AsRawFd,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt::ReceiveTimeout,
        },
        time::{TimeVal, TimeValLike},
    },
};

use crate::{
    mqtt::IpVersion,
    net::Namespace,
    service,
    site::{Device, Site, Topology},
};

/// Ports that belong to clients in user space; Linux gives its own clients higher ones.
const PORTS: std::ops::Range<u16> = 21_000..22_000;
/// How long the other side may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this long without an answer a segment is sent again.
const AGAIN: Duration = Duration::from_millis(100);
/// So long nothing is acknowledged on a connection that is not going on.
const SILENCE: Duration = Duration::from_millis(1_500);
const SEGMENT: usize = 1_400;
/// Bytes on the way at once, unless told otherwise.
const FLIGHT: usize = 32 * SEGMENT;

/// Number of the protocol.
pub const TCP: u8 = 6;

/// TCP flags (RFC 9293, section 3.1).
pub mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// What became of bytes that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of them were acknowledged.
    Acknowledged,
    /// The connection was ended by the other side, or by the firewall in its name.
    Ended,
    /// Nobody answers.
    Silence,
}

/// A segment, complete but for its ports and checksum.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub seq: u32,
    pub flags: u8,
    /// Offset behind the urgent byte (RFC 6093).
    pub urgent: u16,
    /// TCP options, in words of four bytes.
    pub options: &'a [u8],
    pub payload: &'a [u8],
}

/// A connection to the broker.
#[derive(Debug)]
pub struct RawTcp {
    socket: File,
    macs: [[u8; 6]; 2],
    src: IpAddr,
    dst: IpAddr,
    port: u16,
    /// The next byte that we send, and what the other side has acknowledged.
    next: u32,
    acknowledged: u32,
    /// The next byte that we expect.
    expected: u32,
    received: Vec<u8>,
    ended: bool,
    /// Time to live of what is sent, and options of its IPv4 header.
    pub ttl: u8,
    pub ip_options: Vec<u8>,
    /// Most bytes on the way at once.
    pub flight: usize,
    /// Our time on every segment (RFC 7323), if this is asked for before the handshake, and the other side's last one.
    pub clock: Option<u32>,
    peer_clock: u32,
}

impl RawTcp {
    /// Prepares a connection from a device to the broker, without sending anything.
    pub fn new(site: &Site, device: Device, version: IpVersion) -> Result<Self> {
        let namespace = site.namespace(device);
        keep_from_kernel(&namespace)?;
        let socket = namespace.enter(|| packet_socket("eth0"))?;
        let next_hop = match site.topology() {
            Topology::Routed | Topology::Masqueraded => device.port_mac(),
            Topology::Bridged => Device::Hub.mac(),
        };
        let (src, dst) = match version {
            IpVersion::V4 => (IpAddr::from(site.address(device)), IpAddr::from(site.address(Device::Hub))),
            IpVersion::V6 => (site.address_v6(device).into(), site.address_v6(Device::Hub).into()),
        };
        // As every device does, it first asks for the hardware address of its next hop.
        let broker = SocketAddr::from((dst, service::BROKER_PORT));
        namespace.enter(|| {
            TcpStream::connect_timeout(&broker, PATIENCE).context("the broker cannot be reached")?;
            Ok(())
        })?;
        let port = free_port();
        let start = u32::from(port) << 16;
        Ok(Self {
            socket,
            macs: [mac(&next_hop)?, mac(&device.mac())?],
            src,
            dst,
            port,
            next: start,
            acknowledged: start,
            expected: 0,
            received: Vec::new(),
            ended: false,
            ttl: 64,
            ip_options: Vec::new(),
            flight: FLIGHT,
            clock: None,
            peer_clock: 0,
        })
    }

    /// Shakes hands.
    pub fn open(&mut self) -> Result<()> {
        self.open_with(&[])
    }

    /// As [`RawTcp::open`], with data on the first SYN. They are not counted as sent.
    pub fn open_with(&mut self, data: &[u8]) -> Result<()> {
        let start = self.next;
        self.next = start.wrapping_add(1);
        let deadline = Instant::now() + PATIENCE;
        let mut payload = data;
        while self.acknowledged != self.next {
            ensure!(Instant::now() < deadline && !self.ended, "nobody accepts the connection");
            let mss = [2, 4, (SEGMENT >> 8) as u8, SEGMENT as u8];
            self.send(&Segment { seq: start, flags: flag::SYN, urgent: 0, options: &mss, payload })?;
            payload = &[];
            self.listen(AGAIN, |client| client.acknowledged == client.next || client.ended)?;
        }
        self.acknowledge()
    }

    /// Port on our side.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Sequence number of the next byte.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Data at this sequence number, as one segment that nothing is wrong with.
    pub const fn data<'a>(&self, seq: u32, payload: &'a [u8]) -> Segment<'a> {
        Segment { seq, flags: flag::ACK | flag::PSH, urgent: 0, options: &[], payload }
    }

    /// Sends a segment once and forgets it.
    pub fn send(&mut self, segment: &Segment<'_>) -> Result<()> {
        let packet = self.packet(TCP, &self.segment(segment));
        self.send_packet(&packet)
    }

    /// Sends a packet of either version of IP.
    pub fn send_packet(&mut self, packet: &[u8]) -> Result<()> {
        let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let ethertype: u16 = if is_v4 { 0x0800 } else { 0x86dd };
        let frame = [&self.macs[0][..], &self.macs[1], &ethertype.to_be_bytes(), packet].concat();
        self.send_frame(&frame)
    }

    /// Sends a packet with VLAN tags, the outer one first.
    pub fn send_tagged(&mut self, tags: &[[u8; 4]], packet: &[u8]) -> Result<()> {
        let ethertype: u16 = if self.src.is_ipv4() { 0x0800 } else { 0x86dd };
        let frame =
            [&self.macs[0][..], &self.macs[1], &tags.concat(), &ethertype.to_be_bytes(), packet].concat();
        self.send_frame(&frame)
    }

    fn send_frame(&mut self, frame: &[u8]) -> Result<()> {
        match self.socket.write(frame) {
            // What gets lost at our own end of the cable is lost as well.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            Err(error) => Err(error).context("cannot send a frame"),
            Ok(written) => {
                ensure!(written == frame.len(), "a frame was cut");
                Ok(())
            }
        }
    }

    /// The bytes of a segment, with the right checksum.
    pub fn segment(&self, segment: &Segment<'_>) -> Vec<u8> {
        let options = [segment.options, &self.timestamps()].concat();
        let mut bytes = Vec::new();
        bytes.extend(self.port.to_be_bytes());
        bytes.extend(service::BROKER_PORT.to_be_bytes());
        bytes.extend(segment.seq.to_be_bytes());
        let acknowledges = segment.flags & flag::ACK != 0;
        bytes.extend(if acknowledges { self.expected } else { 0 }.to_be_bytes());
        bytes.push((((20 + options.len()) / 4) << 4) as u8);
        bytes.push(segment.flags);
        bytes.extend(u16::MAX.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(segment.urgent.to_be_bytes());
        bytes.extend(options);
        bytes.extend(segment.payload);
        let mut summed = Vec::new();
        push_address(&mut summed, self.src);
        push_address(&mut summed, self.dst);
        summed.extend((bytes.len() as u32).to_be_bytes());
        summed.extend([0, 0, 0, 6]);
        summed.extend(&bytes);
        let sum = checksum(&summed);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The option with both clocks (RFC 7323, section 3.2).
    fn timestamps(&self) -> Vec<u8> {
        let Some(clock) = self.clock else { return Vec::new() };
        [[1, 1, 8, 10], clock.to_be_bytes(), self.peer_clock.to_be_bytes()].concat()
    }

    /// A packet around a payload of this protocol.
    pub fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        if self.src.is_ipv4() {
            return self.fragment(0, false, payload);
        }
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([protocol, self.ttl]);
        push_address(&mut bytes, self.src);
        push_address(&mut bytes, self.dst);
        bytes.extend(payload);
        bytes
    }

    /// A part of an IPv4 packet that begins at this offset.
    pub fn fragment(&self, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.ip_options.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, 0];
        bytes.extend(((header + payload.len()) as u16).to_be_bytes());
        // All parts of a packet have the same number, and no two packets of a connection may be taken for one.
        bytes.extend((self.next as u16).to_be_bytes());
        let whole = offset == 0 && !more;
        let flags = if whole { 0x4000 } else { (offset / 8) as u16 | if more { 0x2000 } else { 0 } };
        bytes.extend(flags.to_be_bytes());
        bytes.extend([self.ttl, TCP, 0, 0]);
        push_address(&mut bytes, self.src);
        push_address(&mut bytes, self.dst);
        bytes.extend(&self.ip_options);
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Counts bytes as sent and repeats them until they are acknowledged.
    pub fn deliver(&mut self, bytes: &[u8]) -> Result<Fate> {
        let start = self.next;
        self.next = start.wrapping_add(bytes.len() as u32);
        let mut quiet_since = Instant::now();
        let (mut sent, mut sent_at) = (0, Instant::now());
        loop {
            let done = self.acknowledged.wrapping_sub(start) as usize;
            if done == bytes.len() {
                return Ok(Fate::Acknowledged);
            }
            if self.ended {
                return Ok(Fate::Ended);
            }
            if sent_at.elapsed() > AGAIN {
                sent = done;
            }
            while sent < bytes.len() && sent < done + self.flight {
                let end = bytes.len().min(sent + SEGMENT);
                let segment = self.data(start.wrapping_add(sent as u32), &bytes[sent..end]);
                self.send(&segment)?;
                (sent, sent_at) = (end, Instant::now());
            }
            let before = self.acknowledged;
            self.listen(AGAIN, |client| client.acknowledged != before || client.ended)?;
            if self.acknowledged != before {
                quiet_since = Instant::now();
                sent = sent.max(self.acknowledged.wrapping_sub(start) as usize);
            } else if quiet_since.elapsed() > SILENCE {
                return Ok(Fate::Silence);
            }
        }
    }

    /// Waits until the other side has sent this many bytes in all.
    pub fn receive(&mut self, count: usize) -> Result<&[u8]> {
        let deadline = Instant::now() + PATIENCE;
        while self.received.len() < count {
            if self.ended || Instant::now() > deadline {
                bail!("{} of {count} bytes have come; ended: {}", self.received.len(), self.ended);
            }
            self.listen(AGAIN, |client| client.received.len() >= count || client.ended)?;
        }
        Ok(&self.received)
    }

    /// Everything that the other side has sent, after a while of listening.
    pub fn received(&mut self) -> Result<&[u8]> {
        self.listen(AGAIN, |client| client.ended)?;
        Ok(&self.received)
    }

    /// Whether the connection was ended, after a while of listening.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.listen(AGAIN, |client| client.ended)?;
        Ok(self.ended)
    }

    fn acknowledge(&mut self) -> Result<()> {
        let segment = Segment { seq: self.next, flags: flag::ACK, urgent: 0, options: &[], payload: &[] };
        self.send(&segment)
    }

    /// Takes frames until a condition holds, at most this long.
    fn listen(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut buffer = vec![0; 1 << 16];
        while !holds(self) && Instant::now() < deadline {
            match self.socket.read(&mut buffer) {
                Ok(length) => self.take(&buffer[..length])?,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("cannot receive a frame"),
            }
        }
        Ok(())
    }

    /// Takes a frame, if it is for this connection.
    fn take(&mut self, frame: &[u8]) -> Result<()> {
        let Some(Heard { seq, ack, flags, clock, payload }) = self.understand(frame) else { return Ok(()) };
        self.peer_clock = clock.unwrap_or(self.peer_clock);
        if flags & flag::RST != 0 {
            self.ended = true;
            return Ok(());
        }
        if flags & flag::SYN != 0 {
            self.expected = seq.wrapping_add(1);
        }
        if flags & flag::ACK != 0 && (ack.wrapping_sub(self.acknowledged).cast_signed()) > 0 {
            self.acknowledged = ack;
        }
        let new = seq == self.expected && !payload.is_empty();
        if new {
            self.received.extend(payload);
            self.expected = self.expected.wrapping_add(payload.len() as u32);
        }
        let finished = flags & flag::FIN != 0 && seq.wrapping_add(payload.len() as u32) == self.expected;
        if finished {
            self.expected = self.expected.wrapping_add(1);
            self.ended = true;
        }
        if !payload.is_empty() || finished { self.acknowledge() } else { Ok(()) }
    }

    /// Reads a segment, if it is for this connection.
    fn understand<'a>(&self, frame: &'a [u8]) -> Option<Heard<'a>> {
        let packet = frame.get(14..)?;
        let segment = match (frame.get(12..14)?, self.dst) {
            ([0x08, 0x00], IpAddr::V4(peer)) => {
                let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
                let header = usize::from(packet[0] & 15) * 4;
                let ours = packet.get(9) == Some(&6) && packet.get(12..16)? == peer.octets();
                ours.then(|| packet.get(header..total))??
            }
            ([0x86, 0xdd], IpAddr::V6(peer)) => {
                let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
                let ours = packet.get(6) == Some(&6) && packet.get(8..24)? == peer.octets();
                ours.then(|| packet.get(40..40 + length))??
            }
            _ => return None,
        };
        let long = |at: usize| Some(u32::from_be_bytes(segment.get(at..at + 4)?.try_into().ok()?));
        if segment.get(2..4)? != self.port.to_be_bytes() {
            return None;
        }
        let header = usize::from(segment.get(12)? >> 4) * 4;
        // Linux puts it first, behind two bytes of nothing, or behind the option of the largest segment.
        let options = segment.get(20..header)?;
        let clock = options.windows(6).find(|window| window[..2] == [8, 10]).map(|window| &window[2..]);
        let clock = clock.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let payload = segment.get(header..)?;
        Some(Heard { seq: long(4)?, ack: long(8)?, flags: *segment.get(13)?, clock, payload })
    }
}

/// A segment of the other side.
struct Heard<'a> {
    seq: u32,
    ack: u32,
    flags: u8,
    clock: Option<u32>,
    payload: &'a [u8],
}

/// A port of ours that no connection has had lately.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start)
}

/// Keeps the answers to clients in user space from the kernel of their namespace, which would reset them.
pub fn keep_from_kernel(namespace: &Namespace) -> Result<()> {
    let (first, last) = (PORTS.start, PORTS.end - 1);
    namespace.nft(&format!(
        "table inet raw_client {{}}\ndelete table inet raw_client\ntable inet raw_client {{\n chain in {{\n  \
         type filter hook input priority -300;\n  tcp dport {first}-{last} drop\n }}\n}}\n"
    ))
}

/// A socket for whole frames of an interface of this namespace.
pub(crate) fn packet_socket(interface: &str) -> Result<File> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("cannot make a packet socket")?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: if_nametoindex(interface)?.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the address is a packet address of the length that is given.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if bound != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot bind a packet socket");
    }
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(10))?;
    Ok(File::from(socket))
}

fn mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()
        .with_context(|| format!("not a hardware address: {text}"))?;
    bytes.try_into().map_err(|_| anyhow::anyhow!("not a hardware address: {text}"))
}

fn push_address(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => bytes.extend(address.octets()),
        IpAddr::V6(address) => bytes.extend(address.octets()),
    }
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), 0x00ff);
    }
}
