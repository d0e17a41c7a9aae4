use proptest::prelude::*;

use super::{capture::Link, *};

/// A handshake, a CONNECT and a PUBLISH in two segments, and the answer, as raw IP packets.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut tcp = |from: u8, seq: u32, ack: u32, flags: u8, payload: &[u8]| {
        let mut packet = vec![0x45, 0, 0, 40 + payload.len() as u8, 0, 0, 0, 0, 64, proto::TCP, 0, 0];
        packet.extend(if from == 1 { [10, 0, 0, 1, 10, 0, 0, 2] } else { [10, 0, 0, 2, 10, 0, 0, 1] });
        packet.extend(if from == 1 { [0x90, 0, 7, 0x5b] } else { [7, 0x5b, 0x90, 0] });
        packet.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(payload);
        packets.push(packet);
    };
    let said = b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c\x30\x06\0\x01t\0hi";
    let (first, second) = said.split_at(10);
    tcp(1, u32::MAX, 0, 2, &[]);
    tcp(2, 99, 0, 18, &[]);
    tcp(1, 0, 100, 16, first);
    tcp(1, 10, 100, 24, second);
    tcp(2, 100, said.len() as u32, 24, b"\x20\x03\0\0\0");
    packets
}

fn replay(packets: &[Vec<u8>]) -> (Vec<Record>, Summary) {
    let mut replay = Replay::default();
    let mut records = Vec::new();
    for (number, bytes) in (1..).zip(packets) {
        let packet = Packet { number, time: number, link: Link::Raw, length: bytes.len() as u32 };
        replay.packet(packet, bytes);
        while let Some(record) = replay.next_record() {
            records.push(record);
        }
    }
    replay.finish();
    while let Some(record) = replay.next_record() {
        records.push(record);
    }
    (records, replay.summary().clone())
}

#[test]
fn a_sound_connection_is_read() {
    let (records, summary) = replay(&packets());
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    let said: Vec<&str> = lines.iter().filter_map(|line| line.split(" mqtt ").nth(1)).collect();
    assert_eq!(
        said,
        ["CONNECT connect \"c\" version=5", "PUBLISH publish \"t\" qos=0 retain=false", "CONNACK"]
    );
    assert_eq!((summary.packets, summary.connections, summary.midstream), (5, 1, 0));
}

proptest! {
    /// Whatever is in a capture, it is counted and nothing is lost on the way.
    #[test]
    fn nothing_in_a_capture_is_too_much(
        order in proptest::collection::vec((0_usize..5, proptest::option::of((any::<u8>(), any::<u8>())), 0_usize..70), 0..40),
    ) {
        let sound = packets();
        let packets: Vec<Vec<u8>> = order
            .into_iter()
            .map(|(index, change, cut)| {
                let mut packet = sound[index].clone();
                if let Some((at, byte)) = change {
                    let at = usize::from(at) % packet.len();
                    packet[at] = byte;
                }
                packet.truncate(packet.len().max(20).min(20 + cut));
                packet
            })
            .collect();
        let (records, summary) = replay(&packets);
        prop_assert_eq!(summary.packets, packets.len() as u64);
        prop_assert!(records.iter().all(|record| record.frame >= 1 && record.frame <= packets.len() as u64));
        let messages = |record: &&Record| matches!(&record.what, What::Message(message) if message.part == 0);
        let counted: u64 = summary.protocols.values().map(|counts| counts.messages).sum();
        prop_assert_eq!(records.iter().filter(messages).count() as u64, counted);
    }
}
