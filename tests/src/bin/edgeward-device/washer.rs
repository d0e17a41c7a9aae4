//! The washing machine, before and after a bad update.

use std::time::Duration;

use anyhow::Result;
use lab::event::{What, report};
use rumqttc::{Packet, QoS};
use tokio::time::{self, MissedTickBehavior};

use crate::mqtt::{Broker, Connection, RETRY};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    broker: Broker,
    /// Milliseconds between two reports
    #[arg(long, default_value_t = 500)]
    every_ms: u64,
    /// Try to open the front door, every two milliseconds, until the broker has taken the command
    #[arg(long)]
    malicious: bool,
}

pub(crate) async fn main(args: Args) -> Result<()> {
    let mut tried = false;
    loop {
        if args.malicious {
            if break_in(&args.broker, &mut tried).await {
                report(What::Delivered);
                return Ok(());
            }
        } else {
            wash(&args.broker, Duration::from_millis(args.every_ms)).await;
        }
        report(What::Disconnected);
        time::sleep(RETRY).await;
    }
}

/// Reports its status until the connection ends.
async fn wash(broker: &Broker, every: Duration) {
    let mut connection = Connection::open(broker);
    let mut tick = time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = false;
    loop {
        tokio::select! {
            packet = connection.arrival() => match packet {
                Some(Packet::ConnAck(_)) => {
                    report(What::Connected);
                    connected = true;
                }
                Some(Packet::PubAck(_)) => report(What::Delivered),
                Some(_) => {}
                None => return,
            },
            _ = tick.tick(), if connected => {
                // A full queue means that the broker does not answer; the connection will end then.
                let _ = connection.client.try_publish("washer/status", QoS::AtLeastOnce, false, "running");
            }
        }
    }
}

/// Tells the door to open until the connection ends; says whether the broker took the command.
async fn break_in(broker: &Broker, tried: &mut bool) -> bool {
    let mut connection = Connection::open(broker);
    let mut tick = time::interval(RETRY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = false;
    loop {
        tokio::select! {
            packet = connection.arrival() => match packet {
                Some(Packet::ConnAck(_)) => {
                    report(What::Connected);
                    connected = true;
                }
                Some(Packet::PubAck(_)) => return true,
                Some(_) => {}
                None => return false,
            },
            _ = tick.tick(), if connected => {
                if !*tried {
                    *tried = true;
                    report(What::Attempt);
                }
                let _ = connection.client.try_publish("lock/front/set", QoS::AtLeastOnce, false, "open");
            }
        }
    }
}
