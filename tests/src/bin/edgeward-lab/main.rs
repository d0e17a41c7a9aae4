//! `edgeward-lab`: the demonstration site by hand. `cargo xtask lab` and `cargo xtask run` build and call it as root.

mod demo;
mod page;
mod protect;
mod scenario;
mod up;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use lab::{Site, Topology};
use nix::unistd::geteuid;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "edgeward-lab", about = "The demonstration site in network namespaces")]
struct Cli {
    /// Name of the site, else that in `EDGEWARD_SITE`; several can be up at once
    #[arg(long, global = true, default_value_t = site_of_environment())]
    site: String,
    /// routed, masqueraded or bridged
    #[arg(long, global = true, default_value = "routed")]
    topology: Topology,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring the site up, with its devices running
    Up(up::Args),
    /// Take the site down
    Down,
    /// Play a scenario without and with the firewall, and measure it
    Scenario(scenario::Args),
    /// Show the firewall and its page live, with both scenarios
    Demo(demo::Args),
    /// Protect an interface of this machine, with the page
    Protect(protect::Args),
}

fn site_of_environment() -> String {
    std::env::var("EDGEWARD_SITE").unwrap_or_else(|_| "edgeward".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // A temporary site goes down when the verb is dropped, so an interrupted one leaves nothing behind.
    let done = tokio::select! {
        done = verb(&cli) => done,
        ended = end_is_asked_for() => ended,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn verb(cli: &Cli) -> Result<()> {
    if !geteuid().is_root() {
        bail!("network namespaces need root; `cargo xtask lab` calls this through sudo");
    }
    match &cli.verb {
        Verb::Up(args) => up::main(args, &cli.site, cli.topology),
        Verb::Down => Site::remove(&cli.site),
        Verb::Scenario(args) => scenario::main(args, &cli.site, cli.topology).await,
        Verb::Protect(args) => protect::main(args).await,
        Verb::Demo(args) => demo::main(args, &cli.site, cli.topology).await,
    }
}

async fn end_is_asked_for() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    eprintln!("\nEnding.");
    Ok(())
}
