//! The program `edgeward`.

use std::process::ExitCode;

use clap::Parser;
use edgeward::cli::{self, Cli};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are a feature that is not built in; asking for them at a terminal is an error.
        .with_ansi(false)
        .with_target(false)
        .init();
    cli::run(cli).await
}
