//! The configuration: `edgeward.toml`, then `conf.d/*.toml` in the order of their names, later values winning.
//!
//! All mistakes of all files are reported at once, each with its line and what to write instead. A file that has one
//! changes nothing: the daemon does not start with half a configuration.

mod read;

use std::{
    fmt, fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{duration::Span, net::InterfaceName};

/// Where the configuration is, unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/edgeward/edgeward.toml";

/// What the daemon and the page are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub site: Site,
    pub interfaces: Interfaces,
    pub dhcp: Dhcp,
    pub dns: Servers,
    pub ntp: Servers,
    pub learning: Learning,
    pub mqtt: Mqtt,
    pub web: Web,
    pub pairing: Pairing,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub mode: SiteMode,
    /// Denied connections are not answered.
    pub silent: bool,
    /// How long a change to enforce waits for `edgeward confirm` before it reverts.
    pub confirm: Span,
}

/// Whether anything is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteMode {
    /// Nothing is dropped, everything is judged.
    Monitor,
    Enforce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    /// Where devices live.
    pub protect: Vec<InterfaceName>,
    /// The way out.
    pub uplink: Option<InterfaceName>,
    pub attach: Attach,
    pub marks: Marks,
}

/// Which programs are attached to a protected interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// What fits the interface: TC.
    Auto,
    Tc,
    /// TC, and XDP in the driver before it.
    Xdp,
    /// TC, and XDP after the driver before it.
    XdpGeneric,
}

/// Bits of the packet mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Set on a frame that was judged.
    pub judged: u32,
    /// Set on a frame that passed the uplink's gate.
    pub gated: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcp {
    pub server: DhcpServer,
}

/// Where DHCP server messages may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhcpServer {
    /// This box.
    Own,
    /// A device at this protected interface.
    Port(InterfaceName),
}

/// Servers besides this box that every device may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    pub servers: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learning {
    /// Shortest time of learning.
    pub min: Span,
    /// Time without a new edge that ends it.
    pub quiet: Span,
    /// Longest time of learning.
    pub max: Span,
    /// Between the end of learning and enforcing.
    pub notice: Span,
    /// Devices first seen within this time after the first start learn without being asked about.
    pub first_run: Span,
    /// In such windows it is measured how much edges carry.
    pub window: Span,
    /// Most edges that one device may learn.
    pub max_edges: u32,
    /// Most destinations that one device may learn.
    pub max_destinations: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    pub ports: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Loopback in clear, addresses of the LAN with TLS.
    pub listen: Vec<SocketAddr>,
}

/// How a phone is let in without a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// A console with a display, on which a code is shown while nobody is paired.
    pub display: Option<PathBuf>,
    /// Where a file may lie that lets a phone in at the next start.
    pub folders: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub bpffs: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            site: Site { mode: SiteMode::Enforce, silent: false, confirm: Span::from_secs(5 * 60) },
            interfaces: Interfaces {
                protect: Vec::new(),
                uplink: None,
                attach: Attach::Auto,
                marks: Marks::default(),
            },
            dhcp: Dhcp { server: DhcpServer::Own },
            dns: Servers::default(),
            ntp: Servers::default(),
            learning: Learning {
                min: Span::from_secs(5 * 86_400),
                quiet: Span::from_secs(48 * 3_600),
                max: Span::from_secs(14 * 86_400),
                notice: Span::from_secs(86_400),
                first_run: Span::from_secs(3 * 86_400),
                window: Span::from_secs(10),
                max_edges: 256,
                max_destinations: 128,
            },
            mqtt: Mqtt { ports: vec![1883] },
            web: Web { listen: vec![SocketAddr::from(([127, 0, 0, 1], 8480))] },
            pairing: Pairing { display: None, folders: vec!["/boot/firmware".into(), "/boot".into()] },
            state: State {
                dir: "/var/lib/edgeward".into(),
                runtime_dir: DEFAULT_RUNTIME_DIR.into(),
                bpffs: "/sys/fs/bpf/edgeward".into(),
            },
        }
    }
}

/// Where the socket is, unless told otherwise.
pub const DEFAULT_RUNTIME_DIR: &str = "/run/edgeward";

impl Default for Marks {
    fn default() -> Self {
        Self { judged: 0x4000_0000, gated: 0x2000_0000 }
    }
}

impl Config {
    /// Reads a file and the `conf.d` folder beside it. A default file that does not exist is an empty one.
    pub fn load(path: Option<&Path>) -> Result<Self, Mistakes> {
        let main = path.unwrap_or(Path::new(DEFAULT_PATH));
        let mut files = Vec::new();
        if path.is_some() || main.exists() {
            files.push(main.to_owned());
        }
        let folder = main.parent().unwrap_or(Path::new(".")).join("conf.d");
        if let Ok(entries) = fs::read_dir(&folder) {
            let mut more: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .collect();
            more.sort();
            files.extend(more);
        }
        let mut config = Self::default();
        let mut mistakes = Vec::new();
        for file in files {
            match fs::read_to_string(&file) {
                Ok(text) => read::apply(&mut config, &file, &text, &mut mistakes),
                Err(error) => {
                    mistakes.push(Mistake { file, line: None, message: format!("cannot be read: {error}") });
                }
            }
        }
        config.check(main, &mut mistakes);
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
    }

