//! The model and the decisions in forms that other programs read: CSV (RFC 4180) and SVG. DOT is the graph's own.
//!
//! Names that devices give themselves come in here and go out into spreadsheets and browsers, so each form says how it
//! keeps them from being more than text.

use std::{
    collections::{BTreeMap, BTreeSet},
    f64::consts::PI,
    fmt::Write as _,
};

use capture::{Link, Writer};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{
    inspect::Packet,
    view::{Decision, Edge, EdgeState, End, Principal, PrincipalMode, Role, UnixSeconds},
};

/// Who talks to whom, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GraphView {
    /// The ends of the edges, in the order of their numbers.
    pub nodes: Vec<End>,
    pub edges: Vec<Edge>,
}

impl GraphView {
    /// The graph of these edges.
    pub fn of(edges: Vec<Edge>) -> Self {
        let ends =
            edges.iter().flat_map(|edge| [&edge.from, &edge.to].into_iter().chain(&edge.beneficiaries));
        let nodes: BTreeMap<u32, End> = ends.map(|end| (end.id, end.clone())).collect();
        Self { nodes: nodes.into_values().collect(), edges }
    }

    /// A picture: everyone on an ellipse, with one line for all edges of a pair, in the state that matters most.
    pub fn to_svg(&self) -> String {
        let places = self.places();
        let (width, height) = size(self.nodes.len());
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#F7F8FA\"/>\n"
        );
        let mut pairs: BTreeMap<(u32, u32), &str> = BTreeMap::new();
        for edge in &self.edges {
            let state = pairs.entry((edge.from.id, edge.to.id)).or_insert(&edge.state);
            if look(&edge.state).rank < look(state).rank {
                *state = &edge.state;
            }
        }
        // What needs a person is drawn last and lies on top.
        let mut lines: Vec<_> = pairs.into_iter().filter(|((from, to), _)| from != to).collect();
        lines.sort_by_key(|(pair, state)| (std::cmp::Reverse(look(state).rank), *pair));
        for ((from, to), state) in lines {
            if let (Some(from), Some(to)) = (places.get(&from), places.get(&to)) {
                line(&mut text, *from, *to, look(state));
            }
        }
        for node in &self.nodes {
            if let Some((x, y)) = places.get(&node.id) {
                let anchor = if *x < f64::from(width) / 2.0 { ("end", -14) } else { ("start", 14) };
                put(
                    &mut text,
                    format_args!(
                        "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"9\" fill=\"#FFFFFF\" stroke=\"#76838F\" stroke-width=\"1.5\"/>\n\
                         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"{}\" fill=\"#16202B\">{}</text>\n",
                        x + f64::from(anchor.1),
                        y + 4.0,
                        anchor.0,
                        xml_text(&node.name)
                    ),
                );
            }
        }
        text.push_str("</svg>\n");
        text
    }

    /// Who is talked to by most stands first, so a hub is at the right, and the same graph gives the same picture.
    fn places(&self) -> BTreeMap<u32, (f64, f64)> {
        let mut peers: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for edge in &self.edges {
            peers.entry(edge.from.id).or_default().insert(edge.to.id);
            peers.entry(edge.to.id).or_default().insert(edge.from.id);
        }
        let mut ids: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        ids.sort_by_key(|id| (std::cmp::Reverse(peers.get(id).map_or(0, BTreeSet::len)), *id));
        let (width, height) = size(ids.len());
        let (middle, radius) =
            ((f64::from(width) / 2.0, f64::from(height) / 2.0), f64::from(height) / 2.0 - 30.0);
        let step = 2.0 * PI / f64::from(ids.len().max(1) as u32);
        let place = |(index, id): (usize, u32)| {
            let angle = step * f64::from(index as u32);
            (id, (middle.0 + radius * 1.2 * angle.cos(), middle.1 + radius * angle.sin()))
        };
        ids.into_iter().enumerate().map(place).collect()
    }
}

/// Which part of the graph is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Home,
    Room(String),
    Principal(u32),
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let view = match text.split_once(':') {
            None if text == "home" => Some(Self::Home),
            Some(("room", name)) if !name.is_empty() => Some(Self::Room(name.to_owned())),
            Some(("principal", id)) => id.parse().ok().map(Self::Principal),
            _ => None,
        };
        view.ok_or_else(|| serde::de::Error::custom("a view is home, room:NAME or principal:ID"))
    }
}

/// What of the graph is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub view: View,
    pub state: Option<EdgeState>,
    /// Only edges that were first seen then or later.
    pub since: Option<UnixSeconds>,
    /// Most nodes.
    pub limit: usize,
}

/// What is drawn of the graph.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GraphPart {
    /// Revision of the graph; what is here is at least as new.
    pub rev: u64,
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<Edge>,
    pub hidden: Hidden,
}

