//! A TCP connection between two hosts of the site, kept in step with what was delivered.

use crate::{
    frame::{self, ACK, FIN, RST, SYN, Segment},
    site::{Fate, Host, Judged, Site},
};

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// One connection; sequence numbers advance with what is delivered, as those of real ends would.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Host,
    pub(crate) server: Host,
    pub(crate) client_port: u16,
    pub(crate) server_port: u16,
    /// Next sequence number of the client, of the server.
    pub(crate) client_seq: u32,
    pub(crate) server_seq: u32,
    /// 4 or 6.
    pub(crate) version: u8,
}

impl Connection {
    /// A connection of which nothing was sent.
    pub(crate) fn new(site: &mut Site, client: Host, server: Host, server_port: u16) -> Self {
        // The client's numbers wrap soon, as any connection's may.
        Self {
            client,
            server,
            client_port: site.fresh_port(),
            server_port,
            client_seq: u32::MAX - 20,
            server_seq: 500_000,
            version: 4,
        }
    }

    /// A connection whose handshake was delivered.
    pub(crate) fn open(site: &mut Site, client: Host, server: Host, server_port: u16) -> Self {
        Self::new(site, client, server, server_port).opened(site)
    }

    /// Delivers the handshake.
    pub(crate) fn opened(self, site: &mut Site) -> Self {
        let mut connection = self;
        for (side, flags) in [(Side::Client, SYN), (Side::Server, SYN | ACK), (Side::Client, ACK)] {
            let judged = connection.send(site, side, flags, &[]);
            assert!(judged.is_delivered(), "{side:?} {flags:#x}: {:?}", judged.fate);
        }
        connection
    }

    /// A segment as this end would send it now.
    pub(crate) fn segment(&self, side: Side, flags: u8) -> Segment {
        let (src_port, dst_port, seq, peer) = match side {
            Side::Client => (self.client_port, self.server_port, self.client_seq, self.server_seq),
            Side::Server => (self.server_port, self.client_port, self.server_seq, self.client_seq),
        };
        let ack = if flags & ACK == 0 { 0 } else { peer };
        Segment { src_port, dst_port, seq, ack, flags }
    }

    pub(crate) fn frame(&self, side: Side, segment: Segment, payload: &[u8]) -> Vec<u8> {
        let (from, to) = match side {
            Side::Client => (&self.client, &self.server),
            Side::Server => (&self.server, &self.client),
        };
        if self.version == 4 {
            frame::tcp(from, to, segment, payload)
        } else {
            frame::tcp6(from, to, segment, payload)
        }
    }

    /// Lets a segment arrive as it is given.
    pub(crate) fn deliver(&self, site: &mut Site, side: Side, segment: Segment, payload: &[u8]) -> Judged {
        let frame = self.frame(side, segment, payload);
        let sender = match side {
            Side::Client => self.client,
            Side::Server => self.server,
        };
        site.host_sends(&sender, &frame)
    }

    /// Sends from an end, which goes on behind it if it was delivered.
    pub(crate) fn send(&mut self, site: &mut Site, side: Side, flags: u8, payload: &[u8]) -> Judged {
        let judged = self.deliver(site, side, self.segment(side, flags), payload);
        if judged.is_delivered() {
            let length = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
            match side {
                Side::Client => self.client_seq = self.client_seq.wrapping_add(length),
                Side::Server => self.server_seq = self.server_seq.wrapping_add(length),
            }
        }
        judged
    }

    /// The client says something.
    pub(crate) fn say(&mut self, site: &mut Site, payload: &[u8]) -> Fate {
        self.send(site, Side::Client, ACK, payload).fate
    }

    /// The server says something.
    pub(crate) fn answer(&mut self, site: &mut Site, payload: &[u8]) -> Fate {
        self.send(site, Side::Server, ACK, payload).fate
    }

    /// Checks that a frame of the client's that ended the connection became a reset for each end: the server's in the
    /// frame's place, the client's sent by the program.
    #[track_caller]
    pub(crate) fn assert_both_reset(&self, site: &Site, judged: &Judged, payload_len: u32) {
        assert!(matches!(judged.fate, Fate::Reset(_)), "{:?}", judged.fate);
        let addr = |host: &Host| if self.version == 4 { host.v4() } else { host.v6() };
        let forth = frame::read(&judged.frame);
        assert_eq!((forth.src, forth.dst), (addr(&self.client), addr(&self.server)));
        assert_eq!((forth.src_port, forth.dst_port), (self.client_port, self.server_port));
        assert_eq!((forth.flags & RST, forth.payload_len), (RST, 0));
        assert_eq!(forth.seq, self.client_seq, "the server accepts it");
        let back = frame::read(&site.heard_by(&self.client));
        assert_eq!((back.src, back.dst), (addr(&self.server), addr(&self.client)));
        assert_eq!((back.src_port, back.dst_port), (self.server_port, self.client_port));
        assert_eq!((back.flags & RST, back.payload_len), (RST, 0));
        assert_eq!(back.seq, self.server_seq, "the client accepts it");
        assert_eq!(back.ack, self.client_seq.wrapping_add(payload_len));
    }
}
