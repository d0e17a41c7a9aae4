//! The front door's lock.

use anyhow::Result;
use lab::event::{What, report};
use rumqttc::{Packet, QoS};

use crate::mqtt::{Broker, Connection, RETRY};

const COMMANDS: &str = "lock/front/set";
const STATE: &str = "lock/front/state";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    broker: Broker,
}

pub(crate) async fn main(args: Args) -> Result<()> {
    loop {
        obey(&args.broker).await?;
        report(What::Disconnected);
        tokio::time::sleep(RETRY).await;
    }
}

/// Obeys commands until the connection ends.
async fn obey(broker: &Broker) -> Result<()> {
    let mut connection = Connection::open(broker);
    while let Some(packet) = connection.arrival().await {
        match packet {
            Packet::ConnAck(_) => {
                report(What::Connected);
                connection.client.subscribe(COMMANDS, QoS::AtLeastOnce).await?;
            }
            Packet::SubAck(_) => {
                report(What::Subscribed);
                connection.client.publish(STATE, QoS::AtMostOnce, false, "closed").await?;
            }
            Packet::Publish(message) if message.topic == COMMANDS => {
                let state = match message.payload.as_ref() {
                    b"open" => {
                        report(What::Opened);
                        "open"
                    }
                    b"close" => {
                        report(What::Closed);
                        "closed"
                    }
                    // A lock does nothing on a command that it does not know.
                    _ => continue,
                };
                connection.client.publish(STATE, QoS::AtMostOnce, false, state).await?;
            }
            _ => {}
        }
    }
    Ok(())
}
