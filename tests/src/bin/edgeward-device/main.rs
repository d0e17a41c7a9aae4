//! The programs of the demonstration site's devices: small, real clients and servers that know nothing of a firewall.

mod battery;
mod energy;
mod lock;
mod mqtt;
mod washer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "edgeward-device", about = "A device of the demonstration site")]
struct Cli {
    #[command(subcommand)]
    device: Device,
}

#[derive(Subcommand)]
enum Device {
    /// The front door's lock: obeys `lock/front/set`, reports `lock/front/state`
    Lock(lock::Args),
    /// The washing machine: reports `washer/status`; after a bad update it reaches for the door
    Washer(washer::Args),
    /// The battery: answers every reader with its charge and reports `battery/charge`
    Battery(battery::Args),
    /// The hub's energy manager: reads the battery
    Energy(energy::Args),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().device {
        Device::Lock(args) => lock::main(args).await,
        Device::Washer(args) => washer::main(args).await,
        Device::Battery(args) => battery::main(args).await,
        Device::Energy(args) => energy::main(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
