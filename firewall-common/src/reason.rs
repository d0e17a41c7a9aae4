//! Why a frame or message got its verdict: one closed list for kernel, log, API and command line.

/// Declares the closed list once: variant, number across the kernel boundary, name in every output.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a frame or message got its verdict. The number is what crosses the kernel boundary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $code,)* }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that log, API and command line print.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The reason with this number, if there is one.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The reason with this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    /// The edge is in the model, or an essential was in order.
    InModel = 0, "in_model";
    /// No such edge in the model.
    EdgeUnknown = 1, "edge.unknown";
    /// Someone denied the edge.
    EdgeDenied = 2, "edge.denied";
    /// The source or destination is not yet accepted at this site.
    PrincipalNew = 3, "principal.new";
    /// A guest may reach the Internet only.
    GuestInside = 4, "guest.inside";
    /// One end is in quarantine.
    Quarantine = 5, "quarantine";
    /// One end is banned.
    Banned = 6, "banned";
    /// The source address is not bound to the sender's MAC.
    SpoofIp = 7, "spoof.ip";
    /// The MAC belongs to another port.
    SpoofMac = 8, "spoof.mac";
    /// The stream does not speak, or no longer speaks, the protocol of its edge.
    ProtoChanged = 9, "proto.changed";
    /// The name shown is not bound to the address.
    NameMismatch = 10, "name.mismatch";
    /// A header or message that its protocol forbids.
    Malformed = 11, "malformed";
    /// A connection whose beginning was not seen.
    Midstream = 12, "midstream";
    /// An essential protocol beyond its byte budget.
    EssentialBudget = 13, "essential.budget";
    /// An essential protocol in a shape that it never has.
    EssentialShape = 14, "essential.shape";
    /// A router advertisement or redirect from a device port.
    EssentialRouter = 15, "essential.router";
    /// A DHCP server message from another port than the server's.
    DhcpServer = 16, "dhcp.server";
    /// An IP fragment: what follows the first one cannot be judged.
    Fragment = 17, "fragment";
    /// An IPv6 extension header outside the short list, or too many.
    ExtensionHeader = 18, "ip6.extension";
    /// An ethertype that is no edge.
    Ethertype = 19, "ethertype";
    /// More VLAN tags than are parsed.
    VlanDepth = 20, "vlan.depth";
    /// Bytes of an inspected stream that are not next in sequence.
    StreamOrder = 21, "stream.order";
    /// A topic, client id or filter longer than the cap.
    ObjectCap = 22, "object.cap";
    /// A quota of the source is used up.
    Quota = 23, "quota";
    /// A table is full.
    TableFull = 24, "table.full";
    /// Another CPU is judging the same direction of the same stream.
    Busy = 25, "busy";
    /// A topic alias that is not known on this connection.
    AliasUnknown = 26, "alias.unknown";
    /// An ICMP error that quotes no live flow.
    IcmpUnrelated = 27, "icmp.unrelated";
    /// An address that cannot be a source or destination here.
    AddressInvalid = 28, "address.invalid";
    /// An interface that is not configured.
    PortUnknown = 29, "port.unknown";
    /// The frame is our own answer.
    OwnAnswer = 30, "own.answer";
    /// The source is learning and the edge is new to its model.
    Learned = 31, "learned";
    /// A wrong TCP checksum on an inspected stream.
    Checksum = 32, "checksum";
    /// More work in one segment than the cap.
    WorkCap = 33, "work.cap";
    /// The next stage of the kernel programs is not loaded.
    StageMissing = 34, "stage.missing";
    /// Too much of an inspected stream is on its way and not acknowledged.
    StreamFull = 35, "stream.full";
    /// A broker goes on with a session of a client id that this principal did not have before.
    SessionForeign = 36, "session.foreign";
    /// A server refused a login.
    LoginFailed = 37, "login.failed";
    /// More than the limit of the edge.
    RateExceeded = 38, "rate.exceeded";
}

/// What became of a frame or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// It went on.
    Forwarded = 1,
    /// It went no further.
    Dropped = 2,
    /// It went no further and the connection was ended at both ends.
    Reset = 3,
    /// It went on in a harmless form.
    Neutralised = 4,
    /// It went on although the model says no, because nothing is enforced now.
    Audit = 5,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] = &[Self::Forwarded, Self::Dropped, Self::Reset, Self::Neutralised, Self::Audit];

    /// The name that log, API and command line print.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "FORWARDED",
            Self::Dropped => "DROPPED",
            Self::Reset => "RESET",
            Self::Neutralised => "NEUTRALISED",
            Self::Audit => "AUDIT",
        }
    }

    /// The verdict with this number, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Forwarded),
            2 => Some(Self::Dropped),
            3 => Some(Self::Reset),
            4 => Some(Self::Neutralised),
            5 => Some(Self::Audit),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_come_back() {
        for (number, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
            assert_eq!(Reason::from_code(*reason as u8), Some(*reason));
            assert_eq!(Reason::from_name(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::from_code(Reason::ALL.len() as u8), None);
        assert!(Reason::ALL.len() <= crate::abi::counter::REASONS as usize);
    }

    #[test]
    fn verdicts_come_back() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_code(*verdict as u8), Some(*verdict));
        }
        assert_eq!(Verdict::from_code(0), None);
    }
}
