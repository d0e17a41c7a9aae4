//! Answers that say what went wrong, as RFC 9457 problem JSON.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    rpc::{ClientError, Refusal},
    view::{Act, Edge},
};

/// What went wrong. The page makes its text from `code` and `params`; `title` is for people without the page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:edgeward:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    #[schema(value_type = ProblemCode)]
    code: String,
    params: Params,
}

/// Every code that a problem can have; the page has words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProblemCode {
    NotFound,
    Conflict,
    Invalid,
    Forbidden,
    AskOwner,
    PinNeeded,
    PinWrong,
    PinFormat,
    PasswordWrong,
    PasswordFormat,
    NameMissing,
    NameTaken,
    NameReserved,
    ServerFormat,
    BrokerFormat,
    BrokerUnreachable,
    BrokerRefused,
    KindUnknown,
    ModeUnknown,
    LifetimeMissing,
    DurationRange,
    DatePassed,
    Gone,
    TooMany,
    Unauthenticated,
    Unavailable,
    Host,
    Origin,
    Timeout,
    Undelivered,
    InProgress,
    Internal,
}

/// Facts that belong to a problem.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Params {
    /// With `conflict`: the edge as it is now, with who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) edge: Option<Box<Edge>>,
    /// With `conflict` and `unauthenticated`: who has changed it, or logged this browser out, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Box<Act>>,
    /// With `too_many`: seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:edgeward:problem:{code}"),
            title: title.into(),
            status: status.as_u16(),
            code: known(code).to_owned(),
            params: Params::default(),
        }
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "This browser is not paired; run `edgeward pair` on the box and open the address it shows",
        )
    }

    /// As [`Problem::invalid`], with a code of its own.
    pub(crate) fn refused(code: &str, title: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, title)
    }

    pub(crate) fn invalid(title: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title)
    }

    pub(crate) fn not_found(title: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", title)
    }

    pub(crate) fn too_many(title: impl Into<String>, retry_after: u32) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", title);
        problem.params.retry_after = Some(retry_after);
        problem
    }

    pub(crate) fn with_edge(mut self, edge: Edge) -> Self {
        self.params.edge = Some(Box::new(edge));
        self
    }

    fn after(mut self, act: Option<Act>) -> Self {
        self.params.act = act.map(Box::new);
        self
    }

    /// What somebody has done before.
    pub(crate) fn act(self) -> Option<Act> {
        self.params.act.map(|act| *act)
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT.as_u16()
    }

    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED.as_u16()
    }
}

/// The code, if pages have words for it. The daemon may be newer and know more.
fn known(code: &str) -> &str {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(code);
    match ProblemCode::deserialize(text) {
        Ok(_) => code,
        Err(_) => "internal",
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code.as_str() {
            "unauthenticated" => return Self::unauthenticated().after(refusal.act),
            "not_found" => StatusCode::NOT_FOUND,
            "conflict" => StatusCode::CONFLICT,
            "invalid" | "pin_format" | "password_format" | "name_missing" | "name_taken"
            | "name_reserved" | "server_format" | "broker_format" | "kind_unknown" | "mode_unknown"
            | "duration_range" | "date_passed" => StatusCode::UNPROCESSABLE_ENTITY,
            "forbidden" | "ask_owner" | "pin_needed" | "pin_wrong" | "password_wrong" => {
                StatusCode::FORBIDDEN
            }
            "gone" => StatusCode::GONE,
            "too_many" => StatusCode::TOO_MANY_REQUESTS,
            "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &refusal.code, refusal.message).after(refusal.act)
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => refusal.into(),
            ClientError::NotRunning { .. } | ClientError::Closed | ClientError::Io(_) => {
                tracing::debug!(%error, "The daemon does not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "Edgeward is not running; what is blocked stays blocked",
                )
            }
            ClientError::Format(error) => {
                tracing::warn!(%error, "The daemon's answer is not understood");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "The page and the daemon are of different versions; restart both",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("it was made from a status");
        let retry_after = self.params.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
