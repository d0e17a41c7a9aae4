//! Commands that ask the daemon.

use std::fs;

use anyhow::{Context, Result, bail};
use dashboard::{
    rpc::{Action, Answer, Client, Decided, EdgeSpec, PairingCode, PrincipalPatch, Request, Session},
    view::{self, Event},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    AS_SOURCE, BanCommand, Command, DecisionCommand, DenyAction, EdgeCommand, LearnCommand, LedgerCommand,
    Moved, PendingCommand, PhoneCommand, PinCommand, PrincipalCommand, SpecArgs, lifetime::LifetimeArgs,
    people, print,
};
use crate::duration::Span;

/// Asks, and prints the answer.
pub(super) async fn run(command: Command, client: Client, json: bool) -> Result<()> {
    let mut ask = Ask { client, json };
    match command {
        Command::Pair { lifetime, role } => {
            let request = Request::Pair { seconds: seconds(lifetime)?, role };
            ask.show(request, |code: &PairingCode| people::code(code, lifetime)).await
        }
        Command::Phones(command) => ask.phones(command).await,
        Command::Pin(command) => ask.pin(command).await,
        Command::Status => ask.show(Request::Status, print::status).await,
        Command::Principals(command) => ask.principals(command).await,
        Command::Learn(command) => ask.learn(command).await,
        Command::Edges(command) => ask.edges(command).await,
        Command::Graph(command) => ask.graph(command).await,
        Command::Mud(command) => ask.mud(command).await,
        Command::Bans(command) => ask.bans(command).await,
        Command::Pending(PendingCommand::List) => {
            ask.show(Request::Pending, |edges: &Vec<view::Edge>| print::edges(edges)).await
        }
        Command::Approve { edge, lifetime } => ask.decide(edge, Answer::Allow, &lifetime).await,
        Command::Deny { edge, lifetime } => ask.decide(edge, Answer::Deny, &lifetime).await,
        Command::Mode { mode, principal, dry_run: true } => ask.would_break(mode, principal).await,
        Command::Mode { mode, principal, dry_run: false } => ask.mode(mode, principal).await,
        Command::Pause { principal, lifetime } => {
            let request = Request::Pause { principal: principal.clone(), seconds: seconds(lifetime)? };
            match principal {
                Some(_) => ask.show(request, print::principal).await,
                None => ask.show(request, print::status).await,
            }
        }
        Command::Confirm => ask.show(Request::Confirm, print::status).await,
        Command::Moved { answer } => {
            let learn = matches!(answer, Moved::Learn);
            ask.show(Request::Moved { learn }, print::status).await
        }
        Command::Decisions(DecisionCommand::List { limit }) => {
            let request = Request::Decisions { limit, before: None, principal: None, by: None, what: None };
            ask.show(request, |decisions: &Vec<view::Decision>| {
                print::decisions(decisions);
            })
            .await
        }
        Command::Decisions(DecisionCommand::Undo { decision }) => {
            ask.show(Request::Undo { decision, pin: None }, print::decided).await
        }
        Command::Observe { follow, verdict, since } => ask.observe(follow, verdict, since).await,
        Command::Explain { edge, pcap, lifetime } => {
            ask.show(Request::Explain { edge }, print::explanation).await?;
            match pcap {
                Some(file) => ask.packets(edge, lifetime.map(seconds).transpose()?, &file).await,
                None => Ok(()),
            }
        }
        Command::Trouble { principal, since } => {
            let minutes = seconds(since)?.div_ceil(60);
            ask.show(Request::Trouble { principal, minutes }, print::trouble).await
        }
        Command::Ledger(LedgerCommand::Verify) => {
            ask.show(Request::LedgerVerify, |found: &Value| {
                println!("The ledger is complete: {} entries, none changed.", found["entries"]);
            })
            .await
        }
        Command::Run(_)
        | Command::Web(_)
        | Command::Doctor(_)
        | Command::Config(_)
        | Command::Unload(_)
        | Command::Replay(_) => {
            bail!("this command does not ask the daemon")
        }
    }
}

pub(super) struct Ask {
    pub(super) client: Client,
    pub(super) json: bool,
}

impl Ask {
    /// Asks, and prints the answer as JSON or for people.
    pub(super) async fn show<T: DeserializeOwned + Serialize>(
        &mut self,
        request: Request,
        print: impl FnOnce(&T),
    ) -> Result<()> {
        let answer: T = self.client.call(request).await?;
        if self.json {
            return print_json(&answer);
        }
        print(&answer);
        Ok(())
    }

