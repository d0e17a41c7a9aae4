//! What can be taken along: decisions and edges as tables, the graph as a picture.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    input::{Filter, Id},
    openapi::{Resources, resources},
    parts,
    problem::Problem,
    session::Asker,
};
use crate::{
    export::{GraphPart, GraphView, View, Wanted, decisions_csv, edges_csv, to_hex, to_pcap},
    inspect::{self, Packet},
    rpc::Request,
    view::{Decision, Edge, EdgeState, Principal, Status, UnixSeconds},
};

/// Decisions that are exported; the graph keeps no more.
const DECISIONS: u32 = 1_000_000;
/// Nodes that are drawn if nobody says how many.
const NODES: u32 = 150;

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        get "/api/v1/decisions/export" => decisions,
        get "/api/v1/edges/export" => edges,
        get "/api/v1/edges/{id}/packet" => packet,
        get "/api/v1/graph" => graph,
    }
}

/// The form of a table.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TableForm {
    #[default]
    Json,
    Csv,
}

/// The form of the edges: as they are, or the model as `edgeward edges import` takes it.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EdgesForm {
    #[default]
    Json,
    Csv,
    Toml,
}

/// The form of a packet: a capture, or text.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PacketForm {
    #[default]
    Pcap,
    Hex,
}

/// The form of a graph.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GraphForm {
    Json,
    Svg,
    Dot,
}

/// Which form is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Table {
    #[serde(default)]
    #[param(inline)]
    format: TableForm,
}

/// Which form is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EdgesTable {
    #[serde(default)]
    #[param(inline)]
    format: EdgesForm,
}

/// Which form is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PacketFile {
    #[serde(default)]
    #[param(inline)]
    format: PacketForm,
}

/// A file of the whole graph, or the part of it that is drawn.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Picture {
    /// The whole graph as a file; goes with nothing else.
    #[param(inline)]
    format: Option<GraphForm>,
    /// `home`, `room:NAME` or `principal:ID`.
    #[param(value_type = Option<String>)]
    view: Option<View>,
    state: Option<EdgeState>,
    /// Only edges that were first seen then or later, in seconds since 1970.
    since: Option<UnixSeconds>,
    /// Nodes that are drawn, 1 to 1000; 150 if not given.
    limit: Option<u32>,
}

/// All decisions as a file, newest first.
#[utoipa::path(get, path = "/api/v1/decisions/export", params(Table), responses(
    (status = 200, content((Vec<Decision> = "application/json"), (String = "text/csv"))),
))]
pub(super) async fn decisions(asker: Asker, Filter(wanted): Filter<Table>) -> Result<Response, Problem> {
    let decisions: Vec<Decision> = asker.ask(all_decisions()).await?;
    Ok(table("decisions", wanted.format, &decisions, decisions_csv))
}

/// All edges as a file.
#[utoipa::path(get, path = "/api/v1/edges/export", params(EdgesTable), responses(
    (status = 200, content((Vec<Edge> = "application/json"), (String = "text/csv"), (String = "application/toml"))),
))]
pub(super) async fn edges(asker: Asker, Filter(wanted): Filter<EdgesTable>) -> Result<Response, Problem> {
    let form = match wanted.format {
        EdgesForm::Json => TableForm::Json,
        EdgesForm::Csv => TableForm::Csv,
        EdgesForm::Toml => {
            let model: String = asker.ask(Request::EdgesExport).await?;
            return Ok(file("model.toml", "application/toml", model.into_response()));
        }
    };
    let edges: Vec<Edge> = asker.ask(Request::Edges { state: None, principal: None }).await?;
    Ok(table("edges", form, &edges, edges_csv))
}

