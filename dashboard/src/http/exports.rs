//! What can be taken along: decisions and edges as tables, the graph as a picture.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Shared, input::Filter, problem::Problem, session::Asker};
use crate::{
    export::{GraphView, decisions_csv, edges_csv},
    inspect,
    rpc::Request,
    view::{Decision, Edge},
};

/// Decisions that are exported; the graph keeps no more.
const DECISIONS: u32 = 1_000_000;

/// What needs a session.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/decisions/export", get(decisions))
        .route("/api/v1/edges/export", get(edges))
        .route("/api/v1/graph", get(graph))
}

/// The form of a table.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TableForm {
    #[default]
    Json,
    Csv,
}

/// The form of a graph.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GraphForm {
    #[default]
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
pub(super) struct Picture {
    #[serde(default)]
    #[param(inline)]
    format: GraphForm,
}

/// All decisions as a file, newest first.
#[utoipa::path(get, path = "/api/v1/decisions/export", params(Table), responses((status = 200, body = Vec<Decision>)))]
pub(super) async fn decisions(asker: Asker, Filter(wanted): Filter<Table>) -> Result<Response, Problem> {
    let decisions: Vec<Decision> = asker.ask(Request::Decisions { limit: Some(DECISIONS) }).await?;
    Ok(table("decisions", wanted.format, &decisions, decisions_csv))
}

/// All edges as a file.
#[utoipa::path(get, path = "/api/v1/edges/export", params(Table), responses((status = 200, body = Vec<Edge>)))]
pub(super) async fn edges(asker: Asker, Filter(wanted): Filter<Table>) -> Result<Response, Problem> {
    let edges: Vec<Edge> = asker.ask(Request::Edges { state: None, principal: None }).await?;
    Ok(table("edges", wanted.format, &edges, edges_csv))
}

/// Who talks to whom, as data or as a picture.
#[utoipa::path(get, path = "/api/v1/graph", params(Picture), responses((status = 200, body = GraphView)))]
pub(super) async fn graph(asker: Asker, Filter(wanted): Filter<Picture>) -> Result<Response, Problem> {
    if let GraphForm::Dot = wanted.format {
        let dot = Request::GraphExport { format: inspect::Format::Dot, device: None };
        let dot: String = asker.ask(dot).await?;
        return Ok(file("graph.dot", "text/vnd.graphviz; charset=utf-8", dot.into_response()));
    }
    let graph = GraphView::of(asker.ask(Request::Edges { state: None, principal: None }).await?);
    Ok(match wanted.format {
        GraphForm::Svg => file("graph.svg", "image/svg+xml", graph.to_svg().into_response()),
        GraphForm::Json | GraphForm::Dot => {
            file("graph.json", "application/json", Json(graph).into_response())
        }
    })
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
