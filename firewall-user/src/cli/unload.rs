//! `edgeward unload`: everything off, on purpose. The model and the decisions stay on the disk.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use dashboard::rpc::Client;

use super::{ConfigArgs, config_of};
use crate::{guard, kernel, net::Snapshot};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of the pinned maps and links
    #[arg(long, value_name = "DIR")]
    bpffs: Option<PathBuf>,
}

pub(super) async fn run(args: Args, runtime_dir: Option<PathBuf>) -> Result<()> {
    let config = config_of(&args.config)?;
    if !nix::unistd::geteuid().is_root() {
        bail!("unloading needs root; run it with sudo");
    }
    let runtime_dir = runtime_dir.unwrap_or(config.state.runtime_dir);
    if Client::connect(&runtime_dir).await.is_ok() {
        bail!("the daemon is running; stop it first, or it would load everything again");
    }
    let bpffs = args.bpffs.unwrap_or(config.state.bpffs);
    if bpffs.exists() {
        // A running daemon holds the lock.
        let pins = kernel::Pins::open(&bpffs)?;
        pins.remove_all().context("Failed to remove the pinned maps and links")?;
    }
    // Before Linux 6.6 there are no links, and the command line of the daemon may have named any interface.
    for link in Snapshot::take().context("Failed to list the interfaces")?.links {
        if let Ok(interface) = link.name.parse() {
            kernel::detach_clsact(&interface);
        }
    }
    guard::unload()?;
    println!("Nothing is judged or blocked any more. The model is kept in {}.", config.state.dir.display());
    Ok(())
}
