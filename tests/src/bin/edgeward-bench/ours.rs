//! The lane with Edgeward: the shipped daemon, enforcing, with a thousand topic rules for the client.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use dashboard::{
    rpc::{Client, Request, SOCKET},
    view,
};
use lab::process::{self, Process};
use serde_json::{Value, json};

use crate::{
    bulk,
    course::{self, BROKER, Course, Lane, PINS},
    kernel, traffic,
};

const START: Duration = Duration::from_secs(30);
/// How long the daemon may take to see a device or to write a thousand rules.
const PATIENCE: Duration = Duration::from_mins(1);
/// The first port of the services that only count.
const SERVICES: u16 = 9000;

/// The daemon, and a connection to it.
pub(crate) struct Ours {
    daemon: Process,
    runtime: tokio::runtime::Runtime,
    socket: PathBuf,
    held: Held,
}

/// Bytes that tables hold for twenty services, and for one topic rule.
struct Held {
    services: f64,
    topic: f64,
}

/// What `edges import` reads.
#[derive(Default)]
struct Model {
    edges: String,
}

impl Model {
    fn allow(&mut self, verb: &str, object: &str) {
        let _ = write!(
            self.edges,
            "[[edge]]\nfrom = \"bench client\"\nto = \"bench server\"\nplane = \"packet\"\n\
             verb = \"{verb}\"\nobject = \"{object}\"\nstate = \"allowed\"\n"
        );
    }

    /// Connections to a port, and what may be spoken on them.
    fn allow_speaking(&mut self, port: u16, protocol: &str) {
        self.allow("connect", &format!("tcp/{port}"));
        self.allow("connect", &format!("tcp/{port} {protocol}"));
    }

    fn text(&self) -> String {
        let mut text = "version = 1\n".to_owned();
        for (mac, name) in
            [(Lane::Ours.client_mac(), "bench client"), (Lane::Ours.server_mac(), "bench server")]
        {
            let _ = write!(text, "[[principal]]\nmac = \"{mac}\"\nname = \"{name}\"\n");
        }
        text + &self.edges
    }
}

