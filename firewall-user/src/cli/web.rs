//! `edgeward web`: the page's process. It takes its listener, gives up every right, and serves.

use std::{
    io,
    net::{self, SocketAddr},
    os::fd::{FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use dashboard::http::{self, Options};
use nix::{
    sys::prctl,
    unistd::{User, geteuid, setgid, setgroups, setuid},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{ConfigArgs, config_of};

/// The user of the page's process, where there is one.
const USER: &str = "edgeward";
/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST_PASSED: RawFd = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address and port [default: 127.0.0.1:8480]; a listener that is handed over (`LISTEN_FDS`) comes first
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, runtime_dir: Option<PathBuf>) -> Result<()> {
    let config = config_of(&args.config)?;
    let listener = match passed_listener()? {
        Some(listener) => listener,
        None => bind(args.listen.unwrap_or(config.web.listen))?,
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
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    http::serve(listener, Options { runtime_dir, ..Options::default() }, shutdown).await?;
    Ok(())
}

fn bind(address: SocketAddr) -> Result<net::TcpListener> {
    if !address.ip().is_loopback() {
        bail!(
            "{address} can be reached from outside and this version has no TLS; listen on 127.0.0.1 and use `ssh -L {0}:127.0.0.1:{0}`",
            address.port()
        );
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
    if let Some(user) = User::from_name(USER)? {
        setgroups(&[user.gid])?;
        setgid(user.gid)?;
        setuid(user.uid)?;
    } else {
        tracing::debug!("There is no user {USER}");
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
