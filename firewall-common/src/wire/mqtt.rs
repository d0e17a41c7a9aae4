//! MQTT, byte by byte.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
/// One direction of a connection.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stream {
    pub x: u64,
}
