//! Outside hosts by name, with a real resolver and real clients: a service may move, and its name is no one else's right.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{rpc::Request, view};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    net,
    process::wait_until,
    scenario::Stage,
    service,
    site::INTERNET,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may take, or a refusal.
const MOMENT: Duration = Duration::from_secs(3);
const PORT: u16 = 443;
const CLOUD: &str = "cloud.maker.com";
const SHOP: &str = "shop.maker.com";
const TUNNEL: &str = "x.tunnel.net";
/// Where the service is first, and later.
const BEFORE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 40);
const AFTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 41);

/// A device that uses names, and somebody who watches.
struct Case<'a> {
    site: &'a Site,
    stage: Stage<'a>,
    resolver: Ipv4Addr,
}

impl<'a> Case<'a> {
    async fn at(site: &'a Site) -> Result<Self> {
        let resolver = match site.topology() {
            Topology::Routed | Topology::Masqueraded => site.gateway(Device::Washer),
            Topology::Bridged => site.address(Device::Hub),
        };
        let more = site.folder().join("conf.d");
        fs::create_dir_all(&more)?;
        fs::write(more.join("servers.toml"), format!("[dns]\nservers = [\"{resolver}\"]\n"))?;
        for address in [BEFORE, AFTER] {
            site.internet_namespace().ip(&format!("address add {address}/24 dev eth0\n"))?;
        }
        serve(site)?;
        let stage = Stage::learned(site, Settings::default()).await?;
        Ok(Self { site, stage, resolver })
    }

    /// What a real client is told about a name.
    fn looks_up(&self, device: Device, name: &str) -> Result<String> {
        let resolver = self.resolver.to_string();
        let mut client = self.site.namespace(device).command("busybox");
        let output = client.args(["nslookup", "-type=a", name, &resolver]).output().context("no nslookup")?;
        Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// Asks until the resolver has read its file again.
    fn resolves(&self, device: Device, name: &str, address: Ipv4Addr) -> Result<()> {
        let what = format!("{name} to be {address} for the {}", device.name());
        wait_until(PATIENCE, &what, || Ok(self.looks_up(device, name)?.contains(&address.to_string())))
    }

    fn connects(&self, device: Device, address: Ipv4Addr) -> Result<bool> {
        let to = SocketAddr::from((address, PORT));
        self.site.namespace(device).enter(|| match TcpStream::connect_timeout(&to, MOMENT) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused) => Ok(false),
            Err(error) => Err(error).context("neither a connection nor a refusal"),
        })
    }

    /// Waits until the new daemon answers: the old one's socket may take connections for a moment.
    async fn answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(mut client) = self.stage.firewall.client().await
                && client.call::<serde_json::Value>(Request::Status).await.is_ok()
            {
                self.stage.client = client;
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the daemon does not answer:\n{}", self.stage.firewall.log());
        }
    }

    async fn learns(&mut self, device: Device, name: &str, address: Ipv4Addr) -> Result<()> {
        let principal = Some(device.mac());
        let learn = Request::LearnStart { principal: principal.clone(), seconds: Some(60) };
        let _: serde_json::Value = self.stage.client.call(learn).await?;
        self.is(device, "learning").await?;
        self.resolves(device, name, address)?;
        ensure!(self.connects(device, address)?, "a learning device is stopped");
        self.edge(device, "learned", "resolve", "*.maker.com", "Edgeward").await?;
        self.edge(device, "learned", "connect", "tcp/443", name).await?;
        let _: serde_json::Value = self.stage.client.call(Request::LearnFinish { principal }).await?;
        self.is(device, "enforcing").await
    }

    async fn is(&mut self, device: Device, mode: &str) -> Result<()> {
        let what = format!("the {} to be {mode}", device.name());
        wait_for_model(&mut self.stage.client, PATIENCE, &what, |principals, _| {
            principals.iter().any(|it| it.mac.as_deref() == Some(&device.mac()) && it.mode == mode)
        })
        .await
    }

    /// Waits for an edge of a device.
    async fn edge(&mut self, device: Device, state: &str, verb: &str, object: &str, to: &str) -> Result<()> {
        let what = format!("{verb} {object} at {to} to be {state}");
        let log = self.stage.firewall.log();
        wait_for_model(&mut self.stage.client, PATIENCE, &what, |principals, edges| {
            let of = |edge: &view::Edge| {
                principals.iter().any(|it| it.id == edge.from.id && it.mac.as_deref() == Some(&device.mac()))
            };
            edges.iter().any(|edge| {
                of(edge)
                    && (edge.state.as_str(), edge.verb.as_str(), edge.object.as_str())
                        == (state, verb, object)
                    && edge.to.name == to
            })
        })
        .await
        .with_context(|| log)
    }

    async fn pending(&mut self) -> Result<Vec<view::Edge>> {
        Ok(self
            .stage
            .client
            .call(Request::Edges { state: Some("pending".to_owned()), principal: None })
            .await?)
    }
}

