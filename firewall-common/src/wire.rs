//! One parser per protocol, for kernel, replay and tests.

use crate::abi::Protocol;
use crate::reason::Reason;

// From the frame to the ports.
pub mod frame;

// What a link needs to work.
pub mod dhcp;
pub mod dns;
pub mod essential;
pub mod ntp;
pub mod related;

// What devices say.
pub mod coap;
pub mod datagram;
pub mod dtls;
pub mod http;
pub mod modbus;
pub mod mqtt;
pub mod object;
pub mod quic;
pub mod request;
pub mod rtsp;
pub mod ssdp;
pub mod stream;
pub mod tftp;
pub mod tls;
pub mod utf8;

/// Which end speaks in this direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// What a byte of a stream completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing.
    More,
    /// A level of an object that is judged level by level, ended by a separator.
    Level,
    /// An object: [`object::Object::level`] is the hash of its last level, [`object::Object::text`] its text.
    Object,
    /// A request whose levels are in [`object::Levels`].
    Request,
    /// The properties of an MQTT PUBLISH that has an alias; its topic is empty or was judged.
    Alias,
    /// The stream becomes another protocol from the next byte on.
    Becomes(Protocol),
    /// Something that the event log keeps and that changes no verdict.
    Note(Note),
    /// A forbidden byte: nothing that follows means anything.
    Wrong(Reason),
}

/// Facts about a stream that are no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Note {
    /// A broker or server refused a login (CONNACK, HTTP 401 and 403).
    LoginFailed = 1,
    /// A broker goes on with a session of before (MQTT CONNACK, session present).
    SessionPresent = 2,
}

/// Bytes of a frame, wherever they are: a socket buffer in the kernel, a slice on the host.
pub trait Bytes {
    /// Length of the frame in bytes.
    fn len(&self) -> u32;

    /// Copies `N` bytes from `offset`, or nothing if they are not all there.
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]>;

    /// The VLAN tag that the NIC took out of the frame, host order.
    fn tag(&self) -> Option<u16>;

    /// Whether there is no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Bytes for &[u8] {
    fn len(&self) -> u32 {
        <[u8]>::len(self) as u32
    }

    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let offset = offset as usize;
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn tag(&self) -> Option<u16> {
        None
    }
}
