//! What a household sets up: what the site is called, and where questions are told.

use std::time::Duration;

use axum::{
    Extension, Json,
    http::{HeaderMap, StatusCode, header},
};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    Arrived, Shared,
    input::Body,
    ntfy,
    openapi::{Resources, resources},
    problem::Problem,
    session::Asker,
};
use crate::{
    rpc::{Broker, Request},
    view::{BrokerState, FirstRun, HomeAssistant, Ntfy, Settings},
};

/// What is sent when someone wants to see whether it arrives.
const TEST: &str =
    "This is a test. Questions of your home firewall will arrive like this, without their content.";

/// Time for the broker of Home Assistant to answer.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        get "/api/v1/settings" => settings,
        put "/api/v1/settings" => set_settings,
        patch "/api/v1/settings" => change_settings,
        put "/api/v1/ntfy" => set_ntfy,
        get "/api/v1/ntfy" => get_ntfy,
        post "/api/v1/notify/test" => test_ntfy,
        post "/api/v1/home-assistant/test" => test_home_assistant,
        put "/api/v1/home-assistant" => set_home_assistant,
        get "/api/v1/home-assistant" => get_home_assistant,
    }
}

/// What the household has set up.
#[utoipa::path(get, path = "/api/v1/settings", responses((status = 200, body = Settings)))]
pub(super) async fn settings(asker: Asker) -> Result<Json<Settings>, Problem> {
    Ok(Json(asker.ask(Request::Settings).await?))
}

/// What the household sets up; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSettings {
    /// What the site shall be called. Empty removes it.
    name: Option<String>,
    /// The step of the first run that comes next.
    first_run: Option<FirstRun>,
}

/// Calls the site something else, or goes on with the first run.
#[utoipa::path(put, path = "/api/v1/settings", request_body = NewSettings, responses(
    (status = 200, body = Settings), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn set_settings(
    asker: Asker,
    Body(new): Body<NewSettings>,
) -> Result<Json<Settings>, Problem> {
    Ok(Json(asker.ask(Request::SettingsSet { name: new.name, first_run: new.first_run }).await?))
}

/// The same as `PUT`, under the name that says what it does.
#[utoipa::path(patch, path = "/api/v1/settings", request_body = NewSettings, responses(
    (status = 200, body = Settings), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn change_settings(asker: Asker, new: Body<NewSettings>) -> Result<Json<Settings>, Problem> {
    set_settings(asker, new).await
}

/// Where questions are told; `null` if nowhere.
#[utoipa::path(get, path = "/api/v1/ntfy", responses(
    (status = 200, body = Option<Ntfy>), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn get_ntfy(asker: Asker) -> Result<Json<Option<Ntfy>>, Problem> {
    Ok(Json(asker.ask(Request::Ntfy).await?))
}

/// Where questions shall be told.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNtfy {
    /// `https://ntfy.sh`, or one of one's own; `null` tells nobody any more.
    server: Option<String>,
}

/// Tells questions to a new, random topic from now on.
#[utoipa::path(put, path = "/api/v1/ntfy", request_body = NewNtfy, responses(
    (status = 200, body = Option<Ntfy>), (status = 403, description = "Not an owner", body = Problem),
    (status = 422, body = Problem),
))]
pub(super) async fn set_ntfy(
    asker: Asker,
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    Body(new): Body<NewNtfy>,
) -> Result<Json<Option<Ntfy>>, Problem> {
    // Phones come back to where this one is; on loopback they could not.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let page = host.filter(|_| asker.shared.is_tls(&arrived)).map(|host| format!("https://{host}/"));
    let set: Option<Ntfy> = asker.ask(Request::NtfySet { server: new.server, page }).await?;
    asker.shared.remember_ntfy(set.clone());
    Ok(Json(set))
}

/// Sends a message now.
#[utoipa::path(post, path = "/api/v1/notify/test", responses(
    (status = 204, description = "The server has taken it"),
    (status = 404, description = "Questions are told nowhere", body = Problem),
    (status = 502, description = "The server has not taken it", body = Problem),
))]
pub(super) async fn test_ntfy(asker: Asker) -> Result<StatusCode, Problem> {
    let to: Option<Ntfy> = asker.ask(Request::Ntfy).await?;
    let to = to.ok_or_else(|| Problem::not_found("Questions are told nowhere"))?;
    ntfy::send(&to, TEST, false).await.map_err(|error| {
        Problem::new(StatusCode::BAD_GATEWAY, "undelivered", format!("The message was not taken: {error}"))
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where Home Assistant finds this box; `null` if nowhere.
#[utoipa::path(get, path = "/api/v1/home-assistant", responses(
    (status = 200, body = Option<HomeAssistant>), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn get_home_assistant(asker: Asker) -> Result<Json<Option<HomeAssistant>>, Problem> {
    let set = asker.ask(Request::HomeAssistant).await?;
    Ok(Json(as_it_stands(&asker.shared, set)))
}

/// Where Home Assistant shall find this box.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHomeAssistant {
    /// `null` shows it nothing any more.
    broker: Option<Broker>,
}

/// Shows questions to Home Assistant through this broker; a broker that is a device of this site may be reached from now
/// on.
#[utoipa::path(put, path = "/api/v1/home-assistant", request_body = NewHomeAssistant, responses(
    (status = 200, body = Option<HomeAssistant>), (status = 403, description = "Not an owner", body = Problem),
    (status = 422, body = Problem),
))]
pub(super) async fn set_home_assistant(
    asker: Asker,
    Body(new): Body<NewHomeAssistant>,
) -> Result<Json<Option<HomeAssistant>>, Problem> {
    let set = asker.ask(Request::HomeAssistantSet { broker: new.broker }).await?;
    asker.shared.note_home(BrokerState::Connecting);
    asker.shared.home_changed.notify_one();
    Ok(Json(as_it_stands(&asker.shared, set)))
}

fn as_it_stands(shared: &Shared, set: Option<HomeAssistant>) -> Option<HomeAssistant> {
    set.map(|set| HomeAssistant { state: *shared.home.borrow(), ..set })
}

/// Connects to the broker of Home Assistant now, anew if need be.
#[utoipa::path(post, path = "/api/v1/home-assistant/test", responses(
    (status = 204, description = "The broker has let the box in"),
    (status = 403, description = "Not an owner", body = Problem),
    (status = 404, description = "No broker is set up", body = Problem),
    (status = 502, description = "`broker_unreachable` or `broker_refused`", body = Problem),
))]
pub(super) async fn test_home_assistant(asker: Asker) -> Result<StatusCode, Problem> {
    let set: Option<HomeAssistant> = asker.ask(Request::HomeAssistant).await?;
    if set.is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "No broker is set up"));
    }
    let mut state = asker.shared.home.subscribe();
    asker.shared.note_home(BrokerState::Connecting);
    asker.shared.home_changed.notify_one();
    let settled = timeout(BROKER_PATIENCE, state.wait_for(|state| *state != BrokerState::Connecting)).await;
    let state = settled.ok().and_then(Result::ok).map_or(BrokerState::Unreachable, |state| *state);
    match state {
        BrokerState::Connected => Ok(StatusCode::NO_CONTENT),
        BrokerState::Refused => Err(Problem::new(
            StatusCode::BAD_GATEWAY,
            "broker_refused",
            "The broker does not take this user and password",
        )),
        BrokerState::Connecting | BrokerState::Unreachable => {
            Err(Problem::new(StatusCode::BAD_GATEWAY, "broker_unreachable", "No broker answers there"))
        }
    }
}