/// A principal in the picture.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GraphNode {
    pub id: u32,
    pub name: String,
    /// Whether a person gave the name; otherwise it is shown in quotes.
    pub confirmed: bool,
    /// Kind of device, or `unknown`.
    pub kind: String,
    pub room: Option<String>,
    #[schema(value_type = Option<PrincipalMode>)]
    pub mode: Option<String>,
}

/// How much was left out for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hidden {
    pub nodes: usize,
    pub edges: usize,
}

impl GraphPart {
    /// Draws what is wanted; where not all have room, those that wait for a person come first, then those with most edges.
    pub fn of(rev: u64, principals: &[Principal], edges: Vec<Edge>, wanted: &Wanted) -> Self {
        let known: BTreeMap<u32, &Principal> = principals.iter().map(|one| (one.id, one)).collect();
        let is_in_room = |end: &End, name: &str| {
            known.get(&end.id).and_then(|one| one.room.as_deref()).is_some_and(|room| room == name)
        };
        let is_wanted = |edge: &Edge| {
            let is_at = match &wanted.view {
                View::Home => true,
                View::Room(name) => is_in_room(&edge.from, name) || is_in_room(&edge.to, name),
                View::Principal(id) => ends(edge).any(|end| end.id == *id),
            };
            let is_new = wanted.since.is_none_or(|since| edge.first_seen.is_some_and(|seen| seen >= since));
            is_at && is_new && wanted.state.is_none_or(|state| edge.state == state.as_str())
        };
        let edges: Vec<Edge> = edges.into_iter().filter(is_wanted).collect();
        let mut nodes: BTreeMap<u32, (GraphNode, bool, usize)> = BTreeMap::new();
        for edge in &edges {
            let waits = edge.state == "pending" || edge.flag.is_some();
            for end in ends(edge) {
                let (_, important, count) = nodes.entry(end.id).or_insert_with(|| {
                    let principal = known.get(&end.id);
                    let room = principal.and_then(|one| one.room.clone());
                    let mode = principal.map(|one| one.mode.clone());
                    let End { id, name, confirmed, kind } = end.clone();
                    (GraphNode { id, name, confirmed, kind, room, mode }, false, 0)
                });
                *important |= waits;
                *count += 1;
            }
        }
        let all = (nodes.len(), edges.len());
        let mut nodes: Vec<(GraphNode, bool, usize)> = nodes.into_values().collect();
        nodes.sort_by_key(|(node, important, count)| (std::cmp::Reverse((*important, *count)), node.id));
        nodes.truncate(wanted.limit);
        let drawn: BTreeSet<u32> = nodes.iter().map(|(node, ..)| node.id).collect();
        let is_drawn = |edge: &Edge| drawn.contains(&edge.from.id) && drawn.contains(&edge.to.id);
        let edges: Vec<Edge> = edges.into_iter().filter(is_drawn).collect();
        let nodes: Vec<GraphNode> = nodes.into_iter().map(|(node, ..)| node).collect();
        let hidden = Hidden { nodes: all.0 - nodes.len(), edges: all.1 - edges.len() };
        Self { rev, nodes, edges, hidden }
    }
}

fn ends(edge: &Edge) -> impl Iterator<Item = &End> {
    [&edge.from, &edge.to].into_iter().chain(&edge.beneficiaries)
}

/// A capture with one packet.
pub fn to_pcap(packet: &Packet) -> Vec<u8> {
    let mut file = Vec::new();
    let written = Writer::new(&mut file, Link::Ethernet).and_then(|mut writer| {
        writer.packet(packet.time, packet.length, &packet.bytes)?;
        writer.finish()
    });
    written.expect("memory takes everything");
    file
}

/// Sixteen bytes in a line, behind their offset.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        put(&mut text, format_args!("{:04x} ", index * 16));
        for byte in line {
            put(&mut text, format_args!(" {byte:02x}"));
        }
        let shown = line.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
        put(&mut text, format_args!("{}  {}\n", "   ".repeat(16 - line.len()), shown.collect::<String>()));
    }
    text
}

/// Edges as a table; the first line names the columns.
pub fn edges_csv(edges: &[Edge]) -> String {
    let mut text = String::from(
        "id,state,plane,from,from_id,to,to_id,verb,object,risk,by,lifetime,until,tries,first_seen,last_seen\r\n",
    );
    for edge in edges {
        row(
            &mut text,
            &[
                &edge.id,
                &edge.state,
                &edge.plane,
                &edge.from.name,
                &edge.from.id,
                &edge.to.name,
                &edge.to.id,
                &edge.verb,
                &edge.object,
                &edge.risk,
                &Maybe(edge.by.as_ref()),
                &Maybe(edge.lifetime.as_ref()),
                &Maybe(edge.until),
                &edge.tries,
                &Maybe(edge.first_seen),
                &Maybe(edge.last_seen),
            ],
        );
    }
    text
}

