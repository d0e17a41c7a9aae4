//! The lanes: a client, a broker, and a router for each way between them.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use lab::{
    net::{self, Namespace, Plug},
    process::{self, Process},
};
use nix::{
    fcntl::{Flock, FlockArg},
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::bulk;

/// Where everything of a run lies; in memory, on most systems.
const FOLDER: &str = "/run/edgeward-bench";
/// Where the firewall of the run pins its programs and maps.
pub(crate) const PINS: &str = "/sys/fs/bpf/edgeward-bench";
pub(crate) const BROKER: u16 = 1883;

const START: Duration = Duration::from_secs(10);
/// As raised as an ordinary process may be.
const NICE: i32 = -15;

/// A way from the client to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A router that only routes.
    Bare,
    /// Another one, to see what differs by chance.
    Twin,
    Ours,
    /// nftables with connection tracking and a set of topics.
    Nft,
    /// haproxy as a gate for MQTT.
    Haproxy,
    /// Suricata inline, with a list of allowed topics.
    Suricata,
}

impl Lane {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bare, Self::Twin, Self::Ours, Self::Nft, Self::Haproxy, Self::Suricata];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Twin => "twin",
            Self::Ours => "ours",
            Self::Nft => "nft",
            Self::Haproxy => "haproxy",
            Self::Suricata => "suricata",
        }
    }

    /// The program without which the lane cannot be.
    pub(crate) const fn program(self) -> Option<&'static str> {
        match self {
            Self::Bare | Self::Twin | Self::Ours | Self::Nft => None,
            Self::Haproxy => Some("haproxy"),
            Self::Suricata => Some("suricata"),
        }
    }

    /// Whether it stops a topic that no rule allows.
    pub(crate) const fn judges_topics(self) -> bool {
        match self {
            Self::Bare | Self::Twin | Self::Haproxy => false,
            Self::Ours | Self::Nft | Self::Suricata => true,
        }
    }

    const fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) fn router(self) -> Namespace {
        namespace(self.name())
    }

    /// Where the client finds a service of the server on this lane.
    pub(crate) const fn server(self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 79, self.number(), 2), port)
    }

    /// The router's own address towards the client.
    pub(crate) const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, self.number(), 1)
    }

    pub(crate) fn client_mac(self) -> String {
        format!("02:ed:9e:01:{:02x}:01", self.number())
    }

    pub(crate) fn server_mac(self) -> String {
        format!("02:ed:9e:02:{:02x}:01", self.number())
    }
}

fn namespace(role: &str) -> Namespace {
    Namespace::named(format!("edgeward-bench-{role}"))
}

/// Lanes that are laid, with a broker at their end; they go when the value goes.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
    /// Topic rules of every lane that judges topics.
    pub(crate) topics: usize,
}

/// Waits until no other run uses the same names.
pub(crate) fn lock() -> Result<Flock<File>> {
    fs::create_dir_all(FOLDER).with_context(|| format!("cannot make {FOLDER}"))?;
    let folder = File::open(FOLDER).with_context(|| format!("cannot open {FOLDER}"))?;
    Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error).context("cannot lock the folder")
}

