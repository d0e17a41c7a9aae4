//! The firewall of a site: the shipped program with a configuration written for the site, and its socket.

use std::{fmt, fs, io::Write as _, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use dashboard::{
    rpc::{Client, Request},
    view,
};

use crate::{
    process::{self, Clock, Process},
    service,
    site::{self, Device, Site},
};

/// How long the firewall may take to load its programs.
const START: Duration = Duration::from_mins(2);
/// Where a site's daemon has its socket.
const RUNTIME: &str = "runtime";

/// The folder of the daemon's socket, of the site with this name.
pub fn runtime_of(site: &str) -> Result<PathBuf> {
    Ok(site::folder_of(site)?.join(RUNTIME))
}

/// Which hook does the firewall's first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    #[default]
    Auto,
    Tc,
    Xdp,
    XdpGeneric,
}

impl Attach {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Tc, Self::Xdp, Self::XdpGeneric];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tc => "tc",
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
        }
    }
}

impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Attach {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|attach| attach.name() == name)
            .with_context(|| format!("no such way to attach: {name} (auto, tc, xdp or xdp-generic)"))
    }
}

/// What a test or scenario wants of its firewall.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub attach: Attach,
    /// Devices that are first seen within this time learn; later ones are asked about.
    pub first_run: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { attach: Attach::default(), first_run: Duration::from_mins(1) }
    }
}

/// The daemon in the site's firewall namespace.
#[derive(Debug)]
pub struct Firewall {
    command: Vec<String>,
    folder: PathBuf,
    runtime: PathBuf,
    namespace: crate::net::Namespace,
    process: Process,
}

impl Firewall {
    /// Configures and starts the firewall of a site, and waits until it answers on its socket.
    pub fn start(site: &Site, settings: Settings) -> Result<Self> {
        let folder = site.folder().to_owned();
        let config = folder.join("edgeward.toml");
        fs::write(&config, configuration(site, settings))
            .context("cannot write the firewall's configuration")?;
        let runtime = folder.join(RUNTIME);
        let state = folder.join("state");
        for made in [&runtime, &state] {
            fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        let daemon = process::binary("edgeward")?;
        let pins = site.pins();
        let mut command = vec![daemon.display().to_string(), "run".to_owned()];
        for (option, path) in
            [("--config", &config), ("--runtime-dir", &runtime), ("--state-dir", &state), ("--bpffs", &pins)]
        {
            command.extend([option.to_owned(), path.display().to_string()]);
        }
        let namespace = site.firewall_namespace();
        let process = spawn(namespace.command(&command[0]), &command[1..], &folder)?;
        let firewall = Self { command, folder, runtime, namespace, process };
        firewall.wait_until_ready()?;
        Ok(firewall)
    }

    /// Ends the daemon without asking, as a crash would.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Asks the daemon to end, and waits until it has.
    pub fn stop(&self) -> Result<()> {
        self.process.stop()
    }

    /// Starts the daemon again with the same configuration and state.
    pub fn restart(&mut self) -> Result<()> {
        self.process = spawn(self.namespace.command(&self.command[0]), &self.command[1..], &self.folder)?;
        self.wait_until_ready()
    }

    /// The same, at another time of day.
    pub fn restart_at(&mut self, clock: &Clock) -> Result<()> {
        let mut program = self.namespace.command(&self.command[0]);
        clock.set(&mut program)?;
        self.process = spawn(program, &self.command[1..], &self.folder)?;
        self.wait_until_ready()
    }

    /// Adds to the configuration, for the next start.
    pub fn configure(&self, text: &str) -> Result<()> {
        let mut config = fs::OpenOptions::new().append(true).open(self.folder.join("edgeward.toml"))?;
        config.write_all(text.as_bytes()).context("cannot write the firewall's configuration")
    }

    /// The folder of the daemon's socket.
    pub fn runtime(&self) -> &std::path::Path {
        &self.runtime
    }

    /// A connection to the daemon.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.runtime).await?)
    }

    /// A connection on which the daemon tells what changes.
    pub async fn watch(&self) -> Result<Client> {
        let mut client = self.client().await?;
        let _: serde_json::Value = client.call(Request::Watch).await?;
        Ok(client)
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("edgeward.log")).unwrap_or_default()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let socket = self.runtime.join(dashboard::rpc::SOCKET);
        process::wait_until(START, "the firewall to answer on its socket", || {
            if !self.process.is_alive() {
                anyhow::bail!("the firewall ended at its start:\n{}", self.log());
            }
            Ok(std::os::unix::net::UnixStream::connect(&socket).is_ok())
        })
    }
}

/// Waits until the model of the site fulfils a condition, asking the daemon again and again.
pub async fn wait_for_model(
    client: &mut Client,
    within: Duration,
    what: &str,
    holds: impl Fn(&[view::Principal], &[view::Edge]) -> bool,
) -> Result<()> {
    let deadline = std::time::Instant::now() + within;
    loop {
        let principals: Vec<view::Principal> = client.call(Request::Principals).await?;
        let edges: Vec<view::Edge> = client.call(Request::Edges { state: None, principal: None }).await?;
        if holds(&principals, &edges) {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            anyhow::bail!(
                "waited {} s in vain for {what}; principals: {}; edges: {}",
                within.as_secs(),
                serde_json::to_string(&principals)?,
                serde_json::to_string(&edges)?,
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn spawn(mut program: Command, arguments: &[String], folder: &std::path::Path) -> Result<Process> {
    Process::start(program.args(arguments).env("RUST_LOG", "info"), "edgeward", folder)
}

/// Durations in seconds, because a demonstration cannot watch for a week.
fn configuration(site: &Site, settings: Settings) -> String {
    let protect: Vec<String> = site.protected().map(|device| format!("{:?}", device.port())).collect();
    let server = if service::serves_addresses(site.topology(), Device::Hub) { "hub0" } else { "self" };
    format!(
        "[site]\nmode = \"enforce\"\n\n[interfaces]\nprotect = [{}]\nuplink = \"wan0\"\nattach = \"{}\"\n\n\
         [dhcp]\nserver = \"{server}\"\n\n[learning]\nmin = \"30s\"\nquiet = \"2s\"\nmax = \"60s\"\nfirst_run = \"{}s\"\n",
        protect.join(", "),
        settings.attach,
        settings.first_run.as_secs(),
    )
}