impl Ours {
    /// Starts the daemon, shows it both ends, writes the rules and lets it enforce.
    pub(crate) fn start(course: &Course) -> Result<Self> {
        eprintln!("bench: the firewall with {} topic rules", course.topics);
        let config = course::file("edgeward.toml");
        fs::write(
            &config,
            "[interfaces]\nprotect = [\"lan0\", \"lan1\"]\n\n[learning]\nmin = \"30s\"\nquiet = \"2s\"\n\
             max = \"60s\"\nfirst_run = \"60s\"\n",
        )
        .context("cannot write the firewall's configuration")?;
        let (socket, state) = (course::file("runtime"), course::file("state"));
        for folder in [&socket, &state] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let program = process::binary("edgeward")?;
        let program = program.to_str().context("the path of our programs is not text")?;
        let mut command = Lane::Ours.router().command(program);
        command.arg("run").arg("--config").arg(&config).arg("--runtime-dir").arg(&socket);
        command.arg("--state-dir").arg(&state).args(["--bpffs", PINS]).env("RUST_LOG", "info");
        let daemon = Process::start(&mut command, "edgeward", course::folder())?;
        process::wait_until(START, "the firewall to answer on its socket", || {
            if !daemon.is_alive() {
                bail!("the firewall ended at its start:\n{}", log());
            }
            Ok(std::os::unix::net::UnixStream::connect(socket.join(SOCKET)).is_ok())
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut ours = Self { daemon, runtime, socket, held: Held { services: 0.0, topic: 0.0 } };
        ours.enforce(course).with_context(|| format!("the firewall's log:\n{}", log()))?;
        Ok(ours)
    }

    pub(crate) const fn daemon(&self) -> Process {
        self.daemon
    }

    fn enforce(&mut self, course: &Course) -> Result<()> {
        // Whoever tries is seen, at both ports; nothing listens behind this port.
        let address = SocketAddr::from(Lane::Ours.server(1));
        process::wait_until(PATIENCE, "both ends to be seen", || {
            let _ =
                course.client.enter(|| Ok(TcpStream::connect_timeout(&address, Duration::from_millis(50))?));
            let principals: Vec<view::Principal> = self.call(Request::Principals)?;
            let seen = |mac: &str| principals.iter().any(|principal| principal.mac.as_deref() == Some(mac));
            Ok(seen(&Lane::Ours.client_mac()) && seen(&Lane::Ours.server_mac()))
        })?;
        let mut model = Model::default();
        for (port, protocol) in [(BROKER, "mqtt"), (bulk::ACCEPT, "opaque"), (bulk::OPAQUE, "opaque")] {
            model.allow_speaking(port, protocol);
        }
        model.allow("connect", &format!("client:{}", traffic::client_id(Lane::Ours)));
        model.allow("connect", &format!("udp/{}", bulk::DATAGRAMS));
        self.import(&model)?;
        let _: Value = self.call(Request::LearnFinish { principal: None })?;
        process::wait_until(PATIENCE, "both ends to be enforced", || {
            let principals: Vec<view::Principal> = self.call(Request::Principals)?;
            let enforced = |mac: &str| {
                principals
                    .iter()
                    .any(|principal| principal.mac.as_deref() == Some(mac) && principal.mode == "enforcing")
            };
            Ok(enforced(&Lane::Ours.client_mac()) && enforced(&Lane::Ours.server_mac()))
        })?;

        let empty = self.bytes_in_use()?;
        let mut services = Model::default();
        for number in 0..20 {
            services.allow("connect", &format!("tcp/{}", SERVICES + number));
        }
        self.import(&services)?;
        let with_services = self.bytes_in_use()?;
        let mut topics = Model::default();
        for number in 0..course.topics {
            topics.allow("publish", &traffic::topic(number));
        }
        self.import(&topics)?;
        let with_topics = self.bytes_in_use()?;
        self.held = Held {
            services: with_services - empty,
            topic: (with_topics - with_services) / course.topics as f64,
        };
        Ok(())
    }

    /// Allows the requests of [`bulk`]; refused where the firewall knows no HTTP.
    pub(crate) fn allow_http(&self) -> Result<()> {
        let mut model = Model::default();
        model.allow_speaking(bulk::HTTP, "http");
        let server = Lane::Ours.server(bulk::HTTP);
        model.allow("get", &format!("http:{}://{}{}/#", server.port(), server.ip(), bulk::PATH));
        self.import(&model).context("this version does not look into HTTP")
    }

    /// What tables and processes take, in bytes.
    pub(crate) fn bytes(&self) -> Result<Value> {
        let maps = kernel::maps_of(self.daemon)?;
        let edge = per_entry(&maps, "EDGES")?;
        let stream = per_entry(&maps, "STREAMS")?;
        let flow = per_entry(&maps, "FLOWS")?;
        let topic_rule = self.held.topic;
        let twenty = self.held.services;
        Ok(json!({
            "edge": edge.round(),
            "topic_rule": topic_rule.round(),
            "services_20": twenty.round(),
            // Each with a connection, and inspected: with a topic rule and both directions of its stream.
            "services_20_connected": (twenty + 20.0 * flow).round(),
            "services_20_inspected": (twenty + 20.0 * (flow + topic_rule + 2.0 * stream)).round(),
            "maps_total": maps.values().map(|map| map.bytes_memlock).sum::<u64>(),
        }))
    }

    /// Memory of the page's process.
    pub(crate) fn resident_page(&self) -> Result<u64> {
        let program = process::binary("edgeward")?;
        let program = program.to_str().context("the path of our programs is not text")?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 8480));
        let mut command = Lane::Ours.router().command(program);
        command.args(["web", "--listen", &listen.to_string(), "--config"]).arg(course::file("edgeward.toml"));
        command.arg("--runtime-dir").arg(&self.socket);
        let page = Process::start(&mut command, "page", course::folder())?;
        process::wait_until(START, "the page to listen", || {
            Lane::Ours.router().enter(|| Ok(TcpStream::connect_timeout(&listen, START).is_ok()))
        })?;
        let resident = kernel::resident(page)?;
        page.stop()?;
        Ok(resident)
    }

    /// What became of the frames, by reason.
    pub(crate) fn counted(&self) -> String {
        match self.call::<view::Status>(Request::Status) {
            Ok(status) => json!(status.packets).to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Bytes of the entries in use, over all tables that the daemon counts.
    fn bytes_in_use(&self) -> Result<f64> {
        let maps = kernel::maps_of(self.daemon)?;
        let status: view::Status = self.call(Request::Status)?;
        let mut total = 0.0;
        for table in status.maps {
            // Devices and addresses are no part of the rules.
            if ["EDGES", "RULES", "AUTOMATON", "STATES", "USES"].contains(&table.name.as_str()) {
                total += table.entries as f64 * per_entry(&maps, &table.name)?;
            }
        }
        Ok(total)
    }

    fn import(&self, model: &Model) -> Result<()> {
        let wanted = model.edges.matches("[[edge]]").count();
        let before = self.edges()?;
        let _: Value = self.call(Request::EdgesImport { toml: model.text(), dry_run: false })?;
        let taken = self.edges()?.saturating_sub(before);
        ensure!(taken >= wanted, "{taken} of {wanted} edges were taken");
        Ok(())
    }

    fn edges(&self) -> Result<usize> {
        let edges: Vec<view::Edge> =
            self.call(Request::Edges { state: Some("allowed".to_owned()), principal: None })?;
        Ok(edges.len())
    }

    fn call<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<T> {
        self.runtime.block_on(async {
            let mut client = Client::connect(&self.socket).await?;
            Ok(client.call(request).await?)
        })
    }
}

fn per_entry(maps: &BTreeMap<String, kernel::Map>, name: &str) -> Result<f64> {
    // The kernel keeps 15 letters of a name.
    let short = &name[..name.len().min(15)];
    let map = maps.get(short).with_context(|| format!("the firewall has no map {name}"))?;
    Ok(map.bytes_memlock as f64 / f64::from(map.max_entries))
}

fn log() -> String {
    fs::read_to_string(course::file("edgeward.log")).unwrap_or_default()
}