/// Removes whatever there is of a run.
pub(crate) fn remove() -> Result<()> {
    for (_, process) in process::recorded(folder())?.iter().rev() {
        process.stop()?;
    }
    for role in Lane::ALL.map(Lane::name).into_iter().chain(["client", "server"]) {
        namespace(role).remove()?;
    }
    if Path::new(PINS).exists() {
        fs::remove_dir_all(PINS).with_context(|| format!("cannot remove {PINS}"))?;
    }
    for entry in fs::read_dir(FOLDER).with_context(|| format!("cannot list {FOLDER}"))? {
        let path = entry?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Where the files of a run lie.
pub(crate) fn folder() -> &'static Path {
    Path::new(FOLDER)
}

impl Course {
    pub(crate) fn lay(lanes: &[Lane], topics: usize) -> Result<Self> {
        remove()?;
        let course = Self { client: namespace("client"), server: namespace("server"), topics };
        for namespace in [&course.client, &course.server] {
            prepare(namespace)?;
        }
        for &lane in lanes {
            course.lay_lane(lane).with_context(|| format!("cannot lay the lane {}", lane.name()))?;
        }
        course.start_broker()?;
        bulk::serve(&course)?;
        Ok(course)
    }

    fn lay_lane(&self, lane: Lane) -> Result<()> {
        let (router, number, name) = (lane.router(), lane.number(), lane.name());
        prepare(&router)?;
        router.sysctl(&["net.ipv4.ip_forward=1"])?;
        let ends = [
            (
                &self.client,
                format!("c-{name}"),
                lane.client_mac(),
                "lan0",
                format!("02:ed:9e:01:{number:02x}:02"),
            ),
            (
                &self.server,
                format!("s-{name}"),
                lane.server_mac(),
                "lan1",
                format!("02:ed:9e:02:{number:02x}:02"),
            ),
        ];
        for (namespace, interface, mac, port, port_mac) in &ends {
            net::cable(
                &Plug { namespace: &router, interface: port, mac: port_mac },
                &Plug { namespace, interface, mac },
            )?;
        }
        router.ip(&format!(
            "address add 10.78.{number}.1/24 dev lan0\naddress add 10.79.{number}.1/24 dev lan1\n\
             link set lan0 up\nlink set lan1 up\n"
        ))?;
        for (namespace, near, far, interface) in
            [(&self.client, 78, 79, &ends[0].1), (&self.server, 79, 78, &ends[1].1)]
        {
            namespace.ip(&format!(
                "address add 10.{near}.{number}.2/24 dev {interface}\nlink set {interface} up\n\
                 route add 10.{far}.{number}.0/24 via 10.{near}.{number}.1\n"
            ))?;
        }
        Ok(())
    }

    fn start_broker(&self) -> Result<()> {
        let config = file("mosquitto.conf");
        fs::write(
            &config,
            format!(
                "listener {BROKER}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
                 max_inflight_messages 0\nlog_dest none\n"
            ),
        )
        .context("cannot write the broker's configuration")?;
        let mut command = self.server.command("nice");
        command.args(["-n", &NICE.to_string(), "mosquitto", "-c"]).arg(&config);
        let broker = Process::start(&mut command, "mosquitto", folder())?;
        sched_setaffinity(Pid::from_raw(broker.pid().cast_signed()), &only(last_cpu()?)?)
            .context("the broker cannot be kept on a CPU")?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, BROKER).into();
        process::wait_until(START, "the broker to listen", || {
            self.server.enter(|| Ok(TcpStream::connect_timeout(&address, START).is_ok()))
        })
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if let Err(error) = remove() {
            eprintln!("the lanes could not be taken up: {error:#}");
        }
    }
}

/// A namespace in which only what is measured speaks.
fn prepare(namespace: &Namespace) -> Result<()> {
    namespace.create()?;
    namespace.sysctl(&["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"])
}

pub(crate) fn file(name: &str) -> PathBuf {
    folder().join(name)
}

/// Keeps the calling thread on the first CPU, at raised priority.
pub(crate) fn stay_on_first_cpu() -> Result<()> {
    sched_setaffinity(Pid::from_raw(0), &only(cpus()?[0])?).context("cannot stay on a CPU")?;
    // SAFETY: setpriority takes numbers only.
    let raised = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    nix::errno::Errno::result(raised).context("cannot raise the priority")?;
    Ok(())
}

/// Keeps the calling thread where the broker is.
pub(crate) fn stay_on_last_cpu() -> Result<()> {
    sched_setaffinity(Pid::from_raw(0), &only(last_cpu()?)?).context("cannot stay on a CPU")
}

fn last_cpu() -> Result<usize> {
    cpus()?.pop().context("there is a CPU")
}

fn only(cpu: usize) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

/// The CPUs that the machine lets us use.
fn cpus() -> Result<Vec<usize>> {
    // The first process: our own threads may have been confined already.
    let allowed = sched_getaffinity(Pid::from_raw(1)).context("cannot read which CPUs there are")?;
    Ok((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect())
}