/// Decisions as a table; the first line names the columns.
pub fn decisions_csv(decisions: &[Decision]) -> String {
    let mut text = String::from("id,at,by,role,client,what,detail,from,to,verb,object,undone,hash\r\n");
    for decision in decisions {
        let edge = decision.edge.as_ref();
        let from = edge.map(|edge| &edge.from).or(decision.principal.as_ref()).map(|end| &end.name);
        row(
            &mut text,
            &[
                &decision.id,
                &decision.at,
                &decision.by,
                &Maybe(decision.role.map(Role::as_str)),
                &Maybe(decision.client.as_ref()),
                &decision.what,
                &decision.detail,
                &Maybe(from),
                &Maybe(edge.map(|edge| &edge.to.name)),
                &Maybe(edge.map(|edge| &edge.verb)),
                &Maybe(edge.map(|edge| &edge.object)),
                &decision.undone,
                &decision.hash,
            ],
        );
    }
    text
}

/// A cell that may be empty.
struct Maybe<T>(Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for Maybe<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}

fn row(text: &mut String, cells: &[&dyn std::fmt::Display]) {
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(&cell.to_string())).collect();
    put(text, format_args!("{}\r\n", cells.join(",")));
}

/// Quoted where it has to be; what a spreadsheet would take for a formula begins with an apostrophe.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// How a state is drawn; the colours are those of the page.
#[derive(Clone, Copy)]
struct Look {
    rank: u8,
    colour: &'static str,
    dash: &'static str,
    width: f64,
}

fn look(state: &str) -> Look {
    match state {
        "pending" => Look { rank: 0, colour: "#AD4E00", dash: "9 6", width: 3.0 },
        "denied" => Look { rank: 1, colour: "#9B1030", dash: "2 5", width: 3.0 },
        "allowed" => Look { rank: 2, colour: "#0B7A66", dash: "", width: 2.0 },
        _ => Look { rank: 3, colour: "#0B7A66", dash: "", width: 1.5 },
    }
}

fn line(text: &mut String, from: (f64, f64), to: (f64, f64), look: Look) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let (start, end) = ((from.0 + ux * 11.0, from.1 + uy * 11.0), (to.0 - ux * 19.0, to.1 - uy * 19.0));
    let Look { colour, dash, width, .. } = look;
    let dashes = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
    put(
        text,
        format_args!(
            "<path d=\"M{:.0} {:.0}L{:.0} {:.0}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>\n\
             <path d=\"M{:.0} {:.0}L{:.0} {:.0}L{:.0} {:.0}z\" fill=\"{colour}\"/>\n",
            start.0,
            start.1,
            end.0,
            end.1,
            end.0 + ux * 8.0,
            end.1 + uy * 8.0,
            end.0 - uy * 4.0,
            end.1 + ux * 4.0,
            end.0 + uy * 4.0,
            end.1 - ux * 4.0,
        ),
    );
}

/// Width and height of a picture of so many; each has room for its name.
fn size(nodes: usize) -> (u32, u32) {
    let height = (nodes as u32 * 18).clamp(360, 8_000);
    (height * 6 / 5 + 460, height)
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edge(id: u32, state: &str, name: &str) -> Edge {
        let end =
            |id: u32, name: &str| json!({"id": id, "name": name, "confirmed": false, "kind": "unknown"});
        serde_json::from_value(json!({
            "id": id, "plane": "packet", "from": end(16 + id, name), "to": end(40, "Hub"), "verb": "publish",
            "object": "a,\"b\"", "state": state, "since": 0, "risk": "low", "beneficiaries": [], "tries": 3,
            "rev": 1,
        }))
        .unwrap()
    }

    const HOSTILE: &str = "=HYPERLINK(\"http://x\")</text><script>alert(1)</script>\\";

    #[test]
    fn a_spreadsheet_gets_text_and_no_formulas() {
        let text = edges_csv(&[edge(1, "learned", HOSTILE), edge(2, "denied", "Anna, \"upstairs\"")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("1,learned,packet,\"'=HYPERLINK(\"\"http://x\"\")"), "{}", lines[1]);
        assert!(
            lines[2].contains("\"Anna, \"\"upstairs\"\"\",18,Hub,40,publish,\"a,\"\"b\"\"\",low,,,,3,,"),
            "{}",
            lines[2]
        );
        assert_eq!((csv_cell("-5"), csv_cell("-x"), csv_cell("x")), ("-5".into(), "'-x".into(), "x".into()));
    }

    #[test]
    fn pictures_show_names_as_text() {
        let graph = GraphView::of(vec![edge(1, "learned", HOSTILE), edge(2, "pending", "Lamp")]);
        let svg = graph.to_svg();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
        assert_eq!((svg.matches("<circle").count(), svg.matches("stroke-dasharray").count()), (3, 1));
        assert_eq!(svg, GraphView::of(graph.edges.clone()).to_svg(), "the same graph, the same picture");
    }

    #[test]
    fn an_empty_site_is_no_mistake() {
        let graph = GraphView::of(Vec::new());
        assert!(graph.to_svg().ends_with("</svg>\n"));
        assert_eq!(decisions_csv(&[]).lines().count(), 1);
    }
}
