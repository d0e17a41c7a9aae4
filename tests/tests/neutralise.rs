//! One forbidden topic among nine allowed ones on a connection: the nine lose nothing, the tenth never arrives, and the
//! client does not notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use dashboard::rpc::{Action, Answer, EdgeSpec, Lifetime, Request};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    loss, net,
    process::{self, Process},
    scenario::Stage,
    service,
};

const FORBIDDEN: &str = "lock/front/set";
const CLIENT: &str = Device::Washer.host_name();
const PATIENCE: Duration = Duration::from_secs(90);
/// Where the bridge of the washing machine listens to its own clients.
const BRIDGE_PORT: &str = "1884";

/// How long each client publishes; five minutes with `EDGEWARD_LONG`, which may name the one that it is about.
fn seconds() -> u32 {
    if env::var_os("EDGEWARD_LONG").is_some() { 300 } else { 20 }
}

/// The clients whose turn it is.
fn clients() -> Vec<Client> {
    let all = [Client::Paho, Client::PahoWithLoss, Client::Mosquitto];
    let wanted = env::var("EDGEWARD_LONG").unwrap_or_default().to_lowercase();
    let named: Vec<Client> =
        all.into_iter().filter(|client| format!("{client:?}").to_lowercase() == wanted).collect();
    if named.is_empty() { all.to_vec() } else { named }
}

fn allowed() -> [String; 9] {
    std::array::from_fn(|number| format!("washer/sensor/{number}"))
}

/// A client that publishes all ten topics on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Paho,
    PahoWithLoss,
    /// A mosquitto at the washing machine that hands everything on to the hub's.
    Mosquitto,
}

impl Client {
    /// Publishes for a while and returns how many rounds it has made.
    fn publish(self, site: &Site) -> Result<u32> {
        let hub = site.address(Device::Hub).to_string();
        match self {
            Self::Paho => paho(site, &hub, "1883", CLIENT),
            Self::PahoWithLoss => {
                let namespace = site.namespace(Device::Hub);
                loss::lose(&namespace, 3)?;
                let rounds = paho(site, &hub, "1883", CLIENT);
                ensure!(loss::stop_losing(&namespace)? > 0, "nothing was lost");
                rounds
            }
            Self::Mosquitto => {
                let bridge = start_bridge(site, &hub)?;
                let rounds = paho(site, "127.0.0.1", BRIDGE_PORT, "feeder");
                ensure!(bridge.is_alive(), "the bridge has ended");
                rounds
            }
        }
    }
}

fn paho(site: &Site, broker: &str, port: &str, client: &str) -> Result<u32> {
    let output = site
        .namespace(Device::Washer)
        .command("/usr/bin/python3")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/site/paho_ten.py"), broker, port, client])
        .arg(seconds().to_string())
        .args(allowed())
        .arg(FORBIDDEN)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).trim().parse().context("paho counts its rounds")
}

/// A broker at the washing machine that is itself a client of the hub's, with one connection.
fn start_bridge(site: &Site, hub: &str) -> Result<Process> {
    let config = site.folder().join("bridge.conf");
    fs::write(
        &config,
        format!(
            "listener {BRIDGE_PORT} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n\
             max_queued_messages 100000\nconnection hub\naddress {hub}:{}\nremote_clientid {CLIENT}\n\
             bridge_protocol_version mqttv311\ntry_private false\nnotifications false\ncleansession true\n\
             topic # out 1\n",
            service::BROKER_PORT
        ),
    )?;
    let washer = site.namespace(Device::Washer);
    let bridge = Process::start(washer.command("mosquitto").arg("-c").arg(&config), "bridge", site.folder())?;
    let log = site.folder().join("mosquitto.log");
    process::wait_until(PATIENCE, "the bridge to reach the hub", || {
        Ok(fs::read_to_string(&log)?
            .lines()
            .any(|line| line.contains("connected from") && line.contains(CLIENT)))
    })?;
    Ok(bridge)
}

/// A real subscriber to everything, and what it has written down.
struct Subscriber {
    process: Process,
    seen: PathBuf,
}

impl Subscriber {
    fn listen(site: &Site, name: &str) -> Result<Self> {
        let hub = site.namespace(Device::Hub);
        let mut command = hub.command("mosquitto_sub");
        // Also what was neutralised and should not have been.
        command.args(["-h", "127.0.0.1", "-t", "#", "-t", "$asher/#", "-q", "1", "-i", name, "-F", "%t %p"]);
        let process = Process::start(&mut command, name, site.folder())?;
        let seen = site.folder().join(format!("{name}.events"));
        let subscriber = Self { process, seen };
        process::wait_until(PATIENCE, "the subscriber to listen", || {
            Self::mark(site, "listens")?;
            Ok(!subscriber.counts()?.is_empty())
        })?;
        Ok(subscriber)
    }

