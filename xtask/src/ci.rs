//! `cargo xtask ci`: what the build server does.

use anyhow::Result;

use crate::{lint, privilege::Privilege, setup, test};

pub(crate) fn main() -> Result<()> {
    setup::ensure(Privilege::acquire(true)?)?;
    lint::main()?;
    test::main(&test::Args { all: true, yes: true, filter: None })
}
