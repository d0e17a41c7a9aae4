//! `cargo xtask types`: the TypeScript types of the page, made from the view models.

use anyhow::Result;

use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing and fail if they are not those of the view models
    #[arg(long)]
    check: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut test = shell::cargo();
    test.args(["test", "--quiet", "--package", "dashboard", "--lib", "types_of_the_page"]);
    if args.check {
        test.env_remove("EDGEWARD_UPDATE_TYPES");
    } else {
        test.env("EDGEWARD_UPDATE_TYPES", "1");
    }
    shell::run(&mut test)
}
