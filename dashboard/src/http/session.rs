//! Sessions: a cookie that the daemon gave out for a pairing code, and checks.
//!
//! This process keeps an answer of the daemon for some seconds only, so that a stolen memory image of it holds no list of
//! phones. The daemon tells it who was logged out, and that answer is forgotten at once.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;

use super::{Arrived, Shared, daemon::Daemon, problem::Problem};
use crate::{
    rpc::{self, ClientError, Refusal, Visitor},
    view::Revoked,
};

const COOKIE: &str = "edgeward";
/// 400 days, the most that browsers keep; renewed at each visit.
const MAX_AGE: u32 = 400 * 24 * 60 * 60;
/// How long an answer of the daemon is believed.
const BELIEVED: Duration = Duration::from_secs(5);
/// Checked sessions that are remembered; more are checked each time.
const REMEMBERED: usize = 256;
/// No token is longer; what is longer is not asked about.
const TOKEN_LIMIT: usize = 256;

/// The secret of a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Token(String);

impl Token {
    pub(super) fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE)
            .map(|(_, token)| token)
            .or_else(|| bearer(headers))
            .filter(|token| !token.is_empty() && token.len() <= TOKEN_LIMIT)
            .map(|token| Self(token.to_owned()))
    }

    /// The header that makes a browser keep the token; `None` if the token has characters that a cookie cannot hold.
    pub(super) fn to_cookie(&self, tls: bool) -> Option<HeaderValue> {
        let is_plain = self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte));
        if !is_plain {
            return None;
        }
        cookie(&self.0, MAX_AGE, tls)
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    pub(super) fn into_secret(self) -> String {
        self.0
    }
}

/// The token of a program (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The header that makes a browser forget its token.
pub(super) fn forget_cookie(tls: bool) -> HeaderValue {
    cookie("", 0, tls).expect("it consists of plain text")
}

fn cookie(value: &str, max_age: u32, tls: bool) -> Option<HeaderValue> {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).ok()
}

/// Lets a request through if its session holds, and tells the handler whose it is.
pub(super) async fn require(
    State(shared): State<Arc<Shared>>,
    Extension(arrived): Extension<Arrived>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = Token::from_headers(request.headers()).ok_or_else(Problem::unauthenticated)?;
    let visitor = shared.sessions.check(&shared.daemon, &token, Some(arrived.remote)).await?;
    request.extensions_mut().insert(visitor);
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

/// Who asks: a handler that takes this needs a session and asks the daemon in its name.
pub(super) struct Asker {
    pub(super) shared: Arc<Shared>,
    pub(super) token: Token,
}

impl Asker {
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: rpc::Request) -> Result<T, ClientError> {
        self.forget_if_out(self.shared.daemon.ask_in(&self.token, request).await)
    }

    /// The answer as the daemon has written it, for lists that may be long.
    pub(super) async fn ask_text(&self, request: rpc::Request) -> Result<Response, ClientError> {
        let text = self.forget_if_out(self.shared.daemon.ask_text(&self.token, request).await)?;
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
    }

    fn forget_if_out<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if matches!(&answer, Err(ClientError::Refused(refusal)) if refusal.code == "unauthenticated") {
            self.shared.sessions.forget(&self.token);
        }
        answer
    }
}

impl FromRequestParts<Arc<Shared>> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let token = parts.extensions.get::<Token>().cloned().ok_or_else(Problem::unauthenticated)?;
        Ok(Self { shared: Arc::clone(shared), token })
    }
}

/// Sessions that were checked a moment ago, and those that were ended.
#[derive(Default)]
pub(super) struct Sessions {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    checked: HashMap<Token, Checked>,
    /// The latest last. An answer that was on its way meanwhile must not let anyone in again.
    revoked: VecDeque<Revoked>,
}

struct Checked {
    visitor: Visitor,
    at: Instant,
}

impl Sessions {
    /// Whose session this is; `from` is where it was used just now.
    pub(super) async fn check(
        &self,
        daemon: &Daemon,
        token: &Token,
        from: Option<IpAddr>,
    ) -> Result<Visitor, Problem> {
        if let Some(visitor) = self.remembered(token, Instant::now()) {
            return Ok(visitor);
        }
        let check = rpc::Request::SessionCheck { token: token.0.clone(), from };
        let answer = daemon.ask::<Visitor>(check).await;
        match answer {
            Ok(visitor) => {
                self.remember(token.clone(), visitor.clone(), Instant::now());
                Ok(visitor)
            }
            Err(ClientError::Refused(refusal)) if refusal.code != "unavailable" => {
                self.forget(token);
                Err(Refusal { code: "unauthenticated".to_owned(), ..refusal }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn forget(&self, token: &Token) {
        self.lock().checked.remove(token);
    }

    pub(super) fn forget_all(&self) {
        self.lock().checked.clear();
    }

    /// These are out.
    pub(super) fn revoke(&self, revoked: Revoked) {
        let mut known = self.lock();
        known.checked.retain(|_, checked| !revoked.clients.contains(&checked.visitor.id));
        if known.revoked.len() == REMEMBERED {
            known.revoked.pop_front();
        }
        known.revoked.push_back(revoked);
    }

    /// How this one was logged out, if it was as far as this process knows.
    pub(super) fn revoked(&self, client: &str) -> Option<Revoked> {
        self.lock().revoked(client).cloned()
    }

    fn remembered(&self, token: &Token, now: Instant) -> Option<Visitor> {
        self.lock()
            .checked
            .get(token)
            .filter(|checked| now.duration_since(checked.at) < BELIEVED)
            .map(|checked| checked.visitor.clone())
    }

    fn remember(&self, token: Token, visitor: Visitor, now: Instant) {
        let mut known = self.lock();
        known.checked.retain(|_, checked| now.duration_since(checked.at) < BELIEVED);
        if known.checked.len() < REMEMBERED && known.revoked(&visitor.id).is_none() {
            known.checked.insert(token, Checked { visitor, at: now });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change of a table is a single call, so it is whole after a panic elsewhere.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn revoked(&self, client: &str) -> Option<&Revoked> {
        self.revoked.iter().rfind(|revoked| revoked.clients.iter().any(|known| known == client))
    }
}
