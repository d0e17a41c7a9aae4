//! Protocols without which a link does not work: each a named rule with a byte budget.

/// An essential. The number is part of the key of `BUDGETS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Essential {
    /// Wi-Fi key exchange (IEEE 802.1X); dropping it ends the association.
    Eapol = 1,
    /// ARP (RFC 826) with a bound sender.
    Arp = 2,
    /// Neighbour discovery (RFC 4861) with a bound sender.
    Neighbour = 3,
    /// `DHCP` and `DHCPv6`.
    Dhcp = 4,
    /// ICMP errors that quote a live flow.
    IcmpError = 5,
    /// Echo within the site.
    Echo = 6,
    /// IGMP and MLD: who listens to which group.
    Group = 7,
    /// DNS to the box or a named server; what it may say is a [`Trickle`] too.
    Dns = 8,
    /// NTP to the box or a named server, as above.
    Ntp = 9,
    /// Our own answers to refused datagrams.
    Answer = 10,
    /// Not an essential but bounded in the same way: new connections on allowed edges, [`OPENING`] bytes each.
    Opening = 11,
}

/// A service that some of the essentials are about, by the ports of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A client of DHCP or `DHCPv6`, and a server of them.
    DhcpClient,
    DhcpServer,
    /// A question to a resolver, a request for the time.
    Dns,
    Ntp,
}

impl Service {
    /// The service that a datagram with these ports asks for, or speaks for.
    pub const fn of(src_port: u16, dst_port: u16) -> Option<Self> {
        match (src_port, dst_port) {
            (68, 67) | (546, 547) => Some(Self::DhcpClient),
            (67, 68) | (547, 546) => Some(Self::DhcpServer),
            (_, 53) => Some(Self::Dns),
            (_, 123) => Some(Self::Ntp),
            _ => None,
        }
    }

    /// Whether it is one of the link, or else of the box and of servers that the configuration names.
    pub const fn stays_on_link(self) -> bool {
        matches!(self, Self::DhcpClient | Self::DhcpServer)
    }
}

impl Essential {
    /// Every essential.
    pub const ALL: &[Self] = &[
        Self::Eapol,
        Self::Arp,
        Self::Neighbour,
        Self::Dhcp,
        Self::IcmpError,
        Self::Echo,
        Self::Group,
        Self::Dns,
        Self::Ntp,
        Self::Answer,
        Self::Opening,
    ];

    /// Bytes per second that one sender may use; eight times as much at once.
    pub const fn rate(self) -> u64 {
        match self {
            Self::Dns => 32_768,
            Self::Opening => 16_384,
            Self::Eapol | Self::Dhcp => 8_192,
            Self::Arp | Self::Neighbour | Self::IcmpError | Self::Echo | Self::Answer => 4_096,
            Self::Group | Self::Ntp => 2_048,
        }
    }

    /// Most bytes at once.
    pub const fn burst(self) -> u64 {
        self.rate() * 8
    }
}

/// What a new connection takes from its sender's budget: 256 a second, 2,048 at once, so that one sender cannot push the
/// half-open connections of others out of their table.
pub const OPENING: u64 = 64;

/// Longest echo that a device needs to be found alive; longer ones carry something else.
pub const ECHO_PAYLOAD: u32 = 64;

/// Refills a token bucket and takes `bytes` from it; `None` if there are not enough.
///
/// `tokens` are bytes, `elapsed` is nanoseconds since the last call.
pub const fn spend(essential: Essential, tokens: u64, elapsed: u64, bytes: u64) -> Option<u64> {
    // Beyond the time that fills the bucket nothing more comes in, and the product cannot overflow.
    let capped = if elapsed > 8_000_000_000 { 8_000_000_000 } else { elapsed };
    let filled = tokens + capped * essential.rate() / 1_000_000_000;
    let filled = if filled > essential.burst() { essential.burst() } else { filled };
    filled.checked_sub(bytes)
}

/// What passes through essentials in the words of one end alone. Together with its burst, what an hour carries stays below
/// 1,000 bytes, so that an essential is no tunnel. The number is part of the key of `BUDGETS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Trickle {
    /// Names that a sender asks DNS for and has not asked for while it learned.
    Names = 64,
    /// What the answers to such names say.
    Answers = 65,
    /// Requests for the time to a server outside, [`TIME_EXCHANGE`] each.
    Time = 66,
    /// Echo to outside, and the quotes in ICMP errors to outside.
    Icmp = 67,
    /// Echo from outside.
    Echoes = 68,
    /// Names that a sender asks for while it learns.
    LearnedNames = 69,
}

