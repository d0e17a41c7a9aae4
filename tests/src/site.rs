//! The demonstration site: who is there, how the cables run, and how it comes and goes.

use std::{
    fmt, fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::{
    event,
    net::{self, Namespace, Plug},
    process::{self, Process},
    service,
};

/// Where sites keep their files: in memory, so that what is measured is the firewall and not how fast a disk confirms.
/// `/run` is, on most systems.
const IN_MEMORY: [&str; 2] = ["/run", "/dev/shm"];

/// How the site is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Every device has a subnet of its own; the firewall routes between them and masquerades to the Internet.
    Routed,
    /// As routed, but the hub with its broker is on the Internet's side, reached through masquerade.
    Masqueraded,
    /// All devices are in one subnet; the firewall bridges them, and the hub hands out addresses.
    Bridged,
}

impl Topology {
    pub const ALL: [Self; 3] = [Self::Routed, Self::Masqueraded, Self::Bridged];

    pub fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Masqueraded => "masqueraded",
            Self::Bridged => "bridged",
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Topology {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|topology| topology.name() == name)
            .with_context(|| format!("no such topology: {name} (routed, masqueraded or bridged)"))
    }
}

/// A device of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Lock,
    Battery,
    Washer,
    Hub,
}

impl Device {
    pub const ALL: [Self; 4] = [Self::Lock, Self::Battery, Self::Washer, Self::Hub];

    /// Its name in namespaces, files and ports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Battery => "battery",
            Self::Washer => "washer",
            Self::Hub => "hub",
        }
    }

    /// What it calls itself when it asks for an address.
    pub const fn host_name(self) -> &'static str {
        match self {
            Self::Lock => "front-door-lock",
            Self::Battery => "battery",
            Self::Washer => "washing-machine",
            Self::Hub => "home-hub",
        }
    }

    /// The firewall's port that it is plugged into.
    pub fn port(self) -> String {
        format!("{}0", self.name())
    }

    /// Its own, fixed and locally administered hardware address.
    pub fn mac(self) -> String {
        format!("02:ed:9e:00:01:{:02x}", self.number())
    }

    /// That of the firewall's port.
    pub fn port_mac(self) -> String {
        format!("02:ed:9e:00:00:{:02x}", self.number())
    }

    fn number(self) -> u8 {
        match self {
            Self::Lock => 1,
            Self::Battery => 2,
            Self::Washer => 3,
            Self::Hub => 4,
        }
    }
}

/// Addresses behind the uplink, from the blocks set aside for documentation.
pub const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const UPLINK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const OUTSIDE_HUB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const OUTSIDE_HUB_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10);

/// How long a device may take to get an address.
const LEASE: Duration = Duration::from_secs(20);
/// How long a device's program may take to be at work.
const PROGRAM: Duration = Duration::from_secs(10);

/// A site that is up.
#[derive(Debug)]
pub struct Site {
    name: String,
    topology: Topology,
    folder: PathBuf,
    /// Whether the site goes when this value goes.
    temporary: bool,
}

impl Site {
    /// Lays the cables and starts the services; what is left of an earlier site of this name is removed first.
    ///
    /// Devices are plugged in but have no address yet: see [`Site::join`].
    pub fn up(name: &str, topology: Topology) -> Result<Self> {
        Self::remove(name)?;
        let folder = folder_of(name)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(folder.join("topology"), topology.name()).context("cannot write down the topology")?;
        let site = Self { name: name.to_owned(), topology, folder, temporary: false };
        let wired = site.lay_cables().and_then(|()| service::start(&site));
        if wired.is_err() {
            site.down()?;
            wired?;
            unreachable!("an error was returned the line before");
        }
        Ok(site)
    }

    /// As [`Site::up`], for a test: the site goes down when the value is dropped, unless `EDGEWARD_KEEP_SITES` asks to
    /// keep it for a look at what went wrong.
    pub fn temporary(name: &str, topology: Topology) -> Result<Self> {
        let mut site = Self::up(name, topology)?;
        site.temporary = std::env::var_os("EDGEWARD_KEEP_SITES").is_none();
        Ok(site)
    }

    /// Takes the site down: its processes, namespaces, pinned kernel programs and files.
    pub fn down(mut self) -> Result<()> {
        self.temporary = false;
        Self::remove(&self.name)
    }

