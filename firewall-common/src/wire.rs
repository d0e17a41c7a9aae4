//! One parser per protocol, for kernel, replay and tests.

// From the frame to the ports.
pub mod frame;

// What a link needs to work.
pub mod dhcp;
pub mod essential;

// What devices say.
pub mod mqtt;

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
