//! Every task of a developer or newcomer: `cargo xtask VERB`, one file per verb.
//!
//! A verb first looks at the machine ([`host`]), installs what is missing ([`setup`]), builds the kernel programs, the
//! page and the workspace ([`build`]) and then does its work. Only package installation, network namespaces and loading
//! need root; they go through [`privilege`], and cargo itself never does.

// The verbs.
mod bench;
mod build;
mod ci;
mod fuzz;
mod kernels;
mod lab;
mod lint;
mod run;
mod setup;
mod test;
mod types;

// What they stand on.
mod host;
mod privilege;
mod shell;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code for a machine or user that cannot do what was asked, as in `sysexits.h`.
const EX_USAGE: u8 = 64;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the Edgeward workspace")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what building, running and testing need, and nothing that is already there
    Setup(setup::Args),
    /// Build the kernel programs, the page and the workspace
    Build(build::Args),
    /// Show the firewall live at a demonstration site, or protect an interface
    Run(run::Args),
    /// Build everything and run every test
    Test(test::Args),
    /// Bring the demonstration site up or down, or measure one of its scenarios
    Lab(lab::Args),
    /// Boot older kernels and other machines in QEMU and run the verdict tests there
    Kernels(kernels::Args),
    /// Search every parser for inputs that break it
    Fuzz(fuzz::Args),
    /// Measure what the firewall costs, beside none and beside others
    Bench(bench::Args),
    /// Make the page's types from the view models, or check that they are
    Types(types::Args),
    /// Check format and lints
    Lint,
    /// Do what the build server does: lint, then every test
    Ci,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup(args) => setup::main(&args),
        Verb::Build(args) => build::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Lab(args) => lab::main(&args),
        Verb::Kernels(args) => kernels::main(&args),
        Verb::Fuzz(args) => fuzz::main(&args),
        Verb::Bench(args) => bench::main(&args),
        Verb::Types(args) => types::main(&args),
        Verb::Lint => lint::main(),
        Verb::Ci => ci::main(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<privilege::Missing>() || error.is::<host::Short>() {
                ExitCode::from(EX_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
