//! `lab protect IF`: no demonstration but this machine: the daemon on one of its interfaces, and the page.

use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dashboard::rpc::{Client, SOCKET};
use lab::process::binary;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time;

use crate::page::Page;

/// Where a daemon that is told nothing else has its socket.
const RUNTIME: &str = "/run/edgeward";
/// How long the daemon may take to load its programs.
const START: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The interface where the devices are
    interface: String,
    /// monitor or enforce
    #[arg(long)]
    mode: Option<String>,
    /// Port of the page on 127.0.0.1
    #[arg(long, default_value_t = 8480)]
    port: u16,
}

pub(crate) async fn main(args: &Args) -> Result<()> {
    let mut run = Command::new(binary("edgeward")?);
    run.args(["run", "--interface", &args.interface]);
    if let Some(mode) = &args.mode {
        run.args(["--mode", mode]);
    }
    let mut daemon = Ended(run.spawn().context("cannot start the daemon")?);
    let runtime = Path::new(RUNTIME);
    let mut client = daemon.client(runtime).await?;
    let page = Page::start(args.port, runtime, runtime)?;
    page.print_address(&mut client).await?;
    println!(
        "{} is protected until `edgeward unload`, also after Ctrl-C: what is not allowed does not pass without the daemon.",
        args.interface
    );
    daemon.wait().await
}

/// The daemon, asked to end when the value goes.
struct Ended(Child);

impl Ended {
    /// Waits until the daemon answers.
    async fn client(&mut self, runtime: &Path) -> Result<Client> {
        let deadline = time::Instant::now() + START;
        while !runtime.join(SOCKET).exists() || Client::connect(runtime).await.is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("the daemon ended at its start ({status})");
            }
            if time::Instant::now() > deadline {
                bail!("the daemon does not answer");
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Client::connect(runtime).await?)
    }

    async fn wait(&mut self) -> Result<()> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                bail!("the daemon ended ({status})");
            }
            time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let ended =
            kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).map_err(anyhow::Error::from);
        if let Err(error) = ended.and_then(|()| Ok(self.0.wait()?)) {
            eprintln!("the daemon could not be ended: {error:#}");
        }
    }
}
