//! Which protocol a datagram speaks: by its first bytes, and by its port where these are nothing special.
//!
//! CoAP is not told here: its four bytes of header say too little, so it is looked for where it may be spoken only, and
//! its own machine has the last word ([`may_be_coap`]).

use crate::abi::Protocol;
use crate::wire::{Bytes, Sender, dtls, ntp, quic};

/// Ports that stand for a protocol (IANA).
const NTP: u16 = 123;
const MDNS: u16 = 5353;
const COAP: u16 = 5683;

/// Header of DNS (RFC 1035, section 4.1.1), and what follows a name: type and class.
const DNS_HEADER: u32 = 12;
const DNS_BEHIND: u32 = 4;
/// Flags of DNS that must be zero: the operation, and the reserved bit.
const DNS_FORBIDDEN: u16 = 0x7840;
const DNS_RESPONSE: u16 = 0x8000;
/// Most questions and most records of a message between many; most additional records of a question.
const DNS_QUESTIONS: u16 = 16;
const DNS_RECORDS: u32 = 128;
const DNS_ADDITIONAL: u16 = 2;
/// Most labels of a name: the reverse of an address of IPv6 has 34.
const DNS_LABELS: u32 = 40;
/// Classes: the Internet, and any. The top bit says something else in multicast DNS (RFC 6762, sections 5.4 and 10.2).
const DNS_IN: u16 = 1;
const DNS_ANY: u16 = 255;
const DNS_TOP: u16 = 0x8000;

/// First bytes of the three lines that begin a message of SSDP.
const SEARCH: [u64; 2] = [u64::from_be_bytes(*b"M-SEARCH"), u64::from_be_bytes(*b" * HTTP/")];
const NOTIFY: [u64; 2] = [u64::from_be_bytes(*b"NOTIFY *"), u64::from_be_bytes(*b" HTTP/1.")];
const FOUND: [u64; 2] = [u64::from_be_bytes(*b"HTTP/1.1"), u64::from_be_bytes(*b" 200 OK\r")];

/// Where a datagram is in its frame, and what is known of its flow.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// First byte behind the header of UDP, and how many there are.
    pub at: u32,
    pub length: u32,
    /// Port of who did not open the flow.
    pub port: u16,
    pub sender: Sender,
}

impl Datagram {
    /// What the datagram speaks, as the first one of its flow; [`Protocol::Opaque`] if that is not known.
    #[inline(always)]
    pub fn recognise(&self, bytes: &impl Bytes) -> Protocol {
        if let Ok(quic) = quic::parse(bytes, self.at, self.length)
            && quic::opens(quic, self.length)
        {
            return Protocol::Quic;
        }
        if self.is_dtls(bytes) {
            return Protocol::Dtls;
        }
        if self.is_ssdp(bytes) {
            return Protocol::Ssdp;
        }
        if self.is_dns(bytes) {
            return Protocol::Dns;
        }
        if self.port == NTP && self.is_ntp(bytes) { Protocol::Ntp } else { Protocol::Opaque }
    }

    /// Whether it may be the next datagram of a flow that speaks this.
    #[inline(always)]
    pub fn goes_on(&self, bytes: &impl Bytes, protocol: Protocol) -> bool {
        match protocol {
            // Until the server has answered: see `ends_what_is_read`.
            Protocol::Quic => quic::parse(bytes, self.at, self.length).is_ok(),
            Protocol::Dtls => self.is_dtls(bytes) || self.is_unified(bytes),
            Protocol::Ssdp => self.is_ssdp(bytes),
            Protocol::Dns => self.is_dns(bytes),
            Protocol::Ntp => self.is_ntp(bytes),
            Protocol::Opaque
            | Protocol::Mqtt
            | Protocol::Http
            | Protocol::Tls
            | Protocol::Modbus
            | Protocol::Coap
            | Protocol::Websocket => false,
        }
    }

    /// Whether nothing of what follows in such a flow can be read: both ends of QUIC have shown themselves, and the short
    /// headers of what comes then look like anything (RFC 9000, section 17.3).
    #[inline(always)]
    pub fn ends_what_is_read(&self, protocol: Protocol) -> bool {
        matches!(protocol, Protocol::Quic) && matches!(self.sender, Sender::Server)
    }

