//! Answers for the box's own name where the page is served. The process that does it has no rights to lose.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{net::UdpSocket, time::timeout};

use crate::{
    authority,
    mdns::{self, GROUP, PORT},
    net::multicast,
};

/// Longest message that is looked at; a question for one name has 32 bytes.
const MESSAGE: usize = 1_500;
/// One answer serves everyone who has asked meanwhile (RFC 6762, section 6).
const PAUSE: Duration = Duration::from_secs(1);
/// How often the link is joined anew: it may have been made anew.
const REJOIN: Duration = Duration::from_mins(1);

/// Answers at the link that has this address.
pub(super) async fn answer_at(here: Ipv4Addr) {
    let mut told: Option<Instant> = None;
    loop {
        let ended = timeout(REJOIN, answer_until_lost(here, &mut told)).await;
        if let Ok(Err(error)) = ended {
            tracing::debug!(%error, %here, "Nobody is told the name of this box");
            tokio::time::sleep(REJOIN).await;
        }
    }
}

async fn answer_until_lost(here: Ipv4Addr, told: &mut Option<Instant>) -> io::Result<()> {
    let socket = UdpSocket::from_std(multicast::join(GROUP, PORT, here)?)?;
    let mut message = [0; MESSAGE];
    loop {
        let (length, from) = socket.recv_from(&mut message).await?;
        if from.port() != PORT || told.is_some_and(|told| told.elapsed() < PAUSE) {
            continue;
        }
        let Some(answer) = mdns::answer(&message[..length], authority::NAMES[0], here) else { continue };
        *told = Some(Instant::now());
        socket.send_to(&answer, SocketAddr::from((GROUP, PORT))).await?;
    }
}