    /// Sends a mark through the broker, behind everything that it has taken.
    fn mark(site: &Site, text: &str) -> Result<()> {
        let mut publish = site.namespace(Device::Hub).command("mosquitto_pub");
        net::run(publish.args(["-h", "127.0.0.1", "-q", "1", "-t", "mark", "-m", text]))
    }

    /// The payloads that came for each topic, in order.
    fn counts(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let text = fs::read_to_string(&self.seen).context("cannot read what has come")?;
        let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let (topic, payload) = line.split_once(' ').unwrap_or((line, ""));
            counts.entry(topic.to_owned()).or_default().push(payload.to_owned());
        }
        Ok(counts)
    }

    /// Everything that has come by now.
    fn stop(self, site: &Site) -> Result<BTreeMap<String, Vec<String>>> {
        Self::mark(site, "end")?;
        process::wait_until(PATIENCE, "the last message", || {
            Ok(self.counts()?.get("mark").is_some_and(|marks| marks.iter().any(|mark| mark == "end")))
        })?;
        self.process.stop()?;
        self.counts()
    }
}

/// Which messages did not come, and what the broker says: it drops what a slow subscriber does not take.
fn missing(site: &Site, seen: &BTreeMap<String, Vec<String>>, expected: &[String]) -> String {
    let mut text = String::new();
    for topic in allowed() {
        let came: BTreeSet<&String> = seen.get(&topic).into_iter().flatten().collect();
        let lost: Vec<&String> = expected.iter().filter(|payload| !came.contains(payload)).collect();
        let first: Vec<_> = lost.iter().take(5).collect();
        let _ = writeln!(text, "{topic}: {} lost, first {first:?}", lost.len());
    }
    let log = fs::read_to_string(site.folder().join("mosquitto.log"));
    let log = log.unwrap_or_else(|error| format!("no log of the broker: {error}"));
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("mosquitto_pub")).collect();
    text + &lines[lines.len().saturating_sub(40)..].join("\n")
}

async fn write(stage: &mut Stage<'_>, topic: &str, answer: Answer, action: Action) -> Result<()> {
    let spec = EdgeSpec {
        from: Device::Washer.mac(),
        to: Device::Hub.mac(),
        plane: "packet".to_owned(),
        verb: "publish".to_owned(),
        object: topic.to_owned(),
        action,
        no_retain: false,
        max_qos: None,
    };
    let request = Request::EdgeDecide { spec, answer, lifetime: Lifetime::Always };
    let _: serde_json::Value = stage.client.call(request).await.with_context(|| topic.to_owned())?;
    Ok(())
}

#[tokio::test]
async fn one_forbidden_topic_of_ten_does_not_disturb_the_others() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("neutralise", Topology::Routed)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    for topic in allowed() {
        write(&mut stage, &topic, Answer::Allow, Action::Reset).await?;
    }
    write(&mut stage, FORBIDDEN, Answer::Deny, Action::Neutralise).await?;

    for client in clients() {
        let context = || format!("{client:?}; the firewall's log:\n{}", stage.firewall.log());
        let subscriber = Subscriber::listen(&site, &format!("{client:?}").to_lowercase())?;
        let rounds = client.publish(&site).with_context(context)?;
        ensure!(rounds > 10, "{client:?} made only {rounds} rounds");
        let expected: Vec<String> = (0..rounds).map(|round| round.to_string()).collect();
        // A bridge has confirmed to its client what it has yet to hand on.
        let complete = process::wait_until(PATIENCE, "all allowed messages", || {
            let counts = subscriber.counts()?;
            Ok(allowed()
                .iter()
                .all(|topic| counts.get(topic).is_some_and(|seen| seen.len() >= expected.len())))
        });
        let seen = subscriber.stop(&site)?;
        println!("{client:?}: {rounds} rounds of ten topics");
        complete.with_context(|| format!("{}\n{}", missing(&site, &seen, &expected), context()))?;
        for topic in allowed() {
            // At least once: what was sent again may come twice.
            let mut payloads = seen.get(&topic).cloned().unwrap_or_default();
            payloads.dedup();
            ensure!(payloads == expected, "{client:?} lost messages of {topic}");
        }
        let stray: Vec<&String> =
            seen.keys().filter(|topic| !allowed().contains(topic) && *topic != "mark").collect();
        ensure!(stray.is_empty(), "{client:?}: {stray:?} has arrived");
    }
    Ok(())
}
