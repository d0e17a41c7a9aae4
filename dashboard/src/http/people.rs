//! Who is let in: pairing, sessions, phones, and how a browser recognises this box.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;

use super::{
    Arrived, Shared,
    input::{Body, Id},
    problem::Problem,
    session::{self, Asker, Token},
};
use crate::{
    qr::Qr,
    rpc::{PairingCode, Request, Session, Visitor},
    view::{Authority, Client, Role, UnixSeconds},
};

/// Longest name of a phone, in characters.
const NAME_LIMIT: usize = 40;
/// How long a code of the page is valid, in seconds.
const CODE_LIFETIME: u32 = 600;

type Daemon = State<Arc<Shared>>;

/// What needs no session.
pub(super) fn open_routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/pair", post(pair))
        .route("/api/v1/session", post(sign_in))
        .route("/api/v1/authority", get(authority))
        .route("/ca.crt", get(issuer))
}

/// What needs a session.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/session", delete(end_session))
        .route("/api/v1/me", get(me))
        .route("/api/v1/pair/codes", post(make_code))
        .route("/api/v1/clients", get(clients))
        .route("/api/v1/clients/{id}", delete(end_client))
        .route("/api/v1/pin", put(set_pin))
        .route("/api/v1/password", put(set_password))
}

// Before there is a session.

/// Who vouches for this box, to be compared with what the box itself shows.
#[utoipa::path(get, path = "/api/v1/authority", responses(
    (status = 200, body = Authority),
    (status = 404, description = "The page is not served with TLS", body = Problem),
))]
pub(super) async fn authority(Extension(arrived): Extension<Arrived>) -> Result<Json<Authority>, Problem> {
    arrived.tls.and_then(|tls| tls.authority()).map(Json).ok_or_else(no_authority)
}

/// The issuer's certificate, for phones that shall recognise the box from now on.
async fn issuer(Extension(arrived): Extension<Arrived>) -> Result<Response, Problem> {
    let issuer = arrived.tls.and_then(|tls| tls.issuer()).ok_or_else(no_authority)?;
    let kind = HeaderValue::from_static("application/x-x509-ca-cert");
    Ok(([(header::CONTENT_TYPE, kind)], issuer).into_response())
}

fn no_authority() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "The page has no certificate here")
}

/// The code from the box and how this phone is to be called.
#[derive(Deserialize, ToSchema)]
pub(super) struct Pairing {
    code: String,
    name: String,
}

/// Exchanges a one-use code for a session.
#[utoipa::path(post, path = "/api/v1/pair", request_body = Pairing, responses(
    (status = 204, description = "Paired; the session is in the cookie"),
    (status = 403, description = "Wrong code", body = Problem),
    (status = 410, description = "The code was used or has expired", body = Problem),
    (status = 429, description = "Too many wrong codes; the code is burnt", body = Problem),
))]
pub(super) async fn pair(
    State(shared): Daemon,
    Extension(arrived): Extension<Arrived>,
    Body(pairing): Body<Pairing>,
) -> Result<Response, Problem> {
    let name = phone_name(&pairing.name).ok_or_else(|| Problem::invalid("Give this phone a name"))?;
    let code = pairing.code.trim().to_owned();
    let request = Request::PairRedeem { code, name, from: Some(arrived.remote) };
    let session: Session = shared.daemon.ask(request).await?;
    let_in(session, shared.is_tls(&arrived))
}

/// Makes the browser keep its session.
fn let_in(session: Session, tls: bool) -> Result<Response, Problem> {
    let cookie = Token::new(session.token).to_cookie(tls).ok_or_else(|| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The daemon gave out an unusable session")
    })?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])).into_response())
}

/// The name of a professional and the password that they have set.
#[derive(Deserialize, ToSchema)]
pub(super) struct SignIn {
    name: String,
    password: String,
}

/// Exchanges a name and a password for a session.
#[utoipa::path(post, path = "/api/v1/session", request_body = SignIn, responses(
    (status = 204, description = "Signed in; the session is in the cookie"),
    (status = 403, description = "Wrong name or password", body = Problem),
    (status = 429, description = "Too many wrong passwords; signing in rests", body = Problem),
))]
pub(super) async fn sign_in(
    State(shared): Daemon,
    Extension(arrived): Extension<Arrived>,
    Body(SignIn { name, password }): Body<SignIn>,
) -> Result<Response, Problem> {
    let name = name.trim().to_owned();
    let request = Request::SignIn { name, password, from: Some(arrived.remote) };
    let session: Session = shared.daemon.ask(request).await?;
    let_in(session, shared.is_tls(&arrived))
}

/// A name without control and direction characters, not too long; `None` if nothing is left.
fn phone_name(name: &str) -> Option<String> {
    let is_harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.trim().chars().filter(is_harmless).take(NAME_LIMIT).collect();
    (!name.is_empty()).then_some(name)
}

// One's own session.