/// The first packet of an edge that was asked about, for a pro. Of what it carries only what the edge says itself is
/// shown; the rest is written over with `x`.
#[utoipa::path(get, path = "/api/v1/edges/{id}/packet", params(("id" = u32, Path), PacketFile), responses(
    (status = 200, content((Vec<u8> = "application/vnd.tcpdump.pcap"), (String = "text/plain"))),
    (status = 403, description = "Not a pro", body = Problem),
    (status = 404, description = "No such edge, or its first packet is not known", body = Problem),
))]
pub(super) async fn packet(
    asker: Asker,
    Id(edge): Id<u32>,
    Filter(wanted): Filter<PacketFile>,
) -> Result<Response, Problem> {
    let packets: Vec<Packet> = asker.ask(Request::Packets { edge, seconds: Some(0) }).await?;
    let first =
        packets.first().ok_or_else(|| Problem::not_found("Its first packet is not known any more"))?;
    Ok(match wanted.format {
        PacketForm::Pcap => {
            let kind = "application/vnd.tcpdump.pcap";
            file(&format!("edge-{edge}.pcap"), kind, to_pcap(first).into_response())
        }
        PacketForm::Hex => {
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], to_hex(&first.bytes)).into_response()
        }
    })
}

/// Who talks to whom: what is drawn of it, or all of it as a file.
#[utoipa::path(get, path = "/api/v1/graph", params(Picture), responses(
    (status = 200, description = "With `format` a file of the whole graph",
     content((GraphPart = "application/json"), (String = "image/svg+xml"), (String = "text/vnd.graphviz"))),
))]
pub(super) async fn graph(asker: Asker, Filter(wanted): Filter<Picture>) -> Result<Response, Problem> {
    let Picture { format, view, state, since, limit } = wanted;
    let Some(format) = format else {
        let limit = limit.unwrap_or(NODES);
        if !(1..=parts::MOST).contains(&limit) {
            return Err(Problem::invalid(format!("1 to {} nodes are drawn", parts::MOST)));
        }
        let status: Status = asker.ask(Request::Status).await?;
        let principals: Vec<Principal> = asker.ask(Request::Principals).await?;
        let edges: Vec<Edge> = asker.ask(Request::Edges { state: None, principal: None }).await?;
        let wanted = Wanted { view: view.unwrap_or_default(), state, since, limit: limit as usize };
        return Ok(Json(GraphPart::of(status.rev, &principals, edges, &wanted)).into_response());
    };
    if view.is_some() || state.is_some() || since.is_some() || limit.is_some() {
        return Err(Problem::invalid("A file is of the whole graph"));
    }
    if let GraphForm::Dot = format {
        let dot = Request::GraphExport { format: inspect::Format::Dot, device: None };
        let dot: String = asker.ask(dot).await?;
        return Ok(file("graph.dot", "text/vnd.graphviz; charset=utf-8", dot.into_response()));
    }
    let graph = GraphView::of(asker.ask(Request::Edges { state: None, principal: None }).await?);
    Ok(match format {
        GraphForm::Svg => file("graph.svg", "image/svg+xml", graph.to_svg().into_response()),
        GraphForm::Json | GraphForm::Dot => {
            file("graph.json", "application/json", Json(graph).into_response())
        }
    })
}

fn all_decisions() -> Request {
    Request::Decisions { limit: Some(DECISIONS), before: None, principal: None, by: None, what: None }
}

fn table<T: Serialize>(name: &str, form: TableForm, rows: &[T], to_csv: fn(&[T]) -> String) -> Response {
    match form {
        TableForm::Json => file(&format!("{name}.json"), "application/json", Json(rows).into_response()),
        TableForm::Csv => {
            file(&format!("{name}.csv"), "text/csv; charset=utf-8", to_csv(rows).into_response())
        }
    }
}

/// An answer that a browser saves instead of showing it.
fn file(name: &str, kind: &'static str, mut content: Response) -> Response {
    let disposition = format!("attachment; filename=\"edgeward-{name}\"");
    let headers = content.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let disposition = HeaderValue::from_str(&disposition).expect("it is plain text");
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    content
}
