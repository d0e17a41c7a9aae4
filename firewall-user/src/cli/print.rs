//! View models for people. Names that nobody confirmed stand in quotes; text from the wire is made harmless.

use std::{collections::BTreeMap, fmt::Write};

use dashboard::{rpc::Decided, view};
use graph::principal::harmless;

use super::lifetime::show_date;

/// Longest object or name in a table, in characters.
const WIDE: usize = 60;
/// Longest line of an explanation, in characters.
const LONG: usize = 300;

pub(super) fn status(status: &view::Status) {
    println!("Edgeward {}: {} ({})", status.version, status.mode, status.health);
    for fault in &status.faults {
        println!("  ! {} (since {} UTC)", self::fault(fault), show_date(fault.since));
    }
    if let Some(until) = status.paused_until {
        println!("  Nothing is dropped until {} UTC.", show_date(until));
    }
    if let Some(until) = status.confirm_until {
        println!("  Reverts to monitor at {} UTC unless you run `edgeward confirm`.", show_date(until));
    }
    if let Some(since) = status.moved_since {
        println!(
            "  The router or the network is another one since {} UTC, and all models stay.",
            show_date(since)
        );
        println!("  `edgeward moved keep`: all goes on; `edgeward moved learn`: all devices learn again.");
    }
    if !status.clock_synchronised {
        println!("  The clock is not synchronised: decisions until a date do not hold yet.");
    }
    println!();
    let mut table = Table::new(["interface", "role", "attached", "since (UTC)"]);
    for interface in &status.interfaces {
        table.row([
            interface.name.clone(),
            interface.role.clone(),
            interface.attach.clone(),
            show_date(interface.since),
        ]);
    }
    table.print();
    let edges = &status.edges;
    println!(
        "\nedges: {} learned, {} allowed, {} denied, {} pending, {} flagged",
        edges.learned, edges.allowed, edges.denied, edges.pending, edges.flagged
    );
    let principals: Vec<String> =
        status.principals.iter().map(|(mode, count)| format!("{count} {mode}")).collect();
    println!("devices: {}\n", if principals.is_empty() { "none".to_owned() } else { principals.join(", ") });
    let mut table = Table::new(["hook", "seen", "passed", "audit", "neutralised", "reset", "dropped"]);
    for (hook, packets) in &status.packets {
        table.row([
            hook.clone(),
            packets.seen.to_string(),
            packets.passed.to_string(),
            packets.audit.to_string(),
            packets.neutralised.to_string(),
            reasons(&packets.resets),
            reasons(&packets.dropped),
        ]);
    }
    table.print();
    let events = &status.events;
    println!(
        "\nevents: {} produced, {} delivered, {} suppressed, {} lost",
        events.produced, events.delivered, events.suppressed, events.lost
    );
    for gap in &status.coverage {
        println!("not seen: {gap}");
    }
    for segment in &status.uncovered.segments {
        let vlan = if segment.vlan == 0 { String::new() } else { format!(", VLAN {}", segment.vlan) };
        let devices: Vec<String> = segment.devices.iter().map(end).collect();
        println!("  {}{vlan}: {}", segment.port, line(&devices.join(", ")));
    }
}

/// What is wrong, and what to do.
pub(super) fn fault(fault: &view::Fault) -> String {
    match &fault.what {
        view::Wrong::StateDamaged { aside } => format!(
            "the state file was damaged and is now {aside}; everything is learned anew unless you put a copy in its place"
        ),
        view::Wrong::GuardMissing { error } => {
            format!("the guard was removed and cannot be loaded again: {error}")
        }
        view::Wrong::NotAttached { error } => {
            format!("an interface is not protected yet, and nothing passes there: {error}")
        }
        view::Wrong::InterfaceGone { interface } => {
            format!("{interface} does not exist at the moment; nothing passes there")
        }
        view::Wrong::TableFull { table } => {
            format!("the table {table} is nearly full; remove what is no longer needed")
        }
    }
}

fn reasons(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    if total == 0 {
        return "0".to_owned();
    }
    let reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("{total} ({})", reasons.join(", "))
}

pub(super) fn edges(edges: &[view::Edge]) {
    if edges.is_empty() {
        println!("None.");
        return;
    }
    let mut table =
        Table::new(["id", "state", "from", "to", "verb", "object", "tries", "until (UTC)", "why"]);
    for edge in edges {
        table.row([
            edge.id.to_string(),
            state(edge),
            end(&edge.from),
            end(&edge.to),
            edge.verb.clone(),
            text(&edge.object),
            edge.tries.to_string(),
            until(edge),
            why(edge),
        ]);
    }
    table.print();
}