/// Logs this browser out.
#[utoipa::path(delete, path = "/api/v1/session", responses((status = 204, description = "Logged out")))]
pub(super) async fn end_session(
    State(shared): Daemon,
    Extension(arrived): Extension<Arrived>,
    Extension(token): Extension<Token>,
) -> Result<Response, Problem> {
    shared.sessions.forget(&token);
    let forget = session::forget_cookie(shared.is_tls(&arrived));
    shared.daemon.ask::<IgnoredAny>(Request::SessionEnd { token: token.into_secret() }).await?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, forget)])).into_response())
}

/// Who the daemon takes this browser for; renews the cookie.
#[utoipa::path(get, path = "/api/v1/me", responses(
    (status = 200, body = Visitor),
    (status = 401, description = "Not paired", body = Problem),
))]
pub(super) async fn me(
    State(shared): Daemon,
    Extension(arrived): Extension<Arrived>,
    Extension(who): Extension<Visitor>,
    Extension(token): Extension<Token>,
) -> Response {
    let renewed = token.to_cookie(shared.is_tls(&arrived));
    (AppendHeaders(renewed.map(|cookie| (header::SET_COOKIE, cookie))), Json(who)).into_response()
}

// Others.

/// What another phone shall be.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPhone {
    role: Role,
}

/// A one-use code for another phone.
#[derive(Serialize, ToSchema)]
pub(super) struct NewCode {
    role: Role,
    /// What the other phone opens.
    url: String,
    /// The same as a picture.
    qr: Qr,
    /// Where it can be typed instead, and what.
    page: String,
    typed: String,
    expires_at: UnixSeconds,
}

/// Makes a one-use code for another phone.
#[utoipa::path(post, path = "/api/v1/pair/codes", request_body = NewPhone, responses(
    (status = 200, body = NewCode), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn make_code(
    asker: Asker,
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    Body(phone): Body<NewPhone>,
) -> Result<Json<NewCode>, Problem> {
    let request = Request::Pair { seconds: CODE_LIFETIME, role: phone.role };
    let code: PairingCode = asker.ask(request).await?;
    // Where phones cannot reach the page, another browser can that reaches it as this one does.
    let here = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if asker.shared.is_tls(&arrived) { "https" } else { "http" };
    // A box may have several addresses. Where the owner's browser came in, a phone beside it does as well.
    let same = code.listening.iter().find(|address| address.ip().to_canonical() == arrived.local);
    let url = same.or(code.listening.first()).and_then(|address| code.url_at(*address));
    let url = url.unwrap_or_else(|| format!("{scheme}://{here}/#/pair?k={}", code.code));
    let page = url.split("/#").next().unwrap_or(&url).to_owned();
    let qr = Qr::new(&url).ok_or_else(|| Problem::invalid("The address is too long for a picture"))?;
    Ok(Json(NewCode { role: code.role, qr, page, url, typed: code.typed, expires_at: code.expires_at }))
}

/// Who is let in.
#[utoipa::path(get, path = "/api/v1/clients", responses(
    (status = 200, body = Vec<Client>), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn clients(asker: Asker) -> Result<Json<Vec<Client>>, Problem> {
    Ok(Json(asker.ask(Request::Clients).await?))
}

/// Logs someone out.
#[utoipa::path(delete, path = "/api/v1/clients/{id}", params(("id" = String, Path)), responses(
    (status = 204, description = "Logged out"), (status = 404, body = Problem),
))]
pub(super) async fn end_client(asker: Asker, Id(client): Id<String>) -> Result<StatusCode, Problem> {
    asker.ask::<IgnoredAny>(Request::ClientEnd { client }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The PIN of the household.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPin {
    /// None removes it.
    pin: Option<String>,
    /// The one until now, if there is one.
    old: Option<String>,
}

/// Sets the PIN of the household.
#[utoipa::path(put, path = "/api/v1/pin", request_body = NewPin, responses(
    (status = 204, description = "Set"), (status = 403, body = Problem), (status = 422, body = Problem),
))]
pub(super) async fn set_pin(asker: Asker, Body(new): Body<NewPin>) -> Result<StatusCode, Problem> {
    asker.ask::<IgnoredAny>(Request::PinSet { pin: new.pin, old: new.old }).await?;
    asker.shared.sessions.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// The password of a professional.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPassword {
    /// None removes it.
    password: Option<String>,
    /// The one until now, if there is one.
    old: Option<String>,
}

/// Sets the password with which the same person signs in elsewhere.
#[utoipa::path(put, path = "/api/v1/password", request_body = NewPassword, responses(
    (status = 204, description = "Set; whoever signed in by the old one is out"),
    (status = 403, description = "Not a professional, or the old one is wrong", body = Problem),
    (status = 422, body = Problem),
))]
pub(super) async fn set_password(asker: Asker, Body(new): Body<NewPassword>) -> Result<StatusCode, Problem> {
    asker.ask::<IgnoredAny>(Request::PasswordSet { password: new.password, old: new.old }).await?;
    asker.shared.sessions.forget_all();
    Ok(StatusCode::NO_CONTENT)
}
