//! The site's services: a real broker, and DHCP with DNS.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{
    process::{self, Process},
    site::{Device, Site, Topology},
};

pub const BROKER_PORT: u16 = 1883;
/// Where the battery answers with its charge.
pub const BATTERY_PORT: u16 = 7700;

/// File with the names of the Internet, as `/etc/hosts`.
const HOSTS: &str = "names";

/// How long a service may take to start.
const START: Duration = Duration::from_secs(10);

/// What dnsmasq is told at every site.
const DNSMASQ: &[&str] = &[
    "no-resolv",
    "no-hosts",
    "no-poll",
    "keep-in-foreground",
    "bind-interfaces",
    "except-interface=lo",
    "domain=site",
    "local=/site/",
    "expand-hosts",
    "dhcp-authoritative",
    "no-ping",
    "user=root",
    "log-facility=-",
    "log-dhcp",
];

/// Starts broker and DHCP server.
pub fn start(site: &Site) -> Result<()> {
    start_broker(site)?;
    start_dnsmasq(site)
}

/// Changes what the site's resolver says about names of the Internet: lines of an address and a name.
pub fn set_names(site: &Site, names: &[(Ipv4Addr, &str)]) -> Result<()> {
    let lines: Vec<String> = names.iter().map(|(address, name)| format!("{address} {name}\n")).collect();
    fs::write(site.folder().join(HOSTS), lines.concat()).context("cannot write the names of the Internet")?;
    let recorded = process::recorded(site.folder())?;
    let resolver = recorded.into_iter().find(|(name, _)| name == "dnsmasq").context("no resolver runs")?;
    resolver.1.signal(Signal::SIGHUP)
}

/// Whether this device is the one that hands out addresses.
pub fn serves_addresses(topology: Topology, device: Device) -> bool {
    match topology {
        Topology::Routed | Topology::Masqueraded => false,
        Topology::Bridged => device == Device::Hub,
    }
}

/// Lets a real DHCP client ask for the device's address, now and whenever the lease ends.
pub fn ask_for_address(site: &Site, device: Device) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("site/udhcpc.sh");
    let mut client = site.namespace(device).command("udhcpc");
    client
        .args(["-f", "-i", "eth0", "-t", "20", "-T", "1", "-A", "1"])
        .args(["-x", &format!("hostname:{}", device.host_name()), "-s"])
        .arg(script);
    Process::start(&mut client, &format!("dhcp-{}", device.name()), site.folder())?;
    Ok(())
}

fn start_broker(site: &Site) -> Result<()> {
    // Without a limit: a subscriber that is slow beside other work would lose messages at the broker, unsaid for QoS 0.
    let config = site.folder().join("mosquitto.conf");
    fs::write(
        &config,
        format!(
            "listener {BROKER_PORT}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
             max_queued_messages 0\nlog_dest stderr\nconnection_messages true\n"
        ),
    )
    .context("cannot write the broker's configuration")?;
    let hub = site.namespace(Device::Hub);
    Process::start(hub.command("mosquitto").arg("-c").arg(&config), "mosquitto", site.folder())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, BROKER_PORT));
    process::wait_until(START, "the broker to listen", || {
        hub.enter(|| Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()))
    })
}

fn start_dnsmasq(site: &Site) -> Result<()> {
    let (namespace, interfaces): (_, Vec<String>) = match site.topology() {
        Topology::Routed | Topology::Masqueraded => {
            (site.firewall_namespace(), site.protected().map(Device::port).collect())
        }
        Topology::Bridged => (site.namespace(Device::Hub), vec!["eth0".to_owned()]),
    };
    let mut config: Vec<String> = DNSMASQ.iter().map(|&line| line.to_owned()).collect();
    config.push(format!("dhcp-leasefile={}", site.folder().join("leases").display()));
    let hosts = site.folder().join(HOSTS);
    fs::write(&hosts, "").context("cannot write the names of the Internet")?;
    config.push(format!("addn-hosts={}", hosts.display()));
    config.push(format!("host-record=broker.site,{}", site.address(Device::Hub)));
    config.extend(interfaces.iter().map(|interface| format!("interface={interface}")));
    if site.topology() == Topology::Bridged {
        // The hub hands out addresses but is not the way out.
        config.push(format!("dhcp-option=option:router,{}", site.gateway(Device::Hub)));
        config.push("dhcp-range=10.77.0.0,static,255.255.255.0,12h".to_owned());
    }
    for device in site.protected().filter(|device| !serves_addresses(site.topology(), *device)) {
        let address = site.address(device);
        if site.topology() != Topology::Bridged {
            let [a, b, c, _] = address.octets();
            config.push(format!("dhcp-range={a}.{b}.{c}.0,static,255.255.255.0,12h"));
        }
        config.push(format!("dhcp-host={},{address},{}", device.mac(), device.host_name()));
    }
    config.push(String::new());
    let path = site.folder().join("dnsmasq.conf");
    fs::write(&path, config.join("\n")).context("cannot write the configuration of dnsmasq")?;
    Process::start(
        namespace.command("dnsmasq").arg(format!("--conf-file={}", path.display())).arg("--pid-file"),
        "dnsmasq",
        site.folder(),
    )?;
    Ok(())
}
