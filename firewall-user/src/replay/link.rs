//! Link layers: every packet becomes the Ethernet frame that the parser of the kernel programs reads.

use firewall_common::wire::frame::{ETHERNET, ethertype};

use super::capture::Link;

/// Stands for a sender that the capture does not name: a locally administered address, which no device has.
pub const UNNAMED: [u8; 6] = [0x02, 0, 0, 0, 0, 0];

/// Address family of IPv4, on every system; IPv6 has another number on each.
const FAMILY_IPV4: u32 = 2;

/// Writes the packet as an Ethernet frame; false if it is too short for its link layer.
///
/// On a loopback interface both addresses of a frame are zero; there, and where the link layer has none, the sender is
/// [`UNNAMED`].
pub fn to_ethernet(link: Link, packet: &[u8], frame: &mut Vec<u8>) -> bool {
    frame.clear();
    let (sender, ethertype, rest) = match link {
        Link::Ethernet => {
            frame.extend_from_slice(packet);
            if let Some(addresses) = frame.first_chunk_mut::<12>().filter(|addresses| **addresses == [0; 12])
            {
                *addresses = from(UNNAMED);
            }
            return packet.len() >= ETHERNET as usize;
        }
        Link::Raw => (UNNAMED, ethertype_of(packet), packet),
        Link::Null | Link::Loop => {
            let Some((family, rest)) = packet.split_first_chunk::<4>() else { return false };
            // Host order of a machine that is not known: the small number is the right one.
            let family = u32::from_be_bytes(*family).min(u32::from_le_bytes(*family));
            let is_ipv4 = family == FAMILY_IPV4;
            (UNNAMED, if is_ipv4 { Some(ethertype::IPV4) } else { ethertype_of(rest) }, rest)
        }
        Link::Sll => {
            let Some((header, rest)) = packet.split_first_chunk::<16>() else { return false };
            let [_, _, _, _, _, length, address @ .., _, _, high, low] = *header;
            (named(address, length), Some(u16::from_be_bytes([high, low])), rest)
        }
        Link::Sll2 => {
            let Some((header, rest)) = packet.split_first_chunk::<20>() else { return false };
            let [high, low, _, _, _, _, _, _, _, _, _, length, address @ .., _, _] = *header;
            (named(address, length), Some(u16::from_be_bytes([high, low])), rest)
        }
    };
    let Some(ethertype) = ethertype else { return false };
    frame.extend_from_slice(&from(sender));
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(rest);
    true
}

/// The ethertype of a packet that begins with its IP version.
fn ethertype_of(packet: &[u8]) -> Option<u16> {
    match packet.first()? >> 4 {
        4 => Some(ethertype::IPV4),
        6 => Some(ethertype::IPV6),
        _ => None,
    }
}

fn named(address: [u8; 6], length: u8) -> [u8; 6] {
    if length == 6 && address != [0; 6] { address } else { UNNAMED }
}

/// Destination, which is not known, and source.
fn from(sender: [u8; 6]) -> [u8; 12] {
    let mut addresses = [0; 12];
    addresses[6..].copy_from_slice(&sender);
    addresses
}

#[cfg(test)]
mod tests {
    use firewall_common::wire::frame::{Frame, parse};

    use super::*;

    /// An IPv4 header of UDP, ports 1 and 2, without payload.
    const PACKET: [u8; 28] =
        [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8, 0, 0];

    fn with(header: &[u8]) -> Vec<u8> {
        [header, &PACKET].concat()
    }

    #[test]
    fn every_link_layer_becomes_the_same_frame() {
        let mac = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];
        let ethernet = [&[0xff; 6][..], &mac, &[8, 0]].concat();
        let sll = [&[0, 0, 0, 1, 0, 6][..], &mac, &[0, 0, 8, 0]].concat();
        let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6][..], &mac, &[0, 0]].concat();
        for (link, header, sender) in [
            (Link::Ethernet, &ethernet[..], mac),
            (Link::Ethernet, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], UNNAMED),
            (Link::Raw, &[], UNNAMED),
            (Link::Null, &[2, 0, 0, 0], UNNAMED),
            (Link::Null, &[0, 0, 0, 2], UNNAMED),
            (Link::Loop, &[0, 0, 0, 2], UNNAMED),
            (Link::Sll, &sll, mac),
            (Link::Sll2, &sll2, mac),
        ] {
            let (mut bytes, mut frame) = (Vec::new(), Frame::EMPTY);
            assert!(to_ethernet(link, &with(header), &mut bytes), "{link:?}");
            assert_eq!(parse(&bytes.as_slice(), &mut frame), Ok(()), "{link:?}");
            assert_eq!((frame.src_mac, frame.src_port, frame.dst_port), (sender, 1, 2), "{link:?}");
            for short in 0..header.len() {
                assert!(!to_ethernet(link, &with(header)[..short], &mut bytes), "{link:?} {short}");
            }
        }
    }

    #[test]
    fn no_ip_version_is_no_frame() {
        assert!(!to_ethernet(Link::Raw, &[0x12, 0, 0], &mut Vec::new()));
    }
}