    /// Reads one text, as `config check` and the tests do.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Mistakes> {
        let mut config = Self::default();
        let mut mistakes = Vec::new();
        read::apply(&mut config, file, text, &mut mistakes);
        config.check(file, &mut mistakes);
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
    }

    /// Checks again what the command line has changed.
    pub fn check_choice(&self) -> Result<(), Mistakes> {
        let mut mistakes = Vec::new();
        self.check(Path::new("command line"), &mut mistakes);
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }

    /// What one value alone does not show.
    fn check(&self, file: &Path, mistakes: &mut Vec<Mistake>) {
        let mut mistake = |message: String| {
            mistakes.push(Mistake { file: file.to_owned(), line: None, message });
        };
        let Interfaces { protect, uplink, marks, .. } = &self.interfaces;
        if let Some(uplink) = uplink
            && protect.contains(uplink)
        {
            mistake(format!(
                "interfaces: {uplink} cannot be both protected and the uplink; remove it from one of them"
            ));
        }
        if let DhcpServer::Port(port) = &self.dhcp.server
            && !protect.contains(port)
            && uplink.as_ref() != Some(port)
        {
            mistake(format!(
                "dhcp.server: {port} is neither protected nor the uplink; name one of them, or \"self\""
            ));
        }
        if marks.judged & marks.gated != 0 {
            mistake("interfaces.marks: judged and gated share a bit; choose different ones".to_owned());
        }
        if self.learning.min > self.learning.max {
            mistake(format!(
                "learning: min ({}) is longer than max ({}); swap them or shorten min",
                self.learning.min, self.learning.max
            ));
        }
    }
}

/// One mistake, where it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// Counted from 1; absent where several lines together are wrong.
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All mistakes of a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mistakes: Vec<&Mistake> = self.0.iter().collect();
        mistakes.sort_by_key(|mistake| (&mistake.file, mistake.line));
        let lines: Vec<String> = mistakes.into_iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// The configuration in force, as TOML.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name: &InterfaceName| format!("\"{name}\"");
        writeln!(f, "[site]")?;
        writeln!(f, "mode = \"{}\"", self.site.mode)?;
        writeln!(f, "silent = {}", self.site.silent)?;
        writeln!(f, "confirm = \"{}\"", self.site.confirm)?;
        let Interfaces { protect, uplink, attach, marks } = &self.interfaces;
        writeln!(f, "\n[interfaces]")?;
        let names: Vec<String> = protect.iter().map(quoted).collect();
        writeln!(f, "protect = [{}]", names.join(", "))?;
        if let Some(uplink) = uplink {
            writeln!(f, "uplink = {}", quoted(uplink))?;
        }
        writeln!(f, "attach = \"{attach}\"")?;
        writeln!(f, "marks = {{ judged = {:#010x}, gated = {:#010x} }}", marks.judged, marks.gated)?;
        writeln!(f, "\n[dhcp]")?;
        match &self.dhcp.server {
            DhcpServer::Own => writeln!(f, "server = \"self\"")?,
            DhcpServer::Port(port) => writeln!(f, "server = {}", quoted(port))?,
        }
        for (section, Servers { servers }) in [("dns", &self.dns), ("ntp", &self.ntp)] {
            let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
            writeln!(f, "\n[{section}]\nservers = [{}]", servers.join(", "))?;
        }
        let Learning { min, quiet, max, notice, first_run, window, max_edges, max_destinations } =
            &self.learning;
        writeln!(f, "\n[learning]")?;
        writeln!(
            f,
            "min = \"{min}\"\nquiet = \"{quiet}\"\nmax = \"{max}\"\nnotice = \"{notice}\"\nfirst_run = \"{first_run}\"\nwindow = \"{window}\""
        )?;
        writeln!(f, "max_edges = {max_edges}\nmax_destinations = {max_destinations}")?;
        let ports: Vec<String> = self.mqtt.ports.iter().map(ToString::to_string).collect();
        writeln!(f, "\n[mqtt]\nports = [{}]", ports.join(", "))?;
        let listen: Vec<String> = self.web.listen.iter().map(|address| format!("\"{address}\"")).collect();
        writeln!(f, "\n[web]\nlisten = [{}]", listen.join(", "))?;
        let Pairing { display, folders } = &self.pairing;
        let folders: Vec<String> = folders.iter().map(|folder| quoted_path(folder)).collect();
        writeln!(f, "\n[pairing]\ndisplay = {}", quoted_path(display.as_deref().unwrap_or(Path::new(""))))?;
        writeln!(f, "folders = [{}]", folders.join(", "))?;
        let State { dir, runtime_dir, bpffs } = &self.state;
        writeln!(f, "\n[state]\ndir = {}", quoted_path(dir))?;
        writeln!(f, "runtime_dir = {}\nbpffs = {}", quoted_path(runtime_dir), quoted_path(bpffs))
    }
}

fn quoted_path(path: &Path) -> String {
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}

/// Gives a closed choice its names, in both directions.
macro_rules! names {
    ($type:ident { $($name:literal => $variant:ident),* $(,)? }) => {
        impl $type {
            pub const NAMES: &[&str] = &[$($name),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(format!("choose one of {}", Self::NAMES.join(", "))),
                }
            }
        }
    };
}
names!(SiteMode { "monitor" => Monitor, "enforce" => Enforce });
names!(Attach { "auto" => Auto, "tc" => Tc, "xdp" => Xdp, "xdp-generic" => XdpGeneric });

#[cfg(test)]
mod tests;
