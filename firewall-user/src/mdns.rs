//! The box's own name in multicast DNS (RFC 6762), so that a phone finds the page without its address.
//!
//! Only questions for that one name are answered, to everyone, with the address at which the page is served on that link.
//! Programs that ask from another port than 5353 are not answered: that would be a datagram to whatever address a question
//! claims to come from.

use std::net::Ipv4Addr;

use firewall_common::{
    abi::Addr,
    wire::dns::{Data, IN, Message, Name, Question, kind},
};

/// Where everyone is asked.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
pub const PORT: u16 = 5_353;

/// Seconds for which an answer holds (section 10).
const TTL: u32 = 120;
/// Any type, any class.
const ANY: u16 = 255;
/// Says which types there are, so that nobody waits for an address of IPv6 (section 6.1).
const NSEC: u16 = 47;
/// Nobody else has this record (section 10.2).
const UNIQUE: u16 = 0x8000;
/// A response, by who decides about the name.
const AUTHORITATIVE: u16 = 0x8400;

/// The answer to a message, if it asks for this name and does not know its address already (section 7.1).
pub fn answer(message: &[u8], name: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    let query = Message::multicast(message).ok().filter(|query| !query.is_response())?;
    let asks = |question: Question<'_>| {
        matches!(question.kind, kind::A | kind::AAAA | ANY)
            && matches!(question.class, IN | ANY)
            && is(question.name, name)
    };
    let ours = Data::Address(Addr::from_v4(address.octets()));
    let mut known = query.answers().filter(|record| record.ttl >= TTL / 2 && record.data == ours);
    let is_asked = query.questions().any(asks) && !known.any(|record| is(record.owner, name));
    is_asked.then(|| response(name, address))
}

fn is(asked: Name<'_>, name: &str) -> bool {
    let mut labels = name.split('.');
    let same = asked.labels().all(|asked| {
        let label = labels.next();
        label.zip(asked.ok()).is_some_and(|(label, asked)| label.as_bytes().eq_ignore_ascii_case(asked))
    });
    same && labels.next().is_none()
}

/// The address, and that there is no other.
fn response(name: &str, address: Ipv4Addr) -> Vec<u8> {
    let encoded = encode(name);
    // No question, one answer, none of authority, one more.
    let head = [0, AUTHORITATIVE, 0, 1, 0, 1];
    let mut message: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut record = |kind: u16, data: &[u8]| {
        message.extend_from_slice(&encoded);
        message.extend(kind.to_be_bytes());
        message.extend((IN | UNIQUE).to_be_bytes());
        message.extend(TTL.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    };
    record(kind::A, &address.octets());
    // The first window has one byte, in which A (1) is the second bit from the left (RFC 4034, section 4.1.2).
    record(NSEC, &[&encoded[..], &[0, 1, 0x40]].concat());
    message
}

/// A name of ours, whose labels are short.
fn encode(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    name.split('.').flat_map(label).chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "edgeward.local";
    const HERE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    /// A message with these questions and answers.
    fn message(flags: u16, questions: &[(&str, u16, u16)], answers: &[(&str, u32, Ipv4Addr)]) -> Vec<u8> {
        let head = [0, flags, questions.len() as u16, answers.len() as u16, 0, 0];
        let mut message: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
        for (name, kind, class) in questions {
            message.extend(encode(name));
            message.extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
        }
        for (name, ttl, address) in answers {
            message.extend(encode(name));
            message.extend([kind::A.to_be_bytes(), IN.to_be_bytes()].concat());
            message.extend(ttl.to_be_bytes());
            message.extend([0, 4]);
            message.extend(address.octets());
        }
        message
    }

    fn asked(questions: &[(&str, u16, u16)]) -> Option<Vec<u8>> {
        answer(&message(0, questions, &[]), NAME, HERE)
    }

    #[test]
    fn its_own_name_has_the_address_of_the_link_and_no_other() {
        let answer = asked(&[("edgeward.local", kind::A, IN)]).unwrap();
        let read = Message::multicast(&answer).unwrap();
        let record = read.answers().next().unwrap();
        assert!(read.is_response() && is(record.owner, NAME));
        assert_eq!((record.data, record.ttl), (Data::Address(Addr::from_v4(HERE.octets())), 120));
        assert!(answer.ends_with(&[0, 1, 0x40]), "it has an A record only");
    }

    #[test]
    fn it_is_asked_for_in_several_ways() {
        let other = ("printer.local", kind::A, IN);
        for question in [
            ("Edgeward.LOCAL", kind::A, IN),
            ("edgeward.local", kind::AAAA, IN),
            // Who asks would like the answer for itself.
            ("edgeward.local", kind::A, IN | 0x8000),
            ("edgeward.local", ANY, ANY),
        ] {
            assert!(asked(&[question]).is_some(), "{question:?}");
            assert!(asked(&[other, question]).is_some(), "{question:?}");
        }
    }

    #[test]
    fn nothing_else_is_answered() {
        for question in [
            ("edgeward", kind::A, IN),
            ("local", kind::A, IN),
            ("x.edgeward.local", kind::A, IN),
            ("edgeward.local.example", kind::A, IN),
            ("printer.local", kind::A, IN),
            ("edgeward.local", kind::TXT, IN),
            ("edgeward.local", kind::A, 3),
        ] {
            assert_eq!(asked(&[question]), None, "{question:?}");
        }
        let question = [("edgeward.local", kind::A, IN)];
        assert_eq!(answer(&message(0x8400, &question, &[]), NAME, HERE), None, "an announcement");
        let whole = message(0, &question, &[]);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], NAME, HERE), None, "cut at {length}");
        }
    }

    #[test]
    fn who_knows_it_is_not_told_again() {
        let question = [("edgeward.local", kind::A, IN)];
        let knows = |name, ttl, address| message(0, &question, &[(name, ttl, address)]);
        assert_eq!(answer(&knows(NAME, 90, HERE), NAME, HERE), None);
        let other = Ipv4Addr::new(192, 168, 1, 66);
        for (name, ttl, address) in [(NAME, 30, HERE), (NAME, 90, other), ("printer.local", 90, HERE)] {
            assert!(answer(&knows(name, ttl, address), NAME, HERE).is_some(), "{name} {ttl} {address}");
        }
    }
}
