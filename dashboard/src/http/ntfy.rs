//! Questions are told through an ntfy server, by its published interface (<https://docs.ntfy.sh/publish/>).
//!
//! One POST with a few headers is all there is, so a client of some lines does it: it sends text without content, reads the
//! status, and trusts the authorities that the system trusts. This process does it, not the daemon, which is root.

use std::{io, sync::Arc, time::Duration};

use axum::http::uri::{Authority, Scheme, Uri};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{Shared, now};
use crate::{
    pushes::{Heard, Outage, Push, Pushes},
    rpc::Request,
    view::{Ntfy, UnixSeconds},
};

/// Where systems keep the authorities that they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Time for a message to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the answer no more than this is read.
const ANSWER_LIMIT: u64 = 1024;
/// Pause after a message that could not be sent, and how often it is tried.
const RETRY: (Duration, usize) = (Duration::from_mins(1), 3);
/// The longest wait between two looks at the clock, which may be set.
const LOOK: Duration = Duration::from_secs(30);

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NtfyError {
    #[error("the address of the server is none")]
    Address,
    #[error("this system has no list of authorities; install the package ca-certificates")]
    NoAuthorities,
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    #[error("the server does not answer")]
    Silent,
    #[error("the server answers {0}")]
    Refused(u16),
}

/// The server of an address without a path, as it is shown and used; `None` if it is none.
pub fn server_of(address: &str) -> Option<String> {
    let uri: Uri = address.trim().parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let port_is_one = authority.as_str().len() == authority.host().len() || authority.port_u16().is_some();
    let is_plain =
        matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
    let is_server =
        matches!(scheme, "http" | "https") && is_plain && port_is_one && !authority.host().is_empty();
    is_server.then(|| format!("{scheme}://{authority}"))
}

/// Tells phones for as long as this process lives.
pub(super) async fn tell(shared: Arc<Shared>, mut heard: mpsc::Receiver<Heard>) {
    let mut pushes = Pushes::new(shared.options.end_of_day);
    loop {
        let wait = pushes.poll_timeout(now()).map(|due| until(due).min(LOOK));
        tokio::select! {
            heard = heard.recv() => match heard {
                Some(heard) => pushes.handle(&heard, now()),
                None => return,
            },
            () = async { match wait { Some(wait) => sleep(wait).await, None => std::future::pending().await } } => {}
        }
        if let Some(push) = pushes.next_push(now()) {
            let told = pushes.told().clone();
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                if matches!(push, Push::Questions { .. }) {
                    // Who is told twice after a restart has lost less than who is not told.
                    let _unreachable = shared.daemon.ask::<()>(Request::NoteTold { told }).await;
                }
                send_to_whoever_listens(&shared, push).await;
            });
        }
    }
}

fn until(due: UnixSeconds) -> Duration {
    Duration::from_secs(due.saturating_sub(now()).max(0).unsigned_abs())
}

pub(super) async fn send_to_whoever_listens(shared: &Shared, push: Push) {
    for attempt in 1..=RETRY.1 {
        // Asked each time: meanwhile there may be another topic, or none. Who does not answer had one.
        if let Ok(ntfy) = shared.daemon.ask::<Option<Ntfy>>(Request::Ntfy).await {
            shared.remember_ntfy(ntfy);
        }
        let Some(ntfy) = shared.ntfy() else { return };
        match send(&ntfy, &text(push), is_urgent(push)).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, attempt, "A message could not be told"),
        }
        sleep(RETRY.0).await;
    }
}

fn is_urgent(push: Push) -> bool {
    match push {
        Push::Questions { is_urgent, .. } => is_urgent,
        Push::Outage(_) => true,
        Push::AllWell => false,
    }
}

fn text(push: Push) -> String {
    match push {
        Push::Questions { count, wishes, .. } if wishes == count => {
            "Somebody asks for your decision. It stays blocked until you decide.".to_owned()
        }
        Push::Questions { count, is_urgent, .. } => {
            let things =
                if count == 1 { "1 question waits".to_owned() } else { format!("{count} questions wait") };
            let important = if is_urgent { ", at least one is important" } else { "" };
            format!("{things} for your decision{important}. New things stay blocked until you decide.")
        }
        Push::Outage(Outage::NotRunning) => {
            "Edgeward is not running. What is blocked stays blocked, but nothing new can be asked. Start it again, or \
             restart the box."
                .to_owned()
        }
        Push::Outage(Outage::NotProtecting) => {
            "Protection is not running. Open the page to see why and what to do.".to_owned()
        }
        Push::AllWell => "Protection is running again.".to_owned(),
    }
}

/// Publishes one message.
pub(super) async fn send(ntfy: &Ntfy, text: &str, is_urgent: bool) -> Result<(), NtfyError> {
    timeout(PATIENCE, publish(ntfy, text, is_urgent)).await.unwrap_or(Err(NtfyError::Silent))
}

async fn publish(ntfy: &Ntfy, text: &str, is_urgent: bool) -> Result<(), NtfyError> {
    let uri: Uri = ntfy.server.parse().map_err(|_| NtfyError::Address)?;
    let authority = uri.authority().ok_or(NtfyError::Address)?;
    let request = request(ntfy, authority, text, is_urgent);
    let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let status = if is_tls {
        let name = ServerName::try_from(host).map_err(|_| NtfyError::Address)?;
        exchange(connector()?.connect(name, stream).await?, &request).await?
    } else {
        exchange(stream, &request).await?
    };
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(NtfyError::Refused(status)),
        None => Err(NtfyError::Silent),
    }
}

fn request(ntfy: &Ntfy, authority: &Authority, text: &str, is_urgent: bool) -> String {
    let priority = if is_urgent { "high" } else { "default" };
    let click = ntfy.page.as_ref().map_or_else(String::new, |page| format!("Click: {page}\r\n"));
    format!(
        "POST /{} HTTP/1.1\r\nHost: {authority}\r\nTitle: Edgeward\r\nPriority: {priority}\r\nTags: lock\r\n{click}\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        ntfy.topic,
        text.len(),
    )
}

/// Sends a request and returns the status of the answer, if that is one.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Option<u16>> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_LIMIT);
    while !answer.contains(&b'\n') && limited.read_buf(&mut answer).await? > 0 {}
    let line = String::from_utf8_lossy(&answer);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    Ok(words.next().filter(|_| is_http).and_then(|status| status.parse().ok()))
}

fn connector() -> Result<TlsConnector, NtfyError> {
    let list =
        AUTHORITIES.iter().find_map(|path| std::fs::read(path).ok()).ok_or(NtfyError::NoAuthorities)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&list).filter_map(Result::ok));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
