//! `edgeward replay --learn`: what a model that some captures have taught would ask about others.

use std::{
    fs::File,
    io::{BufWriter, Read as _, Write as _, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result};
use graph::{
    Settings,
    mud::{Comparison, Profile, TEXT_CAP},
    principal::parse_mac,
};
use serde::Serialize;

use super::Args;
use crate::makers::Makers;
use crate::replay::{
    files::{self, Checked},
    inventory,
    site::{Question, Site, Tried},
};

/// The last line of `--json`.
#[derive(Serialize)]
struct End {
    r#type: &'static str,
    questions: usize,
    #[serde(flatten)]
    tried: Tried,
    alarms: Vec<Alarm>,
    packets: u64,
    packets_per_second: u64,
}

/// A device of the captures.
#[derive(Serialize)]
struct Device {
    r#type: &'static str,
    #[serde(flatten)]
    device: inventory::Device,
}

#[derive(Serialize)]
struct Alarm {
    alarm: &'static str,
    principal: String,
}

pub(super) fn run(args: &Args, json: bool) -> Result<ExitCode> {
    let subject = args.as_device.as_deref();
    let subject =
        subject.map(|mac| parse_mac(mac).with_context(|| format!("{mac} is not a MAC"))).transpose()?;
    // All of them are looked at before the first one is learned.
    let (learned, judged) = (checked(&args.learn)?, checked(&args.files)?);
    let begun = Instant::now();
    let mut site = Site::new(Settings::default(), subject);
    for capture in &learned {
        files::hear(&mut site, capture)?;
    }
    site.finish_learning();
    let maker = args.mud.as_deref().map(|path| compare(&site, path)).transpose()?;
    for capture in &judged {
        files::hear(&mut site, capture)?;
    }
    let rate = site.summary().rate(begun.elapsed());
    print(&site, rate, json)?;
    if let Some(comparison) = maker {
        print_comparison(&comparison, json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn checked(paths: &[PathBuf]) -> Result<Vec<Checked>> {
    paths.iter().map(|path| Ok(files::check(path)?)).collect()
}

/// What the model of the device is beside what its maker declares.
fn compare(site: &Site, path: &Path) -> Result<Comparison> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // A byte more than a profile may have says that it is too long.
    let read = file.take(TEXT_CAP as u64 + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let profile = Profile::parse(&text).with_context(|| format!("{} is no MUD profile", path.display()))?;
    Ok(site.compare(&profile))
}

fn print_comparison(comparison: &Comparison, json: bool) -> Result<()> {
    let Comparison { agreed, undeclared, unseen } = comparison;
    let mut output = stdout().lock();
    if json {
        let line = serde_json::json!({
            "type": "mud", "agreed": agreed, "undeclared": undeclared, "unseen": unseen,
        });
        writeln!(output, "{line}")?;
        return Ok(());
    }
    for (heading, lines) in [
        ("Learned, and declared by the maker:", agreed),
        ("Learned, but not declared:", undeclared),
        ("Declared, but not seen:", unseen),
    ] {
        writeln!(output, "{heading}")?;
        for line in lines {
            writeln!(output, "    {line}")?;
        }
    }
    Ok(())
}

fn print(site: &Site, rate: u64, json: bool) -> Result<()> {
    let mut output = BufWriter::new(stdout().lock());
    for device in site.inventory().devices(&Makers::load()) {
        if json {
            serde_json::to_writer(&mut output, &Device { r#type: "device", device })?;
            writeln!(output)?;
        }
    }
    let (questions, tried) = (site.questions(), site.tried());
    let alarms = site.alarms();
    let packets = site.summary().packets;
    if json {
        for question in &questions {
            serde_json::to_writer(&mut output, question)?;
            writeln!(output)?;
        }
        let alarm = |(alarm, principal): &(graph::command::Alarm, String)| Alarm {
            alarm: alarm.as_str(),
            principal: principal.clone(),
        };
        let end = End {
            r#type: "summary",
            questions: questions.len(),
            tried,
            alarms: alarms.iter().map(alarm).collect(),
            packets,
            packets_per_second: rate,
        };
        serde_json::to_writer(&mut output, &end)?;
        writeln!(output)?;
    } else {
        for Question { sentence, reason, .. } in &questions {
            writeln!(output, "{sentence}\n    {reason}")?;
        }
        for (alarm, principal) in &alarms {
            writeln!(output, "Alarm: {} ({principal})", alarm.as_str())?;
        }
        let Tried { edges, asked } = tried;
        writeln!(output, "{} questions; {asked} of {edges} edges would be asked about", questions.len())?;
        writeln!(output, "{packets} packets, {rate} packets per second")?;
    }
    output.flush()?;
    Ok(())
}
