//! `cargo xtask run`: the firewall live, at a demonstration site or on an interface of this machine.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    host,
    privilege::{self, Privilege},
    setup,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not ask for a password or anything else
    #[arg(long)]
    yes: bool,
    /// Protect this interface of the machine instead of bringing up the demonstration site
    #[arg(long)]
    interface: Option<String>,
    /// End after the scenarios were played once
    #[arg(long, conflicts_with = "interface")]
    once: bool,
    /// Port of the page on 127.0.0.1 (0: any)
    #[arg(long, default_value_t = 8480)]
    port: u16,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let yes = args.yes || privilege::is_ci();
    let privilege = Privilege::acquire(yes)?;
    setup::ensure(privilege)?;
    build::everything(Profile::Debug)?;

    let mut lab = privilege.command(Profile::Debug.binary("edgeward-lab"));
    match &args.interface {
        Some(interface) => lab.args(["protect", interface]),
        None => lab.arg("demo"),
    };
    lab.args(["--port", &args.port.to_string()]);
    if args.once {
        lab.arg("--once");
    }
    // From here on signals are the lab's: this process becomes it.
    Err(lab.exec()).context("cannot start edgeward-lab")
}