pub(super) fn bans(bans: &[view::Ban]) {
    if bans.is_empty() {
        println!("None.");
        return;
    }
    let mut table = Table::new(["id", "who", "client id", "until (UTC)", "by", "why"]);
    for ban in bans {
        table.row([
            ban.id.to_string(),
            end(&ban.principal),
            ban.client.as_deref().map_or_else(|| "all".to_owned(), text),
            show_date(ban.until),
            text(&ban.by),
            text(&ban.why),
        ]);
    }
    table.print();
}

/// The state, and what a decision says besides.
fn state(edge: &view::Edge) -> String {
    let mut state = edge.state.clone();
    if edge.flag.is_some() {
        state.push_str(", flagged");
    }
    if let Some(action) = &edge.action {
        state.push_str(", ");
        state.push_str(action);
    }
    if edge.no_retain {
        state.push_str(", no retain");
    }
    if let Some(qos) = edge.max_qos {
        let _infallible = write!(state, ", QoS up to {qos}");
    }
    state
}

/// Why it does not pass; what passes needs no reason.
fn why(edge: &view::Edge) -> String {
    match edge.state.as_str() {
        "learned" | "allowed" => edge.flag.as_ref().map(|flag| flag.property.clone()).unwrap_or_default(),
        _ => edge.violated.clone().or_else(|| edge.reason.clone()).unwrap_or_default(),
    }
}

fn until(edge: &view::Edge) -> String {
    match (edge.until, edge.uses) {
        (Some(until), Some(uses)) => format!("{} or {uses} uses", show_date(until)),
        (Some(until), None) => show_date(until),
        (None, Some(uses)) => format!("{uses} uses"),
        (None, None) => String::new(),
    }
}

pub(super) fn explanation(explanation: &view::Explanation) {
    edges(std::slice::from_ref(&explanation.edge));
    println!("\nBecause: {}. Risk: {}.", explanation.because, explanation.edge.risk);
    let lists = [("It normally does:", &explanation.habits), ("Seen:", &explanation.evidence)];
    for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        println!("{title}");
        for line in lines {
            println!("  {}", self::line(line));
        }
    }
    if !explanation.edge.beneficiaries.is_empty() {
        let names: Vec<String> = explanation.edge.beneficiaries.iter().map(end).collect();
        println!("It would reach: {}", names.join(", "));
    }
}

pub(super) fn decided(decided: &Decided) {
    println!("Decision {} is in force.", decided.decision_id);
    if let Some(edge) = &decided.edge {
        edges(std::slice::from_ref(edge));
    }
}

pub(super) fn principals(principals: &Vec<view::Principal>) {
    let mut table = Table::new(["id", "name", "kind", "room", "mode", "port", "mac", "addresses", "pending"]);
    for principal in principals {
        table.row([
            principal.id.to_string(),
            name(principal),
            kind(principal),
            principal.room.as_deref().map(text).unwrap_or_default(),
            principal.mode.clone(),
            principal.port.clone().unwrap_or_default(),
            principal.mac.clone().unwrap_or_default(),
            principal.addresses.join(" "),
            principal.edges.pending.to_string(),
        ]);
    }
    table.print();
}

pub(super) fn principal(principal: &view::Principal) {
    let mut table = Table::new(["", ""]);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.row([name.to_owned(), value]);
        }
    };
    line("id", Some(principal.id.to_string()));
    line("name", Some(name(principal)));
    line("calls itself", principal.calls_itself.as_deref().map(quoted));
    line("kind", Some(format!("{} ({})", kind(principal), principal.kind_source)));
    if let Some(guess) = &principal.guess {
        let evidence = self::line(&guess.evidence.join("; "));
        line("guess", Some(format!("{}, {} confidence: {evidence}", guess.kind, guess.confidence)));
    }
    line("maker", principal.maker.as_deref().map(text));
    line("room", principal.room.as_deref().map(text));
    line("description", principal.description.as_deref().map(text));
    line("mode", Some(format!("{} since {}", principal.mode, show_date(principal.since))));
    line("paused until", principal.paused_until.map(show_date));
    line("port", principal.port.clone());
    let made_up = if principal.private_mac { " (made up by the device)" } else { "" };
    line("mac", principal.mac.as_ref().map(|mac| format!("{mac}{made_up}")));
    line("addresses", Some(principal.addresses.join(" ")));
    line("last seen", Some(show_date(principal.last_seen)));
    let edges = &principal.edges;
    line(
        "edges",
        Some(format!(
            "{} learned, {} allowed, {} denied, {} pending",
            edges.learned, edges.allowed, edges.denied, edges.pending
        )),
    );
    table.print();
}

