//! The page: its listener on the host's loopback, its process without privileges, its address with a one-use code.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use dashboard::{
    rpc::{Client, PairingCode, Request},
    view::Role,
};
use lab::process::{self, Process};
use nix::unistd::geteuid;

/// Where a process finds the first listener that it is given (`sd_listen_fds`).
const FIRST_PASSED: RawFd = 3;
/// How long the code of the printed address can be used, in seconds.
const CODE_LIFETIME: u32 = 3600;

/// The running page.
pub(crate) struct Page {
    address: SocketAddr,
    process: Process,
}

impl Page {
    /// Opens the listener here, where the browser is, and starts the page's process with it.
    ///
    /// The daemon's socket is a file, so it does not matter that the daemon is in another network namespace.
    pub(crate) fn start(port: u16, runtime: &Path, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
            format!("the page's port {port} on 127.0.0.1 is not free; end what uses it or choose another with --port")
        })?;
        let address = listener.local_addr().context("a bound listener has an address")?;
        let daemon = process::binary("edgeward")?;
        let mut web = Command::new("sh");
        // LISTEN_PID is the number of the process that is to take the listener, known only after the fork.
        web.args(["-c", "LISTEN_PID=$$ exec \"$@\"", "sh"])
            .arg(daemon)
            .arg("web")
            .arg("--runtime-dir")
            .arg(runtime);
        web.env("LISTEN_FDS", "1").env("RUST_LOG", "info");
        let passed = listener.as_raw_fd();
        // SAFETY: dup2 and fcntl are on the list of functions that may be called between fork and exec, and the
        // listener outlives the spawn.
        unsafe {
            web.pre_exec(move || {
                let done = if passed == FIRST_PASSED {
                    libc::fcntl(passed, libc::F_SETFD, 0)
                } else {
                    libc::dup2(passed, FIRST_PASSED)
                };
                if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        let process = Process::start(&mut web, "web", folder)?;
        Ok(Self { address, process })
    }

    /// The page's address with a fresh code, and how to get there.
    pub(crate) async fn print_address(&self, client: &mut Client) -> Result<()> {
        let code: PairingCode =
            client.call(Request::Pair { seconds: CODE_LIFETIME, role: Role::Owner }).await?;
        let url = format!("http://{}/#/pair?k={}", self.address, code.code);
        println!("The page: {url}");
        if env::var_os("SSH_CONNECTION").is_some() {
            let port = self.address.port();
            println!(
                "From the machine you sit at: ssh -L {port}:127.0.0.1:{port} …, then open the address there"
            );
        }
        let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
        if has_display && !geteuid().is_root() {
            // Without a browser the printed address has to do.
            let _ = Command::new("xdg-open").arg(&url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        }
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Err(error) = self.process.stop() {
            eprintln!("the page's process could not be ended: {error:#}");
        }
    }
}
