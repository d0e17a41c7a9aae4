//! `cargo xtask lab up|down|scenario NAME`: builds, then hands over to `edgeward-lab`, which needs root.

use std::{ffi::OsString, os::unix::process::CommandExt};

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    host,
    privilege::Privilege,
    setup,
};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What `edgeward-lab` understands: `up`, `down`, `scenario NAME [--json]`, `--help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let privilege = Privilege::acquire(args.arguments.iter().any(|argument| argument == "--yes"))?;
    setup::ensure(privilege)?;
    build::everything(Profile::Debug)?;
    let error = privilege.command(Profile::Debug.binary("edgeward-lab")).args(&args.arguments).exec();
    Err(error).context("cannot start edgeward-lab")
}
