//! What people look at before they decide: the graph, profiles of makers, habits, what would break.

use std::{
    fs::File,
    io::{BufWriter, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use capture::{Link, Writer};
use clap::{Subcommand, ValueEnum};
use dashboard::{inspect, rpc::Request, view};
use graph::jobs::Job;
use graph::mud::TEXT_CAP;
use serde_json::Value;

use super::{
    ask::{Ask, print_json},
    lifetime::show_date,
    print::{self, Table},
};

#[derive(Debug, Subcommand)]
pub(super) enum GraphCommand {
    /// Print the graph
    Export {
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        /// Only what is about this device; a profile is always of one
        #[arg(long, required_if_eq("format", "mud"))]
        device: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Json,
    /// For Graphviz
    Dot,
    /// As a profile (RFC 8520)
    Mud,
}

#[derive(Debug, Subcommand)]
pub(super) enum MudCommand {
    /// What the maker declares, the device does and you have decided, side by side
    Diff {
        file: PathBuf,
        #[arg(long)]
        device: String,
    },
    /// Make questions of what the maker declares; nothing of it passes before you allow it
    Import {
        file: PathBuf,
        #[arg(long)]
        device: String,
        /// Only say what would be asked
        #[arg(long)]
        dry_run: bool,
    },
}

impl Ask {
    pub(super) async fn graph(&mut self, command: GraphCommand) -> Result<()> {
        let GraphCommand::Export { format, device } = command;
        let format = match format {
            Format::Json => inspect::Format::Json,
            Format::Dot => inspect::Format::Dot,
            Format::Mud => inspect::Format::Mud,
        };
        match self.client.call(Request::GraphExport { format, device }).await? {
            Value::String(text) if !self.json => println!("{}", text.trim_end()),
            model => print_json(&model)?,
        }
        Ok(())
    }

    pub(super) async fn mud(&mut self, command: MudCommand) -> Result<()> {
        match command {
            MudCommand::Diff { file, device } => {
                let profile = read(&file)?;
                self.show(Request::MudDiff { device, profile }, diff).await
            }
            MudCommand::Import { file, device, dry_run } => {
                let profile = read(&file)?;
                self.show(Request::MudImport { device, profile, dry_run }, |made| imported(made, dry_run))
                    .await
            }
        }
    }

    pub(super) async fn review(&mut self, principal: String) -> Result<()> {
        self.show(Request::Review { principal }, review).await
    }

    /// Whether a device has a model that is in force.
    pub(super) async fn enforces(&mut self, principal: &str) -> Result<bool> {
        let request = Request::Principal { principal: principal.to_owned() };
        let principal: view::Principal = self.client.call(request).await?;
        Ok(principal.mode == "enforcing")
    }

    pub(super) async fn await_update(&mut self, principal: String, seconds: u32) -> Result<()> {
        self.show(Request::AwaitUpdate { principal, seconds }, |_: &inspect::Review| {
            println!(
                "New names of domains that it uses are learned, each at its second try; everything else is asked about. \
                 `edgeward learn review` shows the difference."
            );
        })
        .await
    }

    /// Writes packets of an edge into a capture.
    pub(super) async fn packets(&mut self, edge: u32, seconds: Option<u32>, file: &Path) -> Result<()> {
        let output = File::create(file).with_context(|| format!("cannot make {}", file.display()))?;
        match seconds {
            Some(0) => {}
            Some(seconds) => eprintln!("Waiting up to {} seconds for packets.", seconds.min(60)),
            None => {
                eprintln!("Where the first packet is not known, this waits up to half a minute for others.");
            }
        }
        let packets: Vec<inspect::Packet> = self.client.call(Request::Packets { edge, seconds }).await?;
        let mut writer = Writer::new(BufWriter::new(output), Link::Ethernet)?;
        for packet in &packets {
            writer.packet(packet.time, packet.length, &packet.bytes)?;
        }
        writer.finish().with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("{} packets are in {}.", packets.len(), file.display());
        Ok(())
    }

    pub(super) async fn would_break(
        &mut self,
        mode: Option<String>,
        principal: Option<String>,
    ) -> Result<()> {
        if !matches!(mode.as_deref(), Some("enforce" | "enforcing")) {
            bail!("only what enforces can break something; write `edgeward mode enforce --dry-run`");
        }
        self.show(Request::WouldBreak { principal }, |broken: &Vec<inspect::Break>| breaks(broken)).await
    }
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // A byte more than a profile may have says that it is too long.
    let read = file.take(TEXT_CAP as u64 + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

fn diff(diff: &inspect::MudDiff) {
    println!("{} ({}), {}", print::text(&diff.about), print::text(&diff.url), print::end(&diff.device));
    let mut table = Table::new(["maker declares", "device does", "model", "connection"]);
    let yes = |yes: bool| if yes { "yes" } else { "-" }.to_owned();
    for row in &diff.rows {
        let state = row.state.clone().unwrap_or_else(|| "-".to_owned());
        table.row([yes(row.declared), yes(row.does), state, print::text(&row.what)]);
    }
    table.print();
}

fn imported(made: &inspect::MudImport, dry_run: bool) {
    if !made.asked.is_empty() {
        println!("{}", if dry_run { "Would wait for you:" } else { "Waits for you:" });
        print::edges(&made.asked);
    }
    for (title, lines) in [("In the model already:", &made.known), ("To be written by you:", &made.open)] {
        if !lines.is_empty() {
            println!("{title}");
        }
        for line in lines {
            println!("  {}", print::text(line));
        }
    }
}

fn review(review: &inspect::Review) {
    println!("{} habits of {}", review.habits, print::end(&review.device));
    let mut table = Table::new(["habits", "with", "newest (UTC)", "what"]);
    for group in &review.groups {
        let what: Vec<String> =
            group.habits.iter().map(|edge| format!("{} {}", edge.verb, edge.object)).collect();
        table.row([
            group.habits.len().to_string(),
            print::text(&group.with),
            show_date(group.newest),
            print::text(&what.join(", ")),
        ]);
    }
    table.print();
    if let Some(evidence) = &review.evidence {
        println!(
            "\nConfidence: {}. {} whole days were covered, nothing new for {} hours.",
            evidence.confidence,
            evidence.days,
            evidence.quiet / 3_600
        );
        if !evidence.not_covered.is_empty() {
            println!("Not covered yet: {}.", evidence.not_covered.join(", "));
        }
        if !evidence.not_seen.is_empty() {
            let jobs = evidence
                .not_seen
                .iter()
                .map(|code| Job::from_name(code).map_or_else(|| code.clone(), |job| job.text().to_owned()));
            println!("Not seen yet: {}.", print::text(&jobs.collect::<Vec<_>>().join(", ")));
        }
    }
    if let Some(update) = &review.update {
        let state = if update.over { "is over since" } else { "is awaited until" };
        println!("\nAn update {state} {} UTC; it has brought:", show_date(update.until));
        print::edges(&update.learned);
    }
}

fn breaks(broken: &[inspect::Break]) {
    for broken in broken {
        println!("{} ({} tries, edge {})", print::line(&broken.sentence), broken.tries, broken.edge);
    }
    match broken.len() {
        0 => println!("Nothing that was seen would break."),
        count => println!("{count} would break."),
    }
}