impl Trickle {
    /// Every trickle.
    pub const ALL: &[Self] =
        &[Self::Names, Self::Answers, Self::Time, Self::Icmp, Self::Echoes, Self::LearnedNames];

    /// Most bytes at once.
    pub const fn burst(self) -> u64 {
        match self {
            Self::Names | Self::Answers => 512,
            Self::Time => 480,
            Self::Icmp | Self::Echoes => 360,
            Self::LearnedNames => 16_384,
        }
    }

    /// Bytes per hour.
    pub const fn hourly(self) -> u64 {
        match self {
            Self::Names | Self::Answers => 450,
            Self::Time => 480,
            Self::Icmp | Self::Echoes => 600,
            Self::LearnedNames => 16_384,
        }
    }

    /// Nanoseconds that fill in one byte.
    const fn byte(self) -> u64 {
        3_600_000_000_000 / self.hourly()
    }
}

/// Bytes that a request for the time and its answer count for: what the longer way carries.
pub const TIME_EXCHANGE: u64 = 48;

/// What asking again for a name counts for that was not learned: which one of them, and of which type.
pub const NAME_AGAIN: u64 = 2;

/// Bytes in which each word is the sender's choice: those at the front of an echo's payload, where it says when it was
/// sent, and its identifier and number.
pub const ECHO_FREE: u32 = 16;
pub const ECHO_NUMBERS: u64 = 4;

/// Takes `bytes`; `None` if there are not enough. `full` is when the bucket is full again, and so is the new value: one
/// word that can be replaced at once, so no CPU gives back what another one took.
pub const fn trickle(trickle: Trickle, full: u64, now: u64, bytes: u64) -> Option<u64> {
    let from = if full > now { full } else { now };
    // More than any burst, and the product cannot overflow.
    let bytes = if bytes > 0xffff { 0xffff } else { bytes };
    let full = from + bytes * trickle.byte();
    if full - now > trickle.burst() * trickle.byte() { None } else { Some(full) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    extern crate std;

    const HOUR: u64 = 3_600_000_000_000;

    proptest! {
        #[test]
        fn no_hour_carries_a_kilobyte(tries in prop::collection::vec((1..400_u64, 0..600_000_000_000_u64), 1..400)) {
            for &kind in Trickle::ALL {
                if kind == Trickle::LearnedNames {
                    continue;
                }
                let (mut full, mut now) = (0, 1);
                let mut passed = std::vec![];
                for &(bytes, pause) in &tries {
                    now += pause;
                    if let Some(next) = trickle(kind, full, now, bytes) {
                        full = next;
                        passed.push((now, bytes));
                    }
                }
                for &(start, _) in &passed {
                    let within = passed.iter().filter(|&&(at, _)| at >= start && at - start <= HOUR);
                    prop_assert!(within.map(|&(_, bytes)| bytes).sum::<u64>() < 1_000);
                }
            }
        }
    }

    #[test]
    fn a_trickle_gives_its_rate() {
        for &kind in Trickle::ALL {
            let mut full = 0;
            let mut passed = 0;
            // A byte each millisecond is more than any of them gives.
            for now in (1..=HOUR).step_by(100_000_000) {
                for _ in 0..10 {
                    if let Some(next) = trickle(kind, full, now, 1) {
                        full = next;
                        passed += 1;
                    }
                }
            }
            let most = kind.burst() + kind.hourly();
            assert!(passed <= most && passed + 10 >= most, "{kind:?}: {passed} of {most}");
            assert_eq!(trickle(kind, 0, 1, kind.burst() + 1), None);
            assert_eq!(trickle(kind, 0, 1, u64::MAX), None);
        }
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut tokens = Essential::Arp.burst();
        let mut passed = 0;
        // 60 bytes each millisecond for ten seconds: ten times the rate.
        for _ in 0..10_000 {
            if let Some(left) = spend(Essential::Arp, tokens, 1_000_000, 60) {
                tokens = left;
                passed += 60;
            } else {
                tokens += Essential::Arp.rate() / 1_000;
            }
        }
        let allowed = Essential::Arp.burst() + 10 * Essential::Arp.rate();
        assert!(passed <= allowed && passed > allowed * 9 / 10, "{passed} of {allowed}");
    }

    #[test]
    fn a_long_silence_fills_no_more_than_the_burst() {
        for &essential in Essential::ALL {
            assert_eq!(spend(essential, 0, u64::MAX, 0), Some(essential.burst()));
            assert_eq!(spend(essential, 0, u64::MAX, essential.burst() + 1), None);
        }
    }
}