/// A server at every address of the Internet.
fn serve(site: &Site) -> Result<()> {
    let listener = site
        .internet_namespace()
        .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("the server cannot listen"))?;
    // It ends with the test.
    thread::spawn(move || while listener.accept().is_ok() {});
    Ok(())
}

async fn names_come_before_addresses(name: &str, topology: Topology) -> Result<()> {
    let site = Site::temporary(name, topology)?;
    let mut case = Case::at(&site).await?;
    service::set_names(&site, &[(BEFORE, CLOUD), (AFTER, SHOP), (INTERNET, TUNNEL)])?;
    case.learns(Device::Washer, CLOUD, BEFORE).await?;
    let before = case.pending().await?.len();

    // The service moves; nobody is asked.
    service::set_names(&site, &[(AFTER, CLOUD), (AFTER, SHOP), (INTERNET, TUNNEL)])?;
    ensure!(!case.connects(Device::Washer, AFTER)?, "an address without a name passes");
    case.resolves(Device::Washer, CLOUD, AFTER)?;
    ensure!(case.connects(Device::Washer, AFTER)?, "the service has moved and is not reached");
    let by_address = |edge: &view::Edge| edge.to.name == AFTER.to_string();
    let pending = case.pending().await?;
    ensure!(pending.iter().filter(|edge| !by_address(edge)).count() == before, "{pending:?}");

    // Another name on the same address, of the same owner, is another edge.
    case.resolves(Device::Washer, SHOP, AFTER)?;
    ensure!(!case.connects(Device::Washer, AFTER)?, "another name on the same address passes");
    case.edge(Device::Washer, "pending", "connect", "tcp/443", SHOP).await?;
    case.resolves(Device::Washer, CLOUD, AFTER)?;
    ensure!(case.connects(Device::Washer, AFTER)?, "its own name no longer leads there");

    // What one device knows is no other's right.
    ensure!(!case.connects(Device::Lock, AFTER)?, "another device inherits the name");

    // A name outside the model is refused by the box, and asked about.
    let started = Instant::now();
    let told = case.looks_up(Device::Washer, TUNNEL)?;
    ensure!(told.contains("REFUSED"), "a real client was told: {told}");
    ensure!(started.elapsed() < MOMENT, "it waited for its answer");
    case.edge(Device::Washer, "pending", "resolve", "*.tunnel.net", "Edgeward").await?;

    // The daemon comes back, and then the box: what was known is known.
    case.stage.firewall.stop()?;
    case.stage.firewall.restart()?;
    case.answers().await?;
    ensure!(case.connects(Device::Washer, AFTER)?, "a restart of the daemon forgets names");
    case.stage.firewall.stop()?;
    forget_the_kernel(&case)?;
    case.stage.firewall.restart()?;
    ensure!(case.connects(Device::Washer, AFTER)?, "a restart of the box forgets names");
    ensure!(case.looks_up(Device::Washer, TUNNEL)?.contains("REFUSED"), "a restart of the box opens names");
    ensure!(!case.connects(Device::Lock, AFTER)?, "another device inherits the name");
    Ok(())
}

/// As after a restart of the box: nothing is pinned.
fn forget_the_kernel(case: &Case<'_>) -> Result<()> {
    let folder = case.site.folder();
    let mut unload =
        case.site.firewall_namespace().command(&lab::process::binary("edgeward")?.display().to_string());
    net::run(unload.arg("unload").args(["--config".as_ref(), folder.join("edgeward.toml").as_os_str()]).args(
        [
            "--runtime-dir".as_ref(),
            case.stage.firewall.runtime().as_os_str(),
            "--bpffs".as_ref(),
            case.site.pins().as_os_str(),
        ],
    ))
}

#[tokio::test]
async fn a_service_may_move_and_its_name_is_no_one_elses_right() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    names_come_before_addresses("names", Topology::Routed).await
}

#[tokio::test]
async fn so_it_is_where_the_firewall_bridges() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    names_come_before_addresses("names-b", Topology::Bridged).await
}
