//! The description of the API, made from the handlers and view models.

use utoipa::OpenApi;

use super::{api, exports, household, live, look, people, problem};
use crate::view;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Edgeward",
        description = "What the page asks of Edgeward. Every resource but `pair`, `session` and `authority` \
                       needs a session: the cookie of a paired browser, or `Authorization: Bearer` with a token."
    ),
    paths(
        people::pair,
        people::sign_in,
        people::authority,
        people::end_session,
        people::me,
        people::make_code,
        people::clients,
        people::end_client,
        people::set_pin,
        people::set_password,
        household::settings,
        household::set_settings,
        household::get_ntfy,
        household::set_ntfy,
        household::test_ntfy,
        household::get_home_assistant,
        household::set_home_assistant,
        household::test_home_assistant,
        api::status,
        api::set_site_mode,
        api::confirm,
        api::moved,
        api::pending,
        api::edges,
        api::edge,
        api::evidence,
        api::decide,
        api::decide_all,
        api::wish,
        api::wishes,
        api::decisions,
        api::undo,
        api::principals,
        api::principal,
        api::set_principal,
        api::set_mode,
        api::quarantine,
        api::release,
        api::pause,
        api::relearn,
        api::trouble,
        api::learning,
        api::finish_learning,
        api::wait,
        api::events,
        look::hours,
        look::traffic,
        look::review,
        look::alarms,
        look::bans,
        look::lift_ban,
        exports::decisions,
        exports::edges,
        exports::graph,
    ),
    components(schemas(view::Event, live::StreamEvent, problem::Problem))
)]
struct Document;

/// Describes everything under `/api/v1`.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