    /// Removes whatever there is of a site of this name.
    pub fn remove(name: &str) -> Result<()> {
        let folder = folder_of(name)?;
        for (_, process) in process::recorded(&folder)?.iter().rev() {
            process.stop()?;
        }
        for role in ["fw", "inet"].into_iter().chain(Device::ALL.map(Device::name)) {
            namespace_of(name, role).remove()?;
        }
        for leftover in [pins_of(name), folder] {
            match fs::remove_dir_all(&leftover) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", leftover.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Where the site keeps its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the firewall of this site pins its programs and maps.
    pub fn pins(&self) -> PathBuf {
        pins_of(&self.name)
    }

    pub fn firewall_namespace(&self) -> Namespace {
        namespace_of(&self.name, "fw")
    }

    pub fn internet_namespace(&self) -> Namespace {
        namespace_of(&self.name, "inet")
    }

    pub fn namespace(&self, device: Device) -> Namespace {
        namespace_of(&self.name, device.name())
    }

    /// The devices that are plugged into the firewall.
    pub fn protected(&self) -> impl Iterator<Item = Device> + use<> {
        let topology = self.topology;
        Device::ALL.into_iter().filter(move |device| !is_outside(topology, *device))
    }

    /// The address that the site's DHCP server keeps for a device.
    pub fn address(&self, device: Device) -> Ipv4Addr {
        match self.topology {
            topology if is_outside(topology, device) => OUTSIDE_HUB,
            Topology::Routed | Topology::Masqueraded => Ipv4Addr::new(10, 77, device.number(), 10),
            Topology::Bridged => Ipv4Addr::new(10, 77, 0, 10 + device.number()),
        }
    }

    pub fn address_v6(&self, device: Device) -> Ipv6Addr {
        let number = u16::from(device.number());
        match self.topology {
            topology if is_outside(topology, device) => OUTSIDE_HUB_V6,
            Topology::Routed | Topology::Masqueraded => Ipv6Addr::new(0xfd77, 0, 0, number, 0, 0, 0, 0x10),
            Topology::Bridged => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x10 + number),
        }
    }

    /// The firewall's own address towards a device, which is the device's way out.
    pub fn gateway(&self, device: Device) -> Ipv4Addr {
        match self.topology {
            Topology::Routed | Topology::Masqueraded => Ipv4Addr::new(10, 77, device.number(), 1),
            Topology::Bridged => Ipv4Addr::new(10, 77, 0, 1),
        }
    }

    pub fn gateway_v6(&self, device: Device) -> Ipv6Addr {
        match self.topology {
            Topology::Routed | Topology::Masqueraded => {
                Ipv6Addr::new(0xfd77, 0, 0, u16::from(device.number()), 0, 0, 0, 1)
            }
            Topology::Bridged => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
        }
    }

    /// Where the broker listens.
    pub fn broker(&self) -> String {
        format!("{}:{}", self.address(Device::Hub), service::BROKER_PORT)
    }

    /// Switches a device on: its cable comes up and it asks for an address.
    pub fn join(&self, device: Device) -> Result<()> {
        let namespace = self.namespace(device);
        namespace.ip("link set eth0 up\n")?;
        if is_outside(self.topology, device) || service::serves_addresses(self.topology, device) {
            return Ok(());
        }
        service::ask_for_address(self, device)?;
        let wanted = self.address(device).to_string();
        process::wait_until(LEASE, &format!("the {} to get its address", device.name()), || {
            let shown = namespace
                .command("ip")
                .args(["-4", "-oneline", "address", "show", "dev", "eth0"])
                .output()?;
            Ok(String::from_utf8_lossy(&shown.stdout).contains(&format!(" {wanted}/")))
        })?;
        namespace.ip(&format!(
            "address replace {}/64 dev eth0 nodad\nroute replace default via {} dev eth0\n",
            self.address_v6(device),
            self.gateway_v6(device),
        ))
    }

    /// Pulls a device's cable out and plugs in a new one: both interfaces are deleted and made again, with the addresses
    /// that a configured system would give them.
    pub fn replug(&self, device: Device) -> Result<()> {
        let (firewall, namespace, port) = (self.firewall_namespace(), self.namespace(device), device.port());
        firewall.ip(&format!("link del {port}\n"))?;
        self.lay_cable(&firewall, &port, device)?;
        match self.topology {
            Topology::Routed | Topology::Masqueraded => firewall.ip(&format!(
                "address add {}/24 dev {port}\naddress add {}/64 dev {port} nodad\n",
                self.gateway(device),
                self.gateway_v6(device),
            ))?,
            Topology::Bridged => firewall.ip(&format!("link set {port} master br0\n"))?,
        }
        namespace.ip(&format!(
            "link set eth0 up\naddress add {}/24 dev eth0\naddress add {}/64 dev eth0 nodad\n\
             route add default via {}\nroute add default via {}\n",
            self.address(device),
            self.address_v6(device),
            self.gateway(device),
            self.gateway_v6(device),
        ))
    }

    /// Starts the programs of a normal day: the lock obeys, the washing machine reports, the battery answers and the hub
    /// reads it now and then.
    pub fn start_devices(&self) -> Result<()> {
        self.start_lock()?;
        self.start_washer()?;
        self.start_battery()?;
        self.start_program(
            Device::Hub,
            "energy",
            &["energy", "--battery", &self.battery(), "--every-ms", "500"],
        )?;
        Ok(())
    }

    /// Starts the lock and waits until it listens to commands.
    pub fn start_lock(&self) -> Result<Process> {
        let lock = self.start_program(
            Device::Lock,
            "lock",
            &["lock", "--broker", &self.broker(), "--client-id", Device::Lock.host_name()],
        )?;
        self.events("lock")?.wait_for(event::What::Subscribed, PROGRAM)?;
        Ok(lock)
    }

    /// Starts the washing machine as its maker shipped it, and waits until its first report has arrived.
    pub fn start_washer(&self) -> Result<Process> {
        let washer = self.start_program(
            Device::Washer,
            "washer",
            &["washer", "--broker", &self.broker(), "--client-id", Device::Washer.host_name()],
        )?;
        self.events("washer")?.wait_for(event::What::Delivered, PROGRAM)?;
        Ok(washer)
    }

    /// Starts the battery and waits until it answers readers.
    pub fn start_battery(&self) -> Result<Process> {
        let battery =
            self.start_program(Device::Battery, "battery", &["battery", "--listen", &self.battery()])?;
        self.events("battery")?.wait_for(event::What::Listening, PROGRAM)?;
        Ok(battery)
    }

    /// Where the battery answers.
    pub fn battery(&self) -> String {
        format!("{}:{}", self.address(Device::Battery), service::BATTERY_PORT)
    }

    /// Starts a program of ours in a device's namespace.
    pub fn start_program(&self, device: Device, name: &str, arguments: &[&str]) -> Result<Process> {
        let program = process::binary("edgeward-device")?;
        let program = program.to_str().context("the path of our programs is not text")?;
        Process::start(self.namespace(device).command(program).args(arguments), name, &self.folder)
    }

    /// What a program of the site has reported.
    pub fn events(&self, name: &str) -> Result<event::Reader> {
        event::Reader::open(&self.folder.join(format!("{name}.events")))
    }

    fn lay_cables(&self) -> Result<()> {
        let firewall = self.firewall_namespace();
        let internet = self.internet_namespace();
        for namespace in [&firewall, &internet]
            .into_iter()
            .cloned()
            .chain(Device::ALL.map(|device| self.namespace(device)))
        {
            namespace.create()?;
            // Routers do not announce themselves here, and nobody waits for duplicates of fixed addresses.
            namespace.sysctl(&["net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0"])?;
        }
        Self::wire_uplink(&firewall, &internet)?;
        for device in Device::ALL {
            let (peer, interface) = if is_outside(self.topology, device) {
                (&internet, "hub0".to_owned())
            } else {
                (&firewall, device.port())
            };
            self.lay_cable(peer, &interface, device)?;
        }
        match self.topology {
            Topology::Routed => self.address_ports(&firewall),
            Topology::Masqueraded => {
                self.address_ports(&firewall)?;
                self.wire_outside_hub(&internet)
            }
            Topology::Bridged => self.wire_bridge(&firewall),
        }
    }

    /// Plugs a device in; its own end stays down until it joins.
    fn lay_cable(&self, peer: &Namespace, interface: &str, device: Device) -> Result<()> {
        net::cable(
            &Plug { namespace: peer, interface, mac: &device.port_mac() },
            &Plug { namespace: &self.namespace(device), interface: "eth0", mac: &device.mac() },
        )?;
        peer.ip(&format!("link set {interface} up\n"))
    }

    fn wire_uplink(firewall: &Namespace, internet: &Namespace) -> Result<()> {
        net::cable(
            &Plug { namespace: firewall, interface: "wan0", mac: "02:ed:9e:00:00:0e" },
            &Plug { namespace: internet, interface: "eth0", mac: "02:ed:9e:00:00:0f" },
        )?;
        for namespace in [firewall, internet] {
            namespace.sysctl(&["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
        }
        firewall.ip(&format!(
            "address add {UPLINK}/24 dev wan0\naddress add 2001:db8::2/64 dev wan0 nodad\nlink set wan0 up\n\
             route add default via {INTERNET}\nroute add default via 2001:db8::1\n"
        ))?;
        internet.ip(&format!(
            "address add {INTERNET}/24 dev eth0\naddress add 2001:db8::1/64 dev eth0 nodad\nlink set eth0 up\n\
             route add 10.77.0.0/16 via {UPLINK}\nroute add fd77::/32 via 2001:db8::2\n"
        ))?;
        firewall.nft(
            "table inet site {\n chain out {\n  type nat hook postrouting priority srcnat;\n  \
             oifname \"wan0\" masquerade\n }\n}\n",
        )
    }

    fn address_ports(&self, firewall: &Namespace) -> Result<()> {
        let lines: Vec<String> = self
            .protected()
            .map(|device| {
                let (port, v4, v6) = (device.port(), self.gateway(device), self.gateway_v6(device));
                format!("address add {v4}/24 dev {port}\naddress add {v6}/64 dev {port} nodad\n")
            })
            .collect();
        firewall.ip(&lines.concat())
    }

    fn wire_outside_hub(&self, internet: &Namespace) -> Result<()> {
        internet.ip("address add 203.0.113.1/24 dev hub0\naddress add 2001:db8:1::1/64 dev hub0 nodad\n")?;
        self.namespace(Device::Hub).ip(&format!(
            "link set eth0 up\naddress add {OUTSIDE_HUB}/24 dev eth0\naddress add {OUTSIDE_HUB_V6}/64 dev eth0 nodad\n\
             route add default via 203.0.113.1\nroute add default via 2001:db8:1::1\n"
        ))
    }

    fn wire_bridge(&self, firewall: &Namespace) -> Result<()> {
        let ports: Vec<String> =
            self.protected().map(|device| format!("link set {} master br0\n", device.port())).collect();
        firewall.ip(&format!(
            "link add br0 address 02:ed:9e:00:00:0a type bridge stp_state 0 forward_delay 0\n{}\
             address add {}/24 dev br0\naddress add {}/64 dev br0 nodad\nlink set br0 up\n",
            ports.concat(),
            self.gateway(Device::Hub),
            self.gateway_v6(Device::Hub),
        ))?;
        self.namespace(Device::Hub).ip(&format!(
            "link set eth0 up\naddress add {}/24 dev eth0\naddress add {}/64 dev eth0 nodad\n\
             route add default via {}\nroute add default via {}\n",
            self.address(Device::Hub),
            self.address_v6(Device::Hub),
            self.gateway(Device::Hub),
            self.gateway_v6(Device::Hub),
        ))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = Self::remove(&self.name)
        {
            eprintln!("site {} could not be taken down: {error:#}", self.name);
        }
    }
}

fn is_outside(topology: Topology, device: Device) -> bool {
    topology == Topology::Masqueraded && device == Device::Hub
}

/// The site's name becomes part of paths and of names of namespaces.
pub(crate) fn folder_of(name: &str) -> Result<PathBuf> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 24 || !name.chars().all(fits) {
        bail!("a site's name is 1 to 24 lower-case letters, digits and hyphens, not {name:?}");
    }
    let is_in_memory =
        |path: &&&str| statfs(**path).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
    let base = IN_MEMORY.iter().find(is_in_memory).unwrap_or(&IN_MEMORY[0]);
    Ok(Path::new(base).join("edgeward-lab").join(name))
}

fn pins_of(name: &str) -> PathBuf {
    Path::new("/sys/fs/bpf").join(format!("edgeward-lab-{name}"))
}

fn namespace_of(site: &str, role: &str) -> Namespace {
    Namespace::named(format!("{site}-{role}"))
}
