//! `edgeward replay`: captures in, operations out; with `--learn`, questions.

mod model;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::makers::Makers;
use crate::replay::{
    Replay,
    capture::{Capture, CaptureError},
    inventory::{Device, Inventory},
    record::Record,
    summary::Summary,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Captures: pcap or pcapng
    #[arg(required = true, value_name = "FILE.pcap")]
    files: Vec<PathBuf>,
    /// Learn from this capture first, and say what the model would ask about FILE.pcap; may be given again
    #[arg(long, value_name = "FILE.pcap")]
    learn: Vec<PathBuf>,
    /// Judge only the edges from and to this device; the others are there, but not judged
    #[arg(long, value_name = "MAC")]
    as_device: Option<String>,
    /// Compare what that device has learned with what its maker declares (MUD, RFC 8520)
    #[arg(long, value_name = "FILE.json", requires = "as_device")]
    mud: Option<PathBuf>,
}

/// One line of `--json`: a record of a file, or what a file was made of.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    #[serde(flatten)]
    says: Says<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Says<'a> {
    Record(&'a Record),
    Device {
        #[serde(rename = "type")]
        kind_of_line: &'static str,
        #[serde(flatten)]
        device: &'a Device,
    },
    End {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(flatten)]
        summary: &'a Summary,
        packets_per_second: u64,
        /// Why reading ended before the file did, and where.
        error: Option<Failure>,
    },
}

#[derive(Serialize)]
struct Failure {
    offset: u64,
    message: String,
}

pub(super) fn run(args: &Args, json: bool) -> Result<ExitCode> {
    if !args.learn.is_empty() || args.as_device.is_some() {
        return model::run(args, json);
    }
    let mut output = BufWriter::new(io::stdout().lock());
    let mut whole = true;
    let makers = Makers::load();
    for path in &args.files {
        if !json && args.files.len() > 1 {
            writeln!(output, "{}:", path.display())?;
        }
        let result = replay(path, &makers, json, &mut output);
        output.flush()?;
        if let Err(error) = result {
            eprintln!("edgeward: {error:#}");
            whole = false;
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replays one capture; of a damaged one what can be read, and then the error.
fn replay(path: &Path, makers: &Makers, json: bool, output: &mut impl Write) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let begun = Instant::now();
    let (mut replay, mut inventory) = (Replay::default(), Inventory::default());
    let read =
        read(BufReader::new(file), &mut replay, &mut inventory, |record| print(path, record, json, output))?;
    for device in inventory.devices(makers) {
        print_device(path, &device, json, output)?;
    }
    let (summary, rate) = (replay.summary(), replay.summary().rate(begun.elapsed()));
    if json {
        let error = read
            .as_ref()
            .err()
            .map(|error| Failure { offset: error.offset, message: error.damage.to_string() });
        let says = Says::End { kind: "summary", summary, packets_per_second: rate, error };
        serde_json::to_writer(&mut *output, &Line { file: path, says })?;
        writeln!(output)?;
    } else {
        writeln!(output, "{summary}{rate} packets per second")?;
    }
    read.with_context(|| format!("{} could not be read to its end", path.display()))
}

/// Reads until the file ends, in either way, and passes on what is found; the outer error is the output's.
fn read(
    file: impl io::Read,
    replay: &mut Replay,
    inventory: &mut Inventory,
    mut print: impl FnMut(&Record) -> Result<()>,
) -> Result<Result<(), CaptureError>> {
    let mut capture = match Capture::new(file) {
        Ok(capture) => capture,
        Err(error) => return Ok(Err(error)),
    };
    let end = loop {
        match capture.packet() {
            Ok(Some((packet, bytes))) => {
                replay.packet(packet, bytes);
                if let Some((frame, bytes)) = replay.frame() {
                    inventory.see(frame, bytes);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        while let Some(record) = replay.next_record() {
            print(&record)?;
        }
    };
    replay.finish();
    while let Some(record) = replay.next_record() {
        print(&record)?;
    }
    Ok(end)
}

/// People read operations and what stops; programs get every message.
fn print(file: &Path, record: &Record, json: bool, output: &mut impl Write) -> Result<()> {
    if json {
        serde_json::to_writer(&mut *output, &Line { file, says: Says::Record(record) })?;
        writeln!(output)?;
    } else if record.is_for_people() {
        writeln!(output, "{record}")?;
    }
    Ok(())
}

/// A device of the capture, and what it may be.
fn print_device(file: &Path, device: &Device, json: bool, output: &mut impl Write) -> Result<()> {
    if json {
        let says = Says::Device { kind_of_line: "device", device };
        serde_json::to_writer(&mut *output, &Line { file, says })?;
        writeln!(output)?;
        return Ok(());
    }
    let maker = match &device.maker {
        Some(maker) => maker.as_str(),
        None if device.private_mac => "a MAC of its own making",
        None => "maker not known",
    };
    write!(output, "{}, {maker}", device.mac)?;
    if let Some(name) = &device.calls_itself {
        write!(output, ", calls itself \"{name}\"")?;
    }
    if let (Some(kind), Some(confidence)) = (device.kind, device.confidence) {
        write!(output, ": {kind}? ({confidence} confidence: {})", device.evidence.join("; "))?;
    }
    writeln!(output)?;
    Ok(())
}
