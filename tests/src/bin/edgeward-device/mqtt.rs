//! One connection to the broker, as a stream of what arrives.

use std::{net::SocketAddr, time::Duration};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet};
use tokio::sync::mpsc;

/// How soon a device that lost its broker tries again.
pub(crate) const RETRY: Duration = Duration::from_millis(2);

/// Where and as whom to connect.
#[derive(clap::Args, Clone)]
pub(crate) struct Broker {
    /// Address and port of the broker
    #[arg(long)]
    pub(crate) broker: SocketAddr,
    /// MQTT client identifier
    #[arg(long)]
    pub(crate) client_id: String,
}

/// A connection that is being made or stands. It ends when nothing arrives any more; there is no reconnecting inside, so
/// that a device sees and reports every end.
pub(crate) struct Connection {
    pub(crate) client: AsyncClient,
    arriving: mpsc::Receiver<Packet>,
    driver: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) fn open(broker: &Broker) -> Self {
        let mut options =
            MqttOptions::new(&broker.client_id, broker.broker.ip().to_string(), broker.broker.port());
        options.set_keep_alive(Duration::from_secs(20)).set_max_packet_size(4 << 20, 4 << 20);
        let (client, mut events) = AsyncClient::new(options, 64);
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(5);
        events.set_network_options(network);
        let (sender, arriving) = mpsc::channel(64);
        // The event loop must not be dropped while it waits, so it gets a task of its own.
        let driver = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && sender.send(packet).await.is_err()
                {
                    return;
                }
            }
        });
        Self { client, arriving, driver }
    }

    /// The next packet, or nothing when the connection has ended.
    pub(crate) async fn arrival(&mut self) -> Option<Packet> {
        self.arriving.recv().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
