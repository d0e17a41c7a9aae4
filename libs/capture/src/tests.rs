use proptest::prelude::*;

use super::Writer as CaptureWriter;
use super::*;

/// Time, link and bytes of a packet.
type Read = (u64, Link, Vec<u8>);

/// Every packet of a capture, and how reading ended.
fn read(file: &[u8]) -> (Vec<Read>, Option<CaptureError>) {
    let mut packets = Vec::new();
    let mut capture = match Capture::new(file) {
        Ok(capture) => capture,
        Err(error) => return (packets, Some(error)),
    };
    loop {
        match capture.packet() {
            Ok(Some((packet, bytes))) => {
                assert_eq!(packet.number, packets.len() as u64 + 1);
                packets.push((packet.time, packet.link, bytes.to_vec()));
            }
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
}

/// Writes numbers in one byte order.
struct Writer {
    order: Order,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(order: Order) -> Self {
        Self { order, bytes: Vec::new() }
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(match self.order {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        });
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(match self.order {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        });
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    /// A block of pcapng around a body, which is padded.
    fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let padded = body.len().next_multiple_of(4);
        let length = padded as u32 + 12;
        self.u32(kind).u32(length).raw(body).raw(&vec![0; padded - body.len()]).u32(length)
    }
}

fn body(order: Order, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(order);
    write(&mut writer);
    writer.bytes
}

/// A capture with two packets of three and five bytes, at 1.5 s and 2.25 s.
fn pcap(order: Order, magic: u32, units: u32, link: u32) -> Vec<u8> {
    body(order, |file| {
        file.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link);
        file.u32(1).u32(units / 2).u32(3).u32(3).raw(b"abc");
        file.u32(2).u32(units / 4).u32(5).u32(9).raw(b"defgh");
    })
}

fn expected(link: Link) -> Vec<Read> {
    vec![(1_500_000_000, link, b"abc".to_vec()), (2_250_000_000, link, b"defgh".to_vec())]
}

fn enhanced(order: Order, interface: u32, units: u64, packet: &[u8]) -> Vec<u8> {
    body(order, |body| {
        body.u32(interface).u32((units >> 32) as u32).u32(units as u32);
        body.u32(packet.len() as u32).u32(packet.len() as u32).raw(packet);
    })
}

fn interface(order: Order, link: u16, options: &[u8]) -> Vec<u8> {
    body(order, |body| {
        body.u16(link).u16(0).u32(0).raw(options);
    })
}

fn section(order: Order) -> Vec<u8> {
    body(order, |body| {
        body.u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
    })
}

/// Both packets, of two interfaces with other clocks, between blocks that mean nothing here.
fn pcapng(order: Order) -> Vec<u8> {
    let nanoseconds = body(order, |body| {
        // A name, the resolution, one second to add, the end.
        body.u16(2).u16(2).raw(b"lo\0\0").u16(9).u16(1).raw(&[9, 0, 0, 0]);
        let one = match order {
            Order::Big => 1_i64.to_be_bytes(),
            Order::Little => 1_i64.to_le_bytes(),
        };
        body.u16(14).u16(8).raw(&one).u16(0).u16(0);
    });
    body(order, |file| {
        file.block(SECTION, &section(order));
        file.block(1, &interface(order, 1, &[])).block(1, &interface(order, 1, &nanoseconds));
        file.block(6, &enhanced(order, 0, 1_500_000, b"abc"));
        file.block(4, b"names of hosts").block(0x0bad, b"");
        file.block(6, &enhanced(order, 1, 1_250_000_000, b"defgh"));
    })
}

const SECTION: u32 = 0x0a0d_0d0a;

#[test]
fn pcap_in_every_dialect() {
    for order in [Order::Big, Order::Little] {
        for (magic, units) in [(0xa1b2_c3d4, 1_000_000), (0xa1b2_3c4d, 1_000_000_000)] {
            for (code, link) in [
                (0, Link::Null),
                (1, Link::Ethernet),
                (101, Link::Raw),
                (108, Link::Loop),
                (113, Link::Sll),
                (228, Link::Raw),
                (276, Link::Sll2),
                // The upper bits tell of checksums behind the frames.
                (0x1400_0001, Link::Ethernet),
            ] {
                let (packets, end) = read(&pcap(order, magic, units, code));
                assert_eq!(packets, expected(link), "{order:?} {magic:x} {code}");
                assert!(end.is_none(), "{end:?}");
            }
        }
    }
}

#[test]
fn pcapng_in_both_orders_and_sections() {
    let both = [pcapng(Order::Big), pcapng(Order::Little)].concat();
    let (packets, end) = read(&both);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(packets, [expected(Link::Ethernet), expected(Link::Ethernet)].concat());
}

#[test]
fn simple_packets_are_those_of_the_first_interface() {
    let file = body(Order::Little, |file| {
        let mut simple = 5_u32.to_le_bytes().to_vec();
        simple.extend(b"defgh");
        file.block(SECTION, &section(Order::Little))
            .block(1, &interface(Order::Little, 101, &[]))
            .block(3, &simple);
    });
    let (packets, end) = read(&file);
    assert_eq!(packets, [(0, Link::Raw, b"defgh".to_vec())]);
    assert!(end.is_none(), "{end:?}");
}

/// Wherever a file is cut, the whole packets before the cut are read, and the error names the place.
#[test]
fn a_cut_file_gives_what_is_whole() {
    for file in [pcap(Order::Little, 0xa1b2_c3d4, 1_000_000, 1), pcapng(Order::Big)] {
        let whole = expected(Link::Ethernet);
        for cut in 0..file.len() {
            let (packets, end) = read(&file[..cut]);
            assert_eq!(packets, whole[..packets.len()], "{cut}");
            match end {
                Some(CaptureError { offset, damage: Damage::Ends(_) }) => assert_eq!(offset, cut as u64),
                Some(CaptureError { offset: 0, damage: Damage::Foreign }) => assert!(cut < 4),
                Some(other) => panic!("{cut}: {other}"),
                // A cut between two packets or blocks cannot be seen.
                None => assert!(cut >= 24),
            }
        }
    }
}

#[test]
fn damage_has_a_place() {
    let sane = pcap(Order::Little, 0xa1b2_c3d4, 1_000_000, 1);
    let with = |at: usize, byte: u8| {
        let mut file = sane.clone();
        file[at] = byte;
        read(&file)
    };
    for (at, byte, offset, says, packets) in [
        (0, b'P', 0, "no pcap", 0),
        (4, 9, 4, "version 9", 0),
        (20, 105, 20, "link type 105 is not decoded (radio frames", 0),
        // The length of the second packet, in its highest byte.
        (46 + 8 - 3 + 3, 0xff, 51, "a packet claims 42", 1),
    ] {
        let (read, end) = with(at, byte);
        let end = end.unwrap_or_else(|| panic!("{says}: no error"));
        assert_eq!((end.offset, read.len()), (offset, packets), "{end}");
        assert!(end.to_string().contains(says), "{end}");
    }
}

#[test]
fn damaged_blocks_have_a_place() {
    let order = Order::Little;
    let sane = body(order, |file| {
        file.block(SECTION, &section(order)).block(1, &interface(order, 1, &[]));
    });
    for (kind, block, at, says) in [
        // No such interface.
        (6, enhanced(order, 7, 0, b"abc"), 8, "interface 7"),
        // More bytes than the block has.
        (6, [&[0; 12][..], &[0xff, 0, 0, 0, 0xff, 0, 0, 0]].concat(), 20, "claims 255 bytes"),
        (6, vec![0; 8], 16, "ends inside a block"),
    ] {
        let mut file = sane.clone();
        file.extend(body(order, |file| {
            file.block(kind, &block);
        }));
        let (packets, end) = read(&file);
        let end = end.unwrap_or_else(|| panic!("{says}: no error"));
        assert!(packets.is_empty());
        assert_eq!(end.offset, sane.len() as u64 + at, "{end}");
        assert!(end.to_string().contains(says), "{end}");
    }
    // A length that no block has, and one that is not repeated.
    for (length, again, at, says) in [(7_u32, 7, 4, "claims 7 bytes"), (12, 16, 8, "not the one")] {
        let mut file = sane.clone();
        file.extend(body(order, |file| {
            file.u32(6).u32(length).u32(again);
        }));
        let (_, end) = read(&file);
        let end = end.unwrap_or_else(|| panic!("{says}: no error"));
        assert_eq!(end.offset, sane.len() as u64 + at, "{end}");
        assert!(end.to_string().contains(says), "{end}");
    }
}

/// A file that claims more than it has takes no more memory than it has.
#[test]
fn claims_cost_nothing() {
    let mut file = body(Order::Little, |file| {
        file.block(SECTION, &section(Order::Little)).u32(6).u32(524_000);
    });
    file.extend([0; 1000]);
    let mut capture = Capture::new(file.as_slice()).unwrap();
    assert!(capture.packet().is_err());
    assert!(capture.bytes.capacity() < 100_000);
}

proptest! {
    /// Whatever is damaged, what stands before it is read, and the error lies in the file.
    #[test]
    fn damage_costs_nothing_before_it(
        which in 0..4_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = match which {
            0 => pcap(Order::Little, 0xa1b2_c3d4, 1_000_000, 1),
            1 => pcap(Order::Big, 0xa1b2_3c4d, 1_000_000_000, 101),
            2 => pcapng(Order::Little),
            _ => pcapng(Order::Big),
        };
        let (whole, _) = read(&file);
        let first = damage.iter().map(|(at, _)| at.index(file.len())).min().unwrap_or_default();
        for (at, value) in &damage {
            let at = at.index(file.len());
            file[at] = *value;
        }
        file.truncate(cut.index(file.len()) + 1);
        let (packets, end) = read(&file);
        // Records and blocks that end before the damage.
        let (before, _) = read(&file[..first.min(file.len())]);
        prop_assert_eq!(&packets[..before.len()], &whole[..before.len()]);
        if let Some(end) = end {
            prop_assert!(end.offset <= file.len() as u64, "{}", end);
            prop_assert_eq!(read(&file[..end.offset as usize]).0, packets);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(packets in prop::collection::vec((0..4_000_000_000_000_000_000_u64, prop::collection::vec(any::<u8>(), 0..64)), 0..8)) {
        for link in [Link::Null, Link::Ethernet, Link::Raw, Link::Loop, Link::Sll, Link::Sll2] {
            let mut file = Vec::new();
            let mut writer = CaptureWriter::new(&mut file, link).unwrap();
            for (time, bytes) in &packets {
                writer.packet(*time, bytes.len() as u32, bytes).unwrap();
            }
            writer.finish().unwrap();
            let (read, error) = read(&file);
            prop_assert!(error.is_none());
            let expected: Vec<Read> = packets.iter().map(|(time, bytes)| (*time, link, bytes.clone())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