    async fn phones(&mut self, command: PhoneCommand) -> Result<()> {
        match command {
            PhoneCommand::List => {
                self.show(Request::Clients, |clients: &Vec<view::Client>| people::clients(clients)).await
            }
            PhoneCommand::Remove { id } => {
                self.show(Request::ClientEnd { client: id }, |_: &Value| println!("Logged out.")).await
            }
            PhoneCommand::Token { name, role } => {
                let request = Request::TokenMake { name, role, seconds: None };
                self.show(request, |session: &Session| {
                    println!("{}", session.token);
                    eprintln!("It is shown only now. Send it as `Authorization: Bearer TOKEN`.");
                })
                .await
            }
        }
    }

    async fn pin(&mut self, command: PinCommand) -> Result<()> {
        let pin = match command {
            PinCommand::Set => Some(people::read_pin()?),
            PinCommand::Remove => None,
        };
        let said = if pin.is_some() { "The PIN is set." } else { "There is no PIN any more." };
        self.show(Request::PinSet { pin, old: None }, |_: &Value| println!("{said}")).await
    }

    async fn principals(&mut self, command: PrincipalCommand) -> Result<()> {
        match command {
            PrincipalCommand::List => {
                self.show(Request::Principals, |principals: &Vec<view::Principal>| {
                    print::principals(principals);
                })
                .await
            }
            PrincipalCommand::Show { principal } => {
                self.show(Request::Principal { principal }, print::principal).await
            }
            PrincipalCommand::Set { principal, name, kind, room, description } => {
                let patch = PrincipalPatch { name, kind, room, description, pin: None };
                self.show(Request::PrincipalSet { principal, patch }, print::principal).await
            }
            PrincipalCommand::Merge { principal, into } => {
                self.show(Request::PrincipalMerge { principal, into, pin: None }, print::principal).await
            }
            PrincipalCommand::Forget { principal } => {
                self.show(Request::PrincipalForget { principal, pin: None }, |_: &Value| {
                    println!("Forgotten.");
                })
                .await
            }
            PrincipalCommand::Quarantine { principal } => self.principal_mode(principal, "quarantine").await,
            PrincipalCommand::Release { principal } => self.principal_mode(principal, "enforcing").await,
            PrincipalCommand::Unusual { principal, response } => {
                self.show(Request::PrincipalUnusual { principal, response }, print::principal).await
            }
        }
    }

    async fn principal_mode(&mut self, principal: String, mode: &str) -> Result<()> {
        self.show(Request::PrincipalMode { principal, mode: mode.to_owned(), rev: None }, print::principal)
            .await
    }

    async fn learn(&mut self, command: LearnCommand) -> Result<()> {
        match command {
            LearnCommand::Status => {
                let mut principals: Vec<view::Principal> = self.client.call(Request::Principals).await?;
                principals.retain(|principal| principal.learning.is_some());
                if self.json {
                    return print_json(&principals);
                }
                print::learning(&principals);
                Ok(())
            }
            LearnCommand::Review { principal } => self.review(principal).await,
            LearnCommand::Start { principal: Some(principal), lifetime: Some(span), everything: false }
                if self.enforces(&principal).await? =>
            {
                self.await_update(principal, seconds(span)?).await
            }
            LearnCommand::Start { principal, lifetime, .. } => {
                let seconds = lifetime.map(seconds).transpose()?;
                self.show(Request::LearnStart { principal, seconds }, |_: &Value| println!("Learning.")).await
            }
            LearnCommand::Finish { principal } => {
                self.show(Request::LearnFinish { principal }, |_: &Value| {
                    println!("Learning has ended; what was not learned is asked about.");
                })
                .await
            }
        }
    }

