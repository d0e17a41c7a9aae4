//! What people look at besides edges and devices: what was carried when, the habits of a device, alarms, and who
//! is banned.

use axum::{Json, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    input::{Filter, Id},
    openapi::{Resources, resources},
    problem::Problem,
    session::Asker,
};
use crate::{
    inspect::Review,
    rpc::Request,
    view::{Alarm, Ban, Hour, Traffic},
};

type Answered<T> = Result<Json<T>, Problem>;

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        get "/api/v1/traffic" => traffic,
        get "/api/v1/traffic/hours" => hours,
        get "/api/v1/learning/{principal}/review" => review,
        get "/api/v1/alarms" => alarms,
        get "/api/v1/bans" => bans,
        delete "/api/v1/bans/{id}" => lift_ban,
    }
}

/// How much each hour of the last 30 days has carried, oldest first; hours in which nothing was carried are left out.
#[utoipa::path(get, path = "/api/v1/traffic/hours", responses((status = 200, body = Vec<Hour>)))]
pub(super) async fn hours(asker: Asker) -> Result<Response, Problem> {
    Ok(asker.ask_text(Request::Hours).await?)
}

/// Which time is wanted, in seconds since 1970.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    from: i64,
    /// At most a day later.
    until: i64,
}

/// What each edge has carried in the hours that begin within a time.
#[utoipa::path(get, path = "/api/v1/traffic", params(Span), responses(
    (status = 200, body = Traffic), (status = 422, description = "No time, or more than a day", body = Problem),
))]
pub(super) async fn traffic(asker: Asker, Filter(span): Filter<Span>) -> Result<Response, Problem> {
    let Span { from, until } = span;
    Ok(asker.ask_text(Request::Traffic { from, until }).await?)
}

/// The habits of a device in groups, and what they rest on.
#[utoipa::path(get, path = "/api/v1/learning/{principal}/review", params(("principal" = u32, Path)), responses(
    (status = 200, body = Review), (status = 404, body = Problem),
))]
pub(super) async fn review(asker: Asker, Id(id): Id<u32>) -> Answered<Review> {
    Ok(Json(asker.ask(Request::Review { principal: id.to_string() }).await?))
}

/// The latest alarms, one for each kind and device, the oldest first.
#[utoipa::path(get, path = "/api/v1/alarms", responses((status = 200, body = Vec<Alarm>)))]
pub(super) async fn alarms(asker: Asker) -> Answered<Vec<Alarm>> {
    Ok(Json(asker.ask(Request::Alarms).await?))
}

/// Who is banned.
#[utoipa::path(get, path = "/api/v1/bans", responses((status = 200, body = Vec<Ban>)))]
pub(super) async fn bans(asker: Asker) -> Answered<Vec<Ban>> {
    Ok(Json(asker.ask(Request::Bans).await?))
}

/// Ends a ban before its time; answered with those that are left.
#[utoipa::path(delete, path = "/api/v1/bans/{id}", params(("id" = u32, Path)), responses(
    (status = 200, body = Vec<Ban>), (status = 403, description = "Not in this role", body = Problem),
    (status = 404, body = Problem),
))]
pub(super) async fn lift_ban(asker: Asker, Id(ban): Id<u32>) -> Answered<Vec<Ban>> {
    Ok(Json(asker.ask(Request::BanRemove { ban }).await?))
}
