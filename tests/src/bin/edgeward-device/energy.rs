//! The hub's energy manager, which reads the battery.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use lab::event::{What, report};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::{self, MissedTickBehavior},
};

/// A reader that is neither answered nor refused gives up after this and tries again.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address and port of the battery
    #[arg(long)]
    battery: SocketAddr,
    /// Milliseconds between two attempts
    #[arg(long, default_value_t = 2)]
    every_ms: u64,
    /// End when the battery has answered
    #[arg(long)]
    once: bool,
}

pub(crate) async fn main(args: Args) -> Result<()> {
    let mut tick = time::interval(Duration::from_millis(args.every_ms));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tried = false;
    loop {
        tick.tick().await;
        if !tried {
            tried = true;
            report(What::Attempt);
        }
        match time::timeout(PATIENCE, read(args.battery)).await {
            Ok(Ok(charge)) if charge.trim().parse::<u8>().is_ok() => {
                report(What::Reached);
                if args.once {
                    return Ok(());
                }
            }
            Ok(Ok(_) | Err(_)) | Err(_) => {}
        }
    }
}

async fn read(battery: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect(battery).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(line)
}