pub(super) fn learning(principals: &[view::Principal]) {
    if principals.is_empty() {
        println!("Nothing learns.");
        return;
    }
    let mut table = Table::new(["id", "name", "mode", "learned", "percent", "enforces (UTC)", ""]);
    for (principal, learning) in
        principals.iter().filter_map(|principal| Some((principal, principal.learning.as_ref()?)))
    {
        table.row([
            principal.id.to_string(),
            name(principal),
            principal.mode.clone(),
            learning.habits.to_string(),
            learning.percent.to_string(),
            learning.enforces_at.map(show_date).unwrap_or_default(),
            if learning.capped { "stopped: too many edges".to_owned() } else { String::new() },
        ]);
    }
    table.print();
}

pub(super) fn decisions(decisions: &[view::Decision]) {
    let mut table = Table::new(["id", "at (UTC)", "by", "what", "about", "detail", ""]);
    for decision in decisions {
        let about = match (&decision.edge, &decision.principal) {
            (Some(edge), _) => {
                format!("{} → {} {} {}", end(&edge.from), end(&edge.to), edge.verb, text(&edge.object))
            }
            (None, Some(principal)) => end(principal),
            (None, None) => String::new(),
        };
        table.row([
            decision.id.to_string(),
            show_date(decision.at),
            decision.role.map_or_else(
                || text(&decision.by),
                |role| format!("{} ({})", text(&decision.by), role.as_str()),
            ),
            decision.what.clone(),
            about,
            text(&decision.detail),
            if decision.undone { "undone".to_owned() } else { String::new() },
        ]);
    }
    table.print();
}

pub(super) fn observation(seen: &view::Observation) {
    println!(
        "{} {:<11} {:<16} {} → {} {} {} ×{}{}",
        show_date(seen.at),
        seen.verdict,
        seen.reason,
        end(&seen.from),
        end(&seen.to),
        seen.verb,
        text(&seen.object),
        seen.count,
        seen.edge.map(|edge| format!(" (edge {edge})")).unwrap_or_default(),
    );
}

pub(super) fn trouble(trouble: &view::Trouble) {
    if trouble.blocked.is_empty() {
        println!(
            "Nothing was blocked for {} in the last {} minutes.",
            end(&trouble.principal),
            trouble.minutes
        );
    }
    for seen in &trouble.blocked {
        observation(seen);
    }
}

/// With a question mark, where nobody has said it.
fn kind(principal: &view::Principal) -> String {
    let unsure = if principal.kind_source == "guess" { "?" } else { "" };
    format!("{}{unsure}", principal.kind)
}

fn name(principal: &view::Principal) -> String {
    if principal.confirmed { text(&principal.name) } else { quoted(&principal.name) }
}

pub(super) fn end(end: &view::End) -> String {
    if end.confirmed || end.id < firewall_common::abi::PrincipalId::FIRST {
        text(&end.name)
    } else {
        quoted(&end.name)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", text(name))
}

/// Text that may come from the wire: without what could move the cursor or deceive, and not too long.
pub(super) fn text(text: &str) -> String {
    harmless(text, WIDE)
}

/// The same for a sentence.
pub(super) fn line(text: &str) -> String {
    harmless(text, LONG)
}

/// Columns as wide as their widest cell.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned)] }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    pub(super) fn print(&self) {
        print!("{}", self.text());
    }

    fn text(&self) -> String {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for row in self.rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _infallible = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_an_empty_head_is_left_out() {
        let mut table = Table::new(["id", "name"]);
        table.row(["1".to_owned(), "Küche".to_owned()]);
        table.row(["1000".to_owned(), "x".to_owned()]);
        assert_eq!(table.text(), "id    name\n1     Küche\n1000  x\n");
        let mut plain = Table::new(["", ""]);
        plain.row(["a".to_owned(), "b".to_owned()]);
        assert_eq!(plain.text(), "a  b\n");
    }

    #[test]
    fn what_nobody_confirmed_stands_in_quotes_without_tricks() {
        let stranger = view::End {
            id: 20,
            name: "Front door\u{1b}[2K\u{202e}".to_owned(),
            confirmed: false,
            kind: "unknown".to_owned(),
        };
        assert_eq!(end(&stranger), "\"Front door[2K\"");
    }
}
