//! `lab demo`: the site with the firewall and its page, the two scenarios, and then whoever sits there decides.

use std::{io::IsTerminal, time::Duration};

use anyhow::{Context, Result, bail};
use dashboard::rpc::{Client, PrincipalPatch, Request};
use lab::{
    Site, Topology,
    event::Reader,
    firewall::{Attach, Settings},
    scenario::{Round, Scenario, Stage},
    site::Device,
};
use tokio::{sync::mpsc, time};

use crate::page::Page;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// End after the scenarios were played once
    #[arg(long)]
    once: bool,
    /// Decide nothing here, and play the next scenario with each line of the standard input; after the last one the battery
    /// is read once more
    #[arg(long, conflicts_with = "once", hide = true)]
    by_line: bool,
    /// Port of the page on 127.0.0.1 (0: any)
    #[arg(long, default_value_t = 8480)]
    port: u16,
    /// How the firewall attaches: auto, tc, xdp or xdp-generic
    #[arg(long, default_value_t)]
    attach: Attach,
}

pub(crate) async fn main(args: &Args, site: &str, topology: Topology) -> Result<()> {
    let site = &Site::temporary(&format!("{site}-demo"), topology)?;
    println!("A door lock, a washing machine and a hub move in; the firewall learns what they normally do.");
    let settings = Settings { attach: args.attach, ..Settings::default() };
    let mut stage = Stage::learned(site, settings).await?;
    introduce(&mut stage.client).await?;
    println!("It has seen enough: from now on, what is not in the graph does not pass.");
    let page = Page::start(args.port, stage.firewall.runtime(), site.folder())?;
    page.print_address(&mut stage.client).await?;

    // Somebody at a terminal decides on the page; otherwise the answer is given here, to show that it works.
    let nobody_is_there = args.once || !(args.by_line || std::io::stdin().is_terminal());
    let mut lines = args.by_line.then(lines_of_stdin);
    let mut waiting = Vec::new();
    for scenario in Scenario::ALL {
        next(&mut lines).await;
        stage.prepare(scenario).await?;
        println!("\n{}", surprise(scenario));
        if nobody_is_there {
            let round = stage.round(scenario).await.with_context(|| stage.firewall.log())?;
            tell(scenario, &round)?;
        }
        if !args.once {
            let effect = stage.offer(scenario)?;
            let (edge, _) = stage.asked(scenario).await?;
            println!(
                "Asked: {} → {}: {} {}. Decide on the page.",
                edge.from.name, edge.to.name, edge.verb, edge.object
            );
            waiting.push((scenario, effect));
        }
    }
    if args.once {
        return Ok(());
    }
    println!("\nThe site stays up until Ctrl-C.");
    loop {
        tokio::select! {
            ended = watch(&mut waiting) => return ended,
            () = next(&mut lines), if lines.is_some() => {}
        }
        waiting.push((Scenario::NewBattery, stage.offer(Scenario::NewBattery)?));
    }
}

/// The lines of the standard input, as they come.
fn lines_of_stdin() -> mpsc::Receiver<()> {
    let (teller, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for _line in std::io::stdin().lines().map_while(Result::ok) {
            if teller.blocking_send(()).is_err() {
                break;
            }
        }
    });
    lines
}

/// Waits for a line, for ever after the last one; where none are read, for nothing.
async fn next(lines: &mut Option<mpsc::Receiver<()>>) {
    let Some(lines) = lines else { return };
    if lines.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// What someone who lives there says of the devices: what they are called, what they are, and where.
const INTRODUCTIONS: [(Device, &str, &str, &str); 3] = [
    (Device::Lock, "Front door lock", "lock", "Hallway"),
    (Device::Washer, "Washing machine", "washing_machine", "Bathroom"),
    (Device::Hub, "Home hub", "hub", "Living room"),
];

async fn introduce(client: &mut Client) -> Result<()> {
    for (device, name, kind, room) in INTRODUCTIONS {
        let patch = PrincipalPatch {
            name: Some(name.to_owned()),
            kind: Some(kind.to_owned()),
            room: Some(room.to_owned()),
            description: None,
            pin: None,
        };
        let request = Request::PrincipalSet { principal: device.mac(), patch };
        let _: serde_json::Value = client.call(request).await?;
    }
    Ok(())
}

/// Says when a door opens or a battery is reached because someone allowed it; never ends by itself.
async fn watch(waiting: &mut [(Scenario, Reader)]) -> Result<()> {
    let mut tick = time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        for (scenario, effect) in &mut *waiting {
            while let Some(event) = effect.poll()? {
                if event.event == scenario.success() {
                    println!("{}", success(*scenario));
                }
            }
        }
    }
}

fn tell(scenario: Scenario, round: &Round) -> Result<()> {
    let edge = &round.pending;
    println!(
        "Blocked, and someone is asked: {} → {}: {} {}.",
        edge.from.name, edge.to.name, edge.verb, edge.object
    );
    match round.passed {
        Some(delay) if !round.before_decision => {
            println!("Allowed: {} {:.1} ms after the tap.", success(scenario), delay.as_secs_f64() * 1e3);
            Ok(())
        }
        Some(_) => bail!("{} before anybody allowed it", success(scenario)),
        None => bail!("it was allowed but did not work"),
    }
}

fn surprise(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::MaliciousUpdate => "The washing machine gets an update, and tells the front door to open.",
        Scenario::NewBattery => "A battery moves in, and the hub's energy manager wants to read it.",
    }
}

fn success(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::MaliciousUpdate => "The door has opened",
        Scenario::NewBattery => "The battery was read",
    }
}
