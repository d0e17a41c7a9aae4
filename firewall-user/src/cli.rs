//! The command line: [`Cli`] is what can be typed, [`run`] does it.
//!
//! `run` and `web` are the two processes; `doctor`, `config`, `unload` and `replay` work on this machine; every other
//! command is one or two requests on the daemon's socket, printed for people or, with `--json`, as the daemon's view
//! models.

// What runs here.
mod doctor;
mod replay;
mod unload;
mod web;

// What asks the daemon.
mod ask;
mod inspect;
mod lifetime;
mod people;
mod print;

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use dashboard::{
    rpc::{Client, ClientError},
    view::Role,
};
use nix::sys::signal::{SigHandler, Signal};

use self::lifetime::LifetimeArgs;
use crate::{
    config::{self, Attach, Config, Mistakes, SiteMode},
    daemon,
    duration::Span,
    kernel,
    net::InterfaceName,
};

/// Exit code for a bad configuration (`EX_USAGE`).
const BAD_CONFIGURATION: u8 = 64;

/// Learns who talks to whom at a site, and lets nothing new through until someone allows it.
#[derive(Debug, Parser)]
#[command(name = "edgeward", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Folder of the daemon's socket
    #[arg(long, global = true, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Print the view models as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PhoneCommand {
    /// Who is let in
    List,
    /// Log one out
    Remove { id: String },
    /// Let a program in, and print its token once
    Token {
        /// What it is called in the list and in the ledger
        name: String,
        #[arg(long, default_value = "viewer")]
        role: Role,
    },
}

