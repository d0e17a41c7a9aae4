//! `edgeward web`: the page's process. It takes its listener, gives up every right, and serves.

mod name;

use std::{
    io,
    net::{self, IpAddr, SocketAddr},
    os::fd::{FromRawFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use dashboard::{
    http::{self, Listening, Options, Tls},
    rpc::{Certificate, Client, Request},
};
use nix::{
    sys::prctl,
    unistd::{User, geteuid, setgid, setgroups, setuid},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Notify,
    time::timeout,
};

use super::{ConfigArgs, config_of};
use crate::{authority, clock::end_of_day, socket::PAGE_USER};

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST_PASSED: RawFd = 3;

/// How often the certificate is renewed. It is so often because who vouches for the page may be another one.
const RENEW: Duration = Duration::from_mins(1);
/// How often it is looked whether the clock was set, or whether the daemon is there by now.
const LOOK: Duration = Duration::from_secs(5);
/// What a clock may be off before the certificate is renewed, in seconds.
const DRIFT: u64 = 3_600;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address and port, repeated for more [default: 127.0.0.1:8480]: loopback in clear, the LAN with TLS; a listener
    /// that is handed over (`LISTEN_FDS`) comes first
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
}

pub(super) async fn run(args: Args, runtime_dir: Option<PathBuf>) -> Result<()> {
    keep_little_memory();
    let config = config_of(&args.config)?;
    let listeners = if let Some(listener) = passed_listener()? {
        vec![listener]
    } else {
        let wanted = if args.listen.is_empty() { config.web.listen } else { args.listen };
        wanted.into_iter().map(bind).collect::<Result<_>>()?
    };
    give_up_rights().context("Failed to give up the rights of root")?;
    let runtime_dir = runtime_dir.unwrap_or(config.state.runtime_dir);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let tls = Arc::new(Tls::default());
    let mut listening = Vec::new();
    let mut with_tls = Vec::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let in_clear = address.ip().to_canonical().is_loopback();
        if !in_clear {
            with_tls.push(address);
        }
        let tls = (!in_clear).then(|| Arc::clone(&tls));
        listening.push(Listening { listener: TcpListener::from_std(listener)?, tls });
    }
    for address in &with_tls {
        if let IpAddr::V4(here) = address.ip().to_canonical() {
            tokio::spawn(name::answer_at(here));
        }
    }
    let daemon_came = Arc::new(Notify::new());
    if !with_tls.is_empty() {
        let came = Arc::clone(&daemon_came);
        tokio::spawn(keep_certificate(tls, runtime_dir.clone(), with_tls, came));
    }
    let hosts = authority::NAMES.map(str::to_owned).to_vec();
    let options = Options { runtime_dir, hosts, end_of_day, daemon_came, ..Options::default() };
    http::prepare();
    give_memory_back();
    http::serve(listening, options, shutdown).await?;
    Ok(())
}

/// Has what a large answer took given back when it was sent; otherwise the allocator keeps a few megabytes of it for ever.
fn keep_little_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers, and changes nothing but how memory is taken and given back.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 * 1024);
    }
}

/// Gives back what was taken and is free. What is served fits into little; what was read at the start does not.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes an integer, and gives free pages back only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Fetches a certificate from the daemon, and a new one in time, when the clock was set, or from a daemon that has come:
/// where the page listens is known to it by the request only.
async fn keep_certificate(
    tls: Arc<Tls>,
    runtime_dir: PathBuf,
    listening: Vec<SocketAddr>,
    daemon_came: Arc<Notify>,
) {
    let mut made: Option<Made> = None;
    loop {
        if !made.is_some_and(|made| made.is_good(made.at.elapsed(), unix_now())) {
            match fetch_certificate(&tls, &runtime_dir, &listening).await {
                Ok(unix) => made = Some(Made { at: Instant::now(), unix }),
                Err(error) => tracing::debug!(error = format!("{error:#}"), "No certificate yet"),
            }
        }
        if timeout(LOOK, daemon_came.notified()).await.is_ok() {
            made = None;
        }
    }
}

/// When a certificate was made, by a clock that only goes on and by one that may be set.
#[derive(Clone, Copy)]
struct Made {
    at: Instant,
    unix: i64,
}

impl Made {
    /// Whether it need not be renewed: it is young, and nobody has set the clock.
    fn is_good(self, passed: Duration, unix_now: i64) -> bool {
        let expected = self.unix.saturating_add_unsigned(passed.as_secs());
        passed < RENEW && unix_now.abs_diff(expected) < DRIFT
    }
}

async fn fetch_certificate(tls: &Tls, runtime_dir: &Path, listening: &[SocketAddr]) -> Result<i64> {
    let mut client = Client::connect(runtime_dir).await?;
    let request = Request::Certificate { listening: listening.to_vec() };
    let certificate: Certificate = client.call(request).await?;
    tls.replace(&certificate)?;
    Ok(certificate.issued_at)
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs().cast_signed())
}

fn bind(address: SocketAddr) -> Result<net::TcpListener> {
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() {
        bail!("{address} is every address, also that of the uplink; name the box's address on the LAN");
    }
    if !authority::is_private(ip) && !ip.is_loopback() {
        bail!("{address} can be reached from the Internet; listen on an address of the LAN, or on 127.0.0.1");
    }
    match net::TcpListener::bind(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!("another program uses {address}; end it, or choose another port with --listen")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}

/// The listener that whoever started this process has opened for it.
fn passed_listener() -> Result<Option<net::TcpListener>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(None);
    }
    match number("LISTEN_FDS") {
        None | Some(0) => return Ok(None),
        Some(1) => {}
        Some(more) => bail!("{more} listeners were handed over; hand over one"),
    }
    // SAFETY: LISTEN_PID names this process, so by the protocol the descriptor is open and nobody else's.
    let passed = unsafe { OwnedFd::from_raw_fd(FIRST_PASSED) };
    Ok(Some(net::TcpListener::from(passed)))
}

/// Becomes the page's own user, or stays root without any capability where that user does not exist.
fn give_up_rights() -> Result<()> {
    prctl::set_no_new_privs()?;
    if !geteuid().is_root() {
        return Ok(());
    }
    if let Some(user) = User::from_name(PAGE_USER)? {
        setgroups(&[user.gid])?;
        setgid(user.gid)?;
        setuid(user.uid)?;
    } else {
        tracing::debug!("There is no user {PAGE_USER}");
    }
    drop_capabilities()?;
    Ok(())
}

/// `capset(2)` with three empty sets.
fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: two words per set.
    const VERSION: u32 = 0x2008_0522;
    let header = Header { version: VERSION, pid: 0 };
    let sets = [[0_u32; 3]; 2];
    // SAFETY: both pointers are to live memory of the layout that version 3 asks for; the kernel only reads the sets.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time_and_when_the_clock_was_set() {
        let made = Made { at: Instant::now(), unix: 1_000_000_000 };
        let second = Duration::from_secs(1);
        assert!(made.is_good(second, 1_000_000_001));
        assert!(!made.is_good(RENEW, 1_000_000_060), "its time has come");
        // A box without a battery woke up in 1970, or in 2001, and then something told it the time.
        for set in [1_900_000_000, 1_000_003_601, 60] {
            assert!(!made.is_good(second, set), "{set}");
        }
    }
}
