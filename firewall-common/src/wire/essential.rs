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
    /// DNS to the box or a named server.
    Dns = 8,
    /// NTP to the box or a named server.
    Ntp = 9,
    /// Our own answers to refused datagrams.
    Answer = 10,
    /// Not an essential but bounded in the same way: new connections on allowed edges, [`OPENING`] bytes each.
    Opening = 11,
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

#[cfg(test)]
mod tests {
    use super::*;

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