#[derive(Debug, Subcommand)]
enum PinCommand {
    /// Read a new PIN of 4 to 12 digits from the standard input
    Set,
    Remove,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Protect interfaces: load the kernel programs, keep the model, answer on the socket
    Run(RunArgs),
    /// Serve the page
    Web(web::Args),
    /// Let a phone or browser in: make a one-use code for the page
    Pair {
        /// How long the code is valid
        #[arg(long = "for", value_name = "TIME", default_value = "10m")]
        lifetime: Span,
        /// owner (everything), member (no high risk), viewer (only looks) or pro (an owner for 7 days, without people)
        #[arg(long, default_value = "owner")]
        role: Role,
    },
    /// Phones, browsers and programs that are let in
    #[command(subcommand)]
    Phones(PhoneCommand),
    /// The PIN of the household, asked before something of high risk is allowed for long
    #[command(subcommand)]
    Pin(PinCommand),
    /// How the firewall stands
    Status,
    /// Check this machine and say what to do
    Doctor(ConfigArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Remove the guard, the kernel programs and their maps; the model stays
    Unload(unload::Args),
    /// What the firewall would read in captures, operation by operation
    Replay(replay::Args),
    /// Devices and other ends of edges
    #[command(subcommand, visible_alias = "devices")]
    Principals(PrincipalCommand),
    /// Learning of devices
    #[command(subcommand)]
    Learn(LearnCommand),
    /// Edges of the model
    #[command(subcommand)]
    Edges(EdgeCommand),
    /// The graph of who talks to whom
    #[command(subcommand)]
    Graph(inspect::GraphCommand),
    /// What makers declare about their devices (MUD, RFC 8520)
    #[command(subcommand)]
    Mud(inspect::MudCommand),
    /// What waits for a decision
    #[command(subcommand)]
    Pending(PendingCommand),
    /// Allow what an edge asks for
    Approve {
        edge: u32,
        #[command(flatten)]
        lifetime: LifetimeArgs,
    },
    /// Deny what an edge asks for
    Deny {
        edge: u32,
        #[command(flatten)]
        lifetime: LifetimeArgs,
    },
    /// Show or set the mode of the site (monitor, enforce) or of a device (new, learning, enforce, guest, quarantine)
    Mode {
        mode: Option<String>,
        principal: Option<String>,
        /// Only say what was seen, and would not pass any more
        #[arg(long, requires = "mode")]
        dry_run: bool,
    },
    /// Drop nothing for a while, at the whole site or of one device
    Pause {
        principal: Option<String>,
        #[arg(long = "for", value_name = "TIME")]
        lifetime: Span,
    },
    /// Keep a change to enforce
    Confirm,
    /// Say what a new router or network means: `keep` what was learned, or `learn` what is different here
    Moved { answer: Moved },
    /// Who is banned, and until when
    #[command(subcommand)]
    Bans(BanCommand),
    /// What was decided
    #[command(subcommand)]
    Decisions(DecisionCommand),
    /// What was seen
    Observe {
        /// Go on with what is seen from now on
        #[arg(short, long)]
        follow: bool,
        /// FORWARDED, DROPPED, RESET, NEUTRALISED or AUDIT
        #[arg(long)]
        verdict: Option<String>,
        #[arg(long, value_name = "TIME")]
        since: Option<Span>,
    },
    /// Why an edge has its state
    Explain {
        edge: u32,
        /// Also write its packets into a capture: the beginning of the first one that was stopped, or else the next ones
        #[arg(long, value_name = "FILE.pcap")]
        pcap: Option<PathBuf>,
        /// Also wait so long for the next packets, at most a minute
        #[arg(long = "for", value_name = "TIME", requires = "pcap")]
        lifetime: Option<Span>,
    },
    /// What was blocked for a device lately
    Trouble {
        principal: String,
        #[arg(long, value_name = "TIME", default_value = "15m")]
        since: Span,
    },
    /// The record of decisions
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file [default: /etc/edgeward/edgeward.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Protect this interface instead of those of the configuration; may be repeated
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<InterfaceName>,
    /// The interface to the Internet
    #[arg(long, value_name = "IF")]
    uplink: Option<InterfaceName>,
    /// Mode of a site at its first start: monitor or enforce; later starts keep the mode of the site
    #[arg(long)]
    mode: Option<SiteMode>,
    /// Which programs are attached: auto, tc, xdp or xdp-generic
    #[arg(long)]
    attach: Option<Attach>,
    /// Folder of the model, the decisions and the ledger
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Folder of the pinned maps and links
    #[arg(long, value_name = "DIR")]
    bpffs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Name every mistake of the configuration
    Check(ConfigArgs),
    /// Print the configuration in force
    Show(ConfigArgs),
}

#[derive(Debug, Subcommand)]
enum PrincipalCommand {
    /// All of them
    List,
    /// One of them
    Show { principal: String },
    /// Name a device and say what it is; an empty text removes one
    Set {
        principal: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        kind: Option<String>,
        #[arg(long)]
        room: Option<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Make one device part of another
    Merge { principal: String, into: String },
    /// Remove a device and its edges
    Forget { principal: String },
    /// Let nothing of a device pass
    Quarantine { principal: String },
    /// End a quarantine: what is in the model passes again
    Release { principal: String },
    /// What is done about something unusual on the edges of a device: ask while they flow on, or block until someone
    /// answers
    Unusual {
        principal: String,
        #[arg(value_parser = ["ask", "block"])]
        response: String,
    },
}

/// Instead of a response of its own, an edge has that of its source.
const AS_SOURCE: &str = "as-source";

#[derive(Debug, Subcommand)]
enum LearnCommand {
    /// How far learning has come
    Status,
    /// Let a device learn, or all
    ///
    /// With a time, a device that enforces gets new software within it: new names of domains that it uses are learned, and
    /// everything else is asked about.
    Start {
        principal: Option<String>,
        #[arg(long = "for", value_name = "TIME")]
        lifetime: Option<Span>,
        /// Learn all that it does in that time, also if it enforces
        #[arg(long, requires = "lifetime")]
        everything: bool,
    },
    /// The habits of a device in groups, and what they rest on
    Review { principal: String },
    /// End learning and enforce now, for one device or all
    Finish { principal: Option<String> },
}

#[derive(Debug, Subcommand)]
enum BanCommand {
    /// All of them
    List,
    /// Let nothing of a device pass for a while, or none of its MQTT connections with one client id
    Add {
        principal: String,
        /// MQTT client id; other devices may go on using it
        #[arg(long)]
        client: Option<String>,
        #[arg(long = "for", value_name = "TIME")]
        lifetime: Span,
        /// For the list and the ledger
        #[arg(long, default_value = "")]
        why: String,
    },
    /// End a ban before its time
    Remove { ban: u32 },
}

#[derive(Debug, Subcommand)]
enum EdgeCommand {
    /// All edges, or some
    List {
        /// learned, allowed, denied, pending, or flagged: unusual, and passing all the same
        #[arg(long)]
        state: Option<String>,
        /// Only edges of this principal
        #[arg(long)]
        principal: Option<String>,
    },
    /// Allow an edge that need not exist yet
    Allow {
        #[command(flatten)]
        spec: SpecArgs,
        /// A publish must not ask the broker to retain it
        #[arg(long)]
        no_retain: bool,
        /// Highest quality of service of a publish: 0, 1 or 2
        #[arg(long, value_name = "QOS", value_parser = clap::value_parser!(u8).range(0..=2))]
        max_qos: Option<u8>,
        #[command(flatten)]
        lifetime: LifetimeArgs,
    },
    /// Deny an edge that need not exist yet
    Deny {
        #[command(flatten)]
        spec: SpecArgs,
        /// What becomes of a denied publish
        #[arg(long, value_enum, default_value_t = DenyAction::Reset)]
        action: DenyAction,
        #[command(flatten)]
        lifetime: LifetimeArgs,
    },
    /// Take an edge out of the model; it is asked about at its next try
    Remove { edge: u32 },
    /// What is done about something unusual on an edge: ask while it flows on, block until someone answers, or as is set
    /// for its source
    Unusual {
        edge: u32,
        #[arg(value_parser = ["ask", "block", AS_SOURCE])]
        response: String,
    },
    /// Print the model as TOML
    Export,
    /// Make the model what a file says; what the file does not name stays
    Import {
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
}

/// An edge in words. Principals go by name, number, MAC or IP address.
#[derive(Debug, Args)]
struct SpecArgs {
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    #[arg(long, default_value = "packet")]
    plane: String,
    /// connect; publish or subscribe; get, set or delete; read or write
    #[arg(long)]
    verb: String,
    /// What the verb is done to, in the protocol's own text
    #[arg(long, long_help = OBJECTS)]
    object: String,
}

/// How an object is written.
const OBJECTS: &str = "\
What the verb is done to, in the protocol's own text:

  connect             tcp/443, udp/53, icmp/8, ip/47, ether/88cc
                      tcp/8080 http   what connections to the port speak: opaque, mqtt, http, tls, modbus, coap, …
                      client:ID       an MQTT client id; user:NAME an MQTT user name
                      tls:NAME        the server name of a TLS connection
  publish, subscribe  site/+/temp     an MQTT topic or filter
  get, set, delete    http:/api/#     a path at any host; http://host/path at one host; coap:/light
  subscribe           coap:/light     CoAP observe
  read, write         modbus:1/holding/100-109    unit, area, addresses
                      areas: coils, inputs, input, holding, files, fifo, fn and the number of a function

`+` is any one level (or client id, name, unit), `#` at the end is that and everything below (or all addresses); a
backslash before a level makes it literal. A path has no query. Messages are meant at the usual port of their protocol:
mqtt 1883 (or the first of [mqtt] ports), http 80, coap 5683 (UDP), modbus 502, tls 443. Another one stands behind the
name of the protocol: mqtt:8883:site/+/temp, mqtt:8883:client:ID, http:8080:/api, http:8080://host/path,
coap:61616:/light, modbus:1502:1/coils/5, tls:8443:NAME";

/// What a new router or network means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Moved {
    /// All goes on as it is
    Keep,
    /// All devices learn again what is different here; no model is forgotten
    Learn,
}

/// What becomes of a denied publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DenyAction {
    /// Both ends of its connection are reset
    Reset,
    /// It goes on as a message that nobody receives, and the connection goes on
    Neutralise,
}

#[derive(Debug, Subcommand)]
enum PendingCommand {
    /// Every edge that was tried and nobody has decided about
    List,
}

#[derive(Debug, Subcommand)]
enum DecisionCommand {
    /// The latest first
    List {
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Take a decision back, by a new one
    Undo { decision: u64 },
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check that nothing was changed or removed
    Verify,
}

/// Does what was typed.
pub async fn run(cli: Cli) -> ExitCode {
    match dispatch(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("edgeward: {}", one_line(&error));
            if error.is::<Mistakes>() { BAD_CONFIGURATION.into() } else { ExitCode::FAILURE }
        }
    }
}

/// The chain of causes; a cause that only repeats what was said is left out.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    let Cli { command, runtime_dir, json } = cli;
    match command {
        Command::Run(args) => run_daemon(args, runtime_dir).await?,
        Command::Web(args) => web::run(args, runtime_dir).await?,
        Command::Doctor(args) => return doctor::run(args.config.as_deref(), runtime_dir, json).await,
        Command::Config(ConfigCommand::Check(args)) => {
            config_of(&args)?;
            println!("The configuration is in order.");
        }
        Command::Config(ConfigCommand::Show(args)) => print!("{}", config_of(&args)?),
        Command::Unload(args) => unload::run(args, runtime_dir).await?,
        Command::Replay(args) => {
            end_with_the_reader();
            return replay::run(&args, json);
        }
        asking => {
            end_with_the_reader();
            let runtime_dir = runtime_dir.unwrap_or_else(configured_runtime_dir);
            let client = Client::connect(&runtime_dir).await.map_err(allowed)?;
            ask::run(asking, client, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_daemon(args: RunArgs, runtime_dir: Option<PathBuf>) -> Result<()> {
    let mut config = config_of(&args.config)?;
    if !args.interfaces.is_empty() {
        config.interfaces.protect = args.interfaces;
    }
    if let Some(uplink) = args.uplink {
        config.interfaces.uplink = Some(uplink);
    }
    if let Some(mode) = args.mode {
        config.site.mode = mode;
    }
    if let Some(attach) = args.attach {
        config.interfaces.attach = attach;
    }
    for (chosen, configured) in [
        (args.state_dir, &mut config.state.dir),
        (runtime_dir, &mut config.state.runtime_dir),
        (args.bpffs, &mut config.state.bpffs),
    ] {
        if let Some(chosen) = chosen {
            *configured = chosen;
        }
    }
    config.check_choice()?;
    if !nix::unistd::geteuid().is_root() {
        bail!("protecting interfaces needs root; run it with sudo");
    }
    if !kernel::is_built_in() {
        bail!(kernel::KernelError::NotBuiltIn);
    }
    if let Some(version) = kernel::too_old() {
        bail!(kernel::KernelError::TooOld { version });
    }
    // What the daemon makes is for root; the socket says itself who may use it.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    daemon::run(config).await
}

/// A socket that exists but may not be used means the wrong user, not that the daemon is not running.
fn allowed(error: ClientError) -> anyhow::Error {
    match &error {
        ClientError::NotRunning { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            anyhow!(
                "{path} may not be used by this user; use sudo, or join the group edgeward and log in again"
            )
        }
        _ => error.into(),
    }
}

/// Lets `edgeward … | head` end quietly. The two daemons must outlive who reads from them and do not call this.
fn end_with_the_reader() {
    // SAFETY: the default action is no handler of ours, so nothing of this program runs in a signal.
    let reset = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    reset.expect("SIGPIPE is a signal whose action can be chosen");
}

fn config_of(args: &ConfigArgs) -> Result<Config, Mistakes> {
    Config::load(args.config.as_deref())
}

/// The folder of the default configuration, as far as it can be read by who asks.
fn configured_runtime_dir() -> PathBuf {
    Config::load(None).map_or_else(|_| config::DEFAULT_RUNTIME_DIR.into(), |config| config.state.runtime_dir)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_fit_together_and_objects_are_explained() {
        Cli::command().debug_assert();
        let mut command = Cli::command();
        let edges = command.find_subcommand_mut("edges").unwrap();
        let help = edges.find_subcommand_mut("deny").unwrap().render_long_help().to_string();
        for part in ["http://host/path", "modbus:1/holding/100-109", "mqtt:8883:client:ID", "neutralise"] {
            assert!(help.contains(part), "{part} in {help}");
        }
    }

    #[test]
    fn a_decision_takes_what_belongs_to_it() {
        let parse = |line: &str| {
            Cli::try_parse_from(line.split(' ')).map(|cli| match cli.command {
                Command::Edges(EdgeCommand::Deny { action, .. }) => (Some(action), false, None),
                Command::Edges(EdgeCommand::Allow { no_retain, max_qos, .. }) => (None, no_retain, max_qos),
                other => panic!("{other:?}"),
            })
        };
        let spec = "--from A --to B --verb publish --object a/#";
        let deny = |rest: &str| parse(&format!("edgeward edges deny {spec}{rest}"));
        assert_eq!(deny("").unwrap().0, Some(DenyAction::Reset));
        assert_eq!(deny(" --action neutralise").unwrap().0, Some(DenyAction::Neutralise));
        assert!(deny(" --action ignore").is_err() && deny(" --max-qos 1").is_err());
        let allow = |rest: &str| parse(&format!("edgeward edges allow {spec}{rest}"));
        assert_eq!(allow(" --no-retain --max-qos 1 --for 1h").unwrap(), (None, true, Some(1)));
        assert!(allow(" --max-qos 3").is_err() && allow(" --action reset").is_err());
    }
}
