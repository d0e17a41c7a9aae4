//! `edgeward replay --learn`: what a model that some captures have taught would ask about others.

use std::{
    io::{BufWriter, Write as _, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result};
use graph::{Settings, principal::parse_mac};
use serde::Serialize;

use super::Args;
use crate::replay::{
    files::{self, Checked},
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
    for capture in &judged {
        files::hear(&mut site, capture)?;
    }
    let rate = site.summary().rate(begun.elapsed());
    print(&site, rate, json)?;
    Ok(ExitCode::SUCCESS)
}

fn checked(paths: &[PathBuf]) -> Result<Vec<Checked>> {
    paths.iter().map(|path| Ok(files::check(path)?)).collect()
}

fn print(site: &Site, rate: u64, json: bool) -> Result<()> {
    let mut output = BufWriter::new(stdout().lock());
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