    /// Whether its first bytes are those of a CoAP message of its sender (RFC 7252, section 3), at a port where that is
    /// spoken.
    #[inline(always)]
    pub fn may_be_coap(&self, bytes: &impl Bytes, speaks: u16) -> bool {
        let expected = speaks & Protocol::Coap.bit() != 0 || speaks == 0 && self.port == COAP;
        if !expected || self.length < 4 {
            return false;
        }
        let Some([first, code]) = bytes.load::<2>(self.at) else { return false };
        let class = code >> 5;
        let fits = match self.sender {
            Sender::Client => class == 0,
            Sender::Server => matches!(class, 0 | 2 | 4 | 5),
        };
        first >> 6 == 1 && first & 0x0f <= 8 && fits
    }

    #[inline(always)]
    fn is_dtls(&self, bytes: &impl Bytes) -> bool {
        dtls::parse(bytes, self.at, self.length).is_ok()
    }

    /// A record of DTLS 1.3 (RFC 9147, section 4), of which little can be seen: never the first of a flow.
    #[inline(always)]
    fn is_unified(&self, bytes: &impl Bytes) -> bool {
        matches!(bytes.load::<1>(self.at), Some([0x20..=0x3f])) && self.length != 0
    }

    #[inline(always)]
    fn is_ssdp(&self, bytes: &impl Bytes) -> bool {
        if self.length < 16 {
            return false;
        }
        let (Some(head), Some(tail)) = (bytes.load::<8>(self.at), bytes.load::<8>(self.at + 8)) else {
            return false;
        };
        let (head, tail) = (u64::from_be_bytes(head), u64::from_be_bytes(tail));
        let is = |line: [u64; 2]| head == line[0] && tail == line[1];
        is(SEARCH) || is(NOTIFY) || is(FOUND)
    }

    #[inline(always)]
    fn is_ntp(&self, bytes: &impl Bytes) -> bool {
        let Ok(ntp) = ntp::parse(bytes, self.at, self.length) else { return false };
        match self.sender {
            Sender::Client => matches!(ntp.mode, ntp::Mode::Client),
            Sender::Server => matches!(ntp.mode, ntp::Mode::Server),
        }
    }

    /// A header of DNS with counts that fit its sender, and a first name with a type and a class of the Internet behind
    /// it.
    #[inline(always)]
    fn is_dns(&self, bytes: &impl Bytes) -> bool {
        let Some(header) = bytes.load::<12>(self.at) else { return false };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (flags, questions, additional) = (word(2), word(4), word(10));
        let records = u32::from(word(6)) + u32::from(word(8));
        let all = records + u32::from(additional);
        let fits = if self.port == MDNS {
            questions <= DNS_QUESTIONS && all <= DNS_RECORDS && (questions != 0 || all != 0)
        } else {
            let asks = matches!(self.sender, Sender::Client);
            let turned = (flags & DNS_RESPONSE == 0) != asks;
            let plain = records == 0 && additional <= DNS_ADDITIONAL;
            !turned && questions == 1 && (plain || !asks && all <= DNS_RECORDS)
        };
        if flags & DNS_FORBIDDEN != 0 || !fits {
            return false;
        }
        let behind = self.behind_name(bytes);
        if behind == 0 || behind + DNS_BEHIND > self.length {
            return false;
        }
        let Some([_, _, high, low]) = bytes.load::<4>(self.at + behind) else { return false };
        let class = u16::from_be_bytes([high, low]);
        let class = if self.port == MDNS { class & !DNS_TOP } else { class };
        matches!(class, DNS_IN | DNS_ANY)
    }

    /// Bytes from the beginning to the end of the first name, which points nowhere; 0 if it has none.
    #[inline(always)]
    fn behind_name(&self, bytes: &impl Bytes) -> u32 {
        let mut behind = DNS_HEADER;
        let mut labels = 0;
        while labels < DNS_LABELS {
            labels += 1;
            if behind >= self.length {
                return 0;
            }
            let Some([label]) = bytes.load::<1>(self.at + behind) else { return 0 };
            if label > 63 {
                return 0;
            }
            behind += u32::from(label) + 1;
            if label == 0 {
                return behind;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests;
