//! Keeps Home Assistant up to date through a broker, and takes presses of its one button.

use std::{sync::Arc, time::Duration};

use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use crate::{
    home::{AVAILABLE_TOPIC, CLIENT_ID, COMMAND_TOPIC, messages, pressed},
    rpc::{Broker, Decided, Request, Waiting},
    view::BrokerState,
};

/// How often it is looked whether there is a broker by now.
const LOOK: Duration = Duration::from_mins(1);
/// Pause after a connection has ended.
const RETRY: Duration = Duration::from_secs(5);
/// What waits is told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// Largest message that is taken; a press has a few bytes.
const LARGEST: usize = 4 * 1024;
/// Messages that may wait to be sent.
const QUEUE: usize = 32;

/// Follows the settings for as long as this process lives.
pub(super) async fn follow(shared: Arc<Shared>) {
    // A daemon that does not answer had one, and Home Assistant shall learn that it does not answer.
    let mut last = None;
    loop {
        if let Ok(broker) = shared.daemon.ask::<Option<Broker>>(Request::Broker).await {
            last = broker;
        }
        let Some(broker) = &last else {
            let _looked = timeout(LOOK, shared.home_changed.notified()).await;
            continue;
        };
        if let Err(state) = serve(&shared, broker).await {
            shared.note_home(state);
            let _set_anew = timeout(RETRY, shared.home_changed.notified()).await;
        }
    }
}

/// One connection, until someone sets up another; or how it stands when it has ended.
async fn serve(shared: &Shared, broker: &Broker) -> Result<(), BrokerState> {
    let (client, mut events) = connect(broker);
    let mut news = shared.live.news();
    let mut told = None;
    let mut next = Instant::now();
    let mut stands = false;
    loop {
        tokio::select! {
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    (stands, told) = (true, None);
                    client.try_subscribe(COMMAND_TOPIC, QoS::AtLeastOnce).map_err(|_| BrokerState::Unreachable)?;
                    let _unreachable = shared.daemon.ask::<()>(Request::Reached).await;
                    shared.note_home(BrokerState::Connected);
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if let Some(edge) = pressed(&message.topic, &message.payload).filter(|_| !message.retain) {
                        keep_blocked(shared, edge).await;
                        next = Instant::now();
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "The connection to Home Assistant's broker has ended");
                    let is_refused = matches!(error, ConnectionError::ConnectionRefused(_));
                    return Err(if is_refused { BrokerState::Refused } else { BrokerState::Unreachable });
                }
            },
            () = sleep_until(next), if stands => {
                next = Instant::now() + TELL_EVERY;
                if news.has_changed().unwrap_or(true) || told.is_none() {
                    news.mark_unchanged();
                    let asked = shared.daemon.ask::<Waiting>(Request::Waiting).await;
                    let known = || told.as_ref().map(|(waiting, _)| Waiting::clone(waiting));
                    let waiting = asked.ok().or_else(known).unwrap_or_default();
                    let state = (waiting, shared.live.outage().is_some());
                    if told.as_ref() != Some(&state) {
                        tell(&client, &state.0, state.1).map_err(|_| BrokerState::Unreachable)?;
                    }
                    told = Some(state);
                }
            }
            () = shared.home_changed.notified() => {
                leave(&client, events).await;
                return Ok(());
            }
        }
    }
}

fn connect(broker: &Broker) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(CLIENT_ID, &broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(LARGEST, LARGEST);
    options.set_last_will(LastWill::new(AVAILABLE_TOPIC, "offline", QoS::AtLeastOnce, true));
    if let Some(user) = &broker.user {
        options.set_credentials(user, broker.password.as_deref().unwrap_or_default());
    }
    AsyncClient::new(options, QUEUE)
}

fn tell(client: &AsyncClient, waiting: &Waiting, is_outage: bool) -> Result<(), ClientError> {
    messages(waiting, is_outage)
        .into_iter()
        .try_for_each(|message| client.try_publish(message.topic, QoS::AtLeastOnce, true, message.payload))
}

async fn keep_blocked(shared: &Shared, edge: u32) {
    match shared.daemon.ask::<Decided>(Request::KeepBlocked { edge }).await {
        Ok(_) => tracing::info!(edge, "Kept blocked by Home Assistant"),
        Err(error) => tracing::debug!(%error, edge, "A press of the button was about nothing that waits"),
    }
}

/// Says that the box is gone, as its will would.
async fn leave(client: &AsyncClient, mut events: EventLoop) {
    let said = client.try_publish(AVAILABLE_TOPIC, QoS::AtLeastOnce, true, "offline").is_ok()
        && client.try_disconnect().is_ok();
    let _late = timeout(GOODBYE, async { while said && events.poll().await.is_ok() {} }).await;
}