    async fn edges(&mut self, command: EdgeCommand) -> Result<()> {
        match command {
            EdgeCommand::List { state, principal } => {
                self.show(Request::Edges { state, principal }, |edges: &Vec<view::Edge>| print::edges(edges))
                    .await
            }
            EdgeCommand::Allow { spec, no_retain, max_qos, lifetime } => {
                let spec = EdgeSpec { no_retain, max_qos, ..spec_of(spec) };
                self.decide_spec(spec, Answer::Allow, &lifetime).await
            }
            EdgeCommand::Deny { spec, action, lifetime } => {
                let action = match action {
                    DenyAction::Reset => Action::Reset,
                    DenyAction::Neutralise => Action::Neutralise,
                };
                self.decide_spec(EdgeSpec { action, ..spec_of(spec) }, Answer::Deny, &lifetime).await
            }
            EdgeCommand::Unusual { edge, response } => {
                let response = (response != AS_SOURCE).then_some(response);
                let show = |edge: &view::Edge| print::edges(std::slice::from_ref(edge));
                self.show(Request::EdgeUnusual { edge, response }, show).await
            }
            EdgeCommand::Remove { edge } => self.show(Request::EdgeRemove { edge }, print::decided).await,
            EdgeCommand::Export => self.show(Request::EdgesExport, |toml: &String| print!("{toml}")).await,
            EdgeCommand::Import { file, dry_run } => {
                let toml =
                    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                self.show(Request::EdgesImport { toml, dry_run }, |report: &Value| {
                    let changes: Vec<&str> = report["changes"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .collect();
                    for change in &changes {
                        println!("{change}");
                    }
                    let would = if dry_run { "would change" } else { "changed" };
                    eprintln!("{} edges {would}.", changes.len());
                })
                .await
            }
        }
    }

    async fn bans(&mut self, command: BanCommand) -> Result<()> {
        let request = match command {
            BanCommand::List => Request::Bans,
            BanCommand::Add { principal, client, lifetime, why } => {
                Request::BanAdd { principal, client, seconds: seconds(lifetime)?, why }
            }
            BanCommand::Remove { ban } => Request::BanRemove { ban },
        };
        self.show(request, |bans: &Vec<view::Ban>| print::bans(bans)).await
    }

    async fn decide(&mut self, edge: u32, answer: Answer, lifetime: &LifetimeArgs) -> Result<()> {
        let request = Request::Decide { edge, answer, lifetime: lifetime.lifetime(), rev: None, pin: None };
        self.show(request, |decided: &Decided| print::decided(decided)).await
    }

    async fn decide_spec(&mut self, spec: EdgeSpec, answer: Answer, lifetime: &LifetimeArgs) -> Result<()> {
        self.show(Request::EdgeDecide { spec, answer, lifetime: lifetime.lifetime() }, print::decided).await
    }

    async fn mode(&mut self, mode: Option<String>, principal: Option<String>) -> Result<()> {
        match (mode, principal) {
            (None, _) => {
                let status: view::Status = self.client.call(Request::Status).await?;
                if self.json {
                    return print_json(&status.mode);
                }
                println!("{}", status.mode);
                Ok(())
            }
            (Some(mode), None) => self.show(Request::SiteMode { mode, pin: None }, print::status).await,
            (Some(mode), Some(principal)) => {
                let mode = if mode == "enforce" { "enforcing" } else { &mode };
                self.principal_mode(principal, mode).await
            }
        }
    }

    async fn observe(&mut self, follow: bool, verdict: Option<String>, since: Option<Span>) -> Result<()> {
        let since_seconds = since.map(seconds).transpose()?;
        if follow {
            // Before the past is asked for, so that nothing falls in between.
            self.client.call::<Value>(Request::Watch).await?;
        }
        let is_wanted = |seen: &view::Observation| {
            verdict.as_ref().is_none_or(|verdict| seen.verdict.eq_ignore_ascii_case(verdict))
        };
        let past: Vec<view::Observation> =
            self.client.call(Request::Observations { verdict: verdict.clone(), since_seconds }).await?;
        if self.json && !follow {
            return print_json(&past);
        }
        for seen in &past {
            self.print_observation(seen)?;
        }
        if !follow {
            return Ok(());
        }
        loop {
            if let Event::Observation(seen) = self.client.next_event().await?
                && is_wanted(&seen)
            {
                self.print_observation(&seen)?;
            }
        }
    }

    fn print_observation(&self, seen: &view::Observation) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(seen)?);
        } else {
            print::observation(seen);
        }
        Ok(())
    }
}

fn spec_of(args: SpecArgs) -> EdgeSpec {
    let SpecArgs { from, to, plane, verb, object } = args;
    EdgeSpec { from, to, plane, verb, object, action: Action::default(), no_retain: false, max_qos: None }
}

pub(super) fn print_json<T: Serialize>(answer: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

fn seconds(span: Span) -> Result<u32> {
    u32::try_from(span.as_secs()).context("this duration is too long")
}
