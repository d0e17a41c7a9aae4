//! The battery: a small TCP service, and reports over MQTT.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use lab::event::{What, report};
use rumqttc::{Packet, QoS};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::{self, MissedTickBehavior},
};

use crate::mqtt::{Broker, Connection, RETRY};

/// What it always answers; nothing here depends on the number.
const CHARGE: &str = "87";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to answer readers
    #[arg(long)]
    listen: SocketAddr,
    /// Report the charge to this broker as well
    #[arg(long, requires = "client_id")]
    broker: Option<SocketAddr>,
    /// MQTT client identifier
    #[arg(long)]
    client_id: Option<String>,
}

pub(crate) async fn main(args: Args) -> Result<()> {
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    report(What::Listening);
    if let (Some(broker), Some(client_id)) = (args.broker, args.client_id) {
        tokio::spawn(report_charge(Broker { broker, client_id }));
    }
    loop {
        let (reader, _) = listener.accept().await.context("cannot accept readers any more")?;
        tokio::spawn(answer(reader));
    }
}

async fn answer(mut reader: TcpStream) {
    // A reader that went away is its own problem.
    let _ = reader.write_all(format!("{CHARGE}\n").as_bytes()).await;
}

async fn report_charge(broker: Broker) {
    loop {
        let mut connection = Connection::open(&broker);
        let mut tick = time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connected = false;
        loop {
            tokio::select! {
                packet = connection.arrival() => match packet {
                    Some(Packet::ConnAck(_)) => {
                        report(What::Connected);
                        connected = true;
                    }
                    Some(_) => {}
                    None => break,
                },
                _ = tick.tick(), if connected => {
                    let _ = connection.client.try_publish("battery/charge", QoS::AtMostOnce, false, CHARGE);
                }
            }
        }
        time::sleep(RETRY).await;
    }
}
