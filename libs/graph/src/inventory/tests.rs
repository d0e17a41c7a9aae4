use firewall_common::wire::frame;
use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [0x00, 0x17, 0x88, 0, 0, 1];

/// A datagram in a frame.
fn datagram(ports: [u16; 2], said: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0xff; 6], &MAC[..], &[8, 0, 0x45, 0]].concat();
    bytes.extend((28 + said.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 255, 255, 255, 255]);
    bytes.extend(ports.map(u16::to_be_bytes).concat());
    bytes.extend((8 + said.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(said);
    bytes
}

fn heard(ports: [u16; 2], said: &[u8]) -> Vec<Clue> {
    let bytes = datagram(ports, said);
    let mut headers = frame::Frame::EMPTY;
    frame::parse(&bytes.as_slice(), &mut headers).unwrap();
    clues(&headers, &bytes)
}

fn dhcp(options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[28..34].copy_from_slice(&MAC);
    bytes.extend([0x63, 0x82, 0x53, 0x63]);
    bytes.extend(options);
    bytes.push(255);
    bytes
}

fn labels(name: &str) -> Vec<u8> {
    let mut wire: Vec<u8> =
        name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

/// An announcement of multicast DNS, or a question with the same records as known answers.
fn mdns(flags: u8, records: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 0, flags, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
    for (owner, kind, data) in records {
        bytes.extend(labels(owner));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0x80, 1, 0, 0, 0, 120]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(*data);
    }
    bytes
}

fn guess(said: impl IntoIterator<Item = Clue>) -> Option<(Kind, Confidence)> {
    let (mut known, mut name) = (Clues::default(), None);
    for clue in said {
        if let Clue::HostName(hint) = &clue {
            name = Some(hint.0.clone());
        }
        known.take(clue);
    }
    known.guess(name.as_deref(), &BTreeSet::new()).map(|guess| (guess.kind, guess.confidence))
}

#[test]
fn dhcp_says_what_a_client_calls_itself_and_asks_for() {
    let options = b"\x35\x01\x03\x0c\x07Front-1\x3c\x0cudhcp 1.30.1\x37\x03\x01\x03\x06\x3d\x03\x01ab\xa1\x13https://m.example/l";
    assert_eq!(
        heard([68, 67], &dhcp(options)),
        [
            Clue::HostName(Hint("Front-1".into())),
            Clue::VendorClass("udhcp 1.30.1".into()),
            Clue::Parameters(vec![1, 3, 6]),
            Clue::ClientId(vec![1, b'a', b'b']),
            Clue::MudUrl("https://m.example/l".into()),
        ]
    );
    // An answer, a port of somebody else, and a message that is cut.
    let mut reply = dhcp(options);
    reply[0] = 2;
    assert_eq!(heard([68, 67], &reply), []);
    assert_eq!(heard([4_000, 67], &dhcp(options)), []);
    for length in 0..240 {
        assert_eq!(heard([68, 67], &dhcp(options)[..length]), []);
    }
}

#[test]
fn announcements_say_what_a_device_offers_and_questions_do_not() {
    let records: &[(&str, u16, &[u8])] = &[
        ("_ipp._tcp.local", 12, &labels("Laser._ipp._tcp.local")),
        ("Laser._ipp._tcp.local", 33, &[0, 0, 0, 0, 2, 0x77, 0]),
        ("laser.local", 1, &[10, 0, 0, 9]),
        ("elsewhere.example", 1, &[10, 0, 0, 9]),
    ];
    let said = heard([5_353, 5_353], &mdns(0x84, records));
    let ipp = Clue::Service("_ipp._tcp".into());
    assert_eq!(said, [ipp.clone(), ipp, Clue::HostName(Hint("laser".into()))]);
    assert_eq!(guess(said), Some((Kind::Printer, Confidence::Medium)));
    assert_eq!(heard([5_353, 5_353], &mdns(0, records)), [], "what it knows of others");
    assert_eq!(heard([5_353, 5_353], b"\0\0\x84\0\0\x01\0\x01"), [], "half a message");
}

#[test]
fn ssdp_says_what_a_device_is_and_a_search_what_it_looks_for() {
    let notify = b"NOTIFY * HTTP/1.1\r\nNT: urn:Belkin:device:insight:1\r\nUSN: uuid:1::x\r\n\r\n";
    let said = heard([1_900, 1_900], notify);
    assert_eq!(said, [Clue::Target("urn:Belkin:device:insight:1".into())]);
    assert_eq!(guess(said), Some((Kind::Plug, Confidence::Medium)));
    let search = b"M-SEARCH * HTTP/1.1\r\nST: urn:Belkin:device:insight:1\r\n\r\n";
    assert_eq!(heard([50_000, 1_900], search), []);
    assert_eq!(heard([1_900, 50_000], b"HTTP/1.1 404 Not Found\r\n\r\n"), []);
}

#[test]
fn clues_add_up_and_contradictions_are_no_guess() {
    let name = |name: &str| Clue::HostName(Hint(name.into()));
    let maker = |name: &str| Clue::Maker(name.into());
    assert_eq!(guess([name("Kitchen-Lamp2")]), Some((Kind::Light, Confidence::Low)));
    assert_eq!(
        guess([name("Kitchen-Lamp2"), maker("Signify B.V.")]),
        Some((Kind::Light, Confidence::Medium))
    );
    let google = Clue::Service("_googlecast._tcp".into());
    assert_eq!(guess([google, name("TV")]), Some((Kind::Media, Confidence::High)));
    assert_eq!(guess([name("lamp of the printer")]), None, "as much for one as for the other");
    assert_eq!(guess([name("clamp"), name("blocked")]), None, "parts of words are no words");
    assert_eq!(guess([]), None);
}

#[test]
fn what_is_remembered_is_bounded_and_harmless() {
    let mut known = Clues::default();
    for number in 0..1_000 {
        known.take(Clue::Service(format!("_{number}._tcp")));
        known.take(Clue::Target("x".repeat(number)));
        known.take(Clue::Parameters(vec![7; number]));
    }
    known.take(Clue::VendorClass("evil\u{202e}\x1b[31m".repeat(50)));
    assert_eq!((known.services.len(), known.targets.len(), known.parameters.len()), (16, 16, 64));
    let class = known.vendor_class.unwrap();
    assert!(class.chars().count() <= TEXT_CAP && !class.contains(['\u{202e}', '\x1b']), "{class}");
}

#[test]
fn a_mac_says_whether_it_was_made_up() {
    assert!(is_private([0x02, 0, 0, 0, 0, 1]) && !is_private(MAC));
}

proptest! {
    /// Whatever a device writes is a few clues at most, and none of them is long.
    #[test]
    fn any_bytes_are_few_clues(
        ports in prop::sample::select(&[[68_u16, 67], [5_353, 5_353], [1_900, 50_000], [50_000, 1_900]][..]),
        said in prop::collection::vec(any::<u8>(), 0..1_400),
        at in 0_usize..400,
        sound in prop::sample::select(&[0_usize, 1, 2][..]),
    ) {
        // Sound messages with something else from some byte on go deeper than noise.
        let begun = match sound {
            0 => dhcp(b"\x0c\x04lamp\x3c\x05udhcp\x37\x03\x01\x03\x06"),
            1 => mdns(0x84, &[("_ipp._tcp.local", 12, &labels("Laser._ipp._tcp.local"))]),
            _ => b"NOTIFY * HTTP/1.1\r\nNT: urn:x\r\nUSN: y\r\n\r\n".to_vec(),
        };
        let message = [&begun[..at.min(begun.len())], &said[..]].concat();
        let mut known = Clues::default();
        for clue in heard(ports, &message) {
            if let Clue::HostName(name) = &clue {
                prop_assert!(name.0.chars().count() <= crate::principal::NAME_CAP);
            }
            known.take(clue);
        }
        prop_assert!(known.services.len() <= SERVICES_CAP && known.targets.len() <= SERVICES_CAP);
        let texts = known.services.iter().chain(&known.targets).chain(&known.vendor_class).chain(&known.mud_url);
        for text in texts {
            prop_assert!(text.chars().count() <= TEXT_CAP && !text.contains(char::is_control), "{text}");
        }
    }
}
