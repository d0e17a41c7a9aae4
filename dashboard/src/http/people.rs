//! Who is let in: pairing, sessions, phones, and how a browser recognises this box.

use std::{ops::RangeInclusive, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;

use super::{
    Arrived, Shared,
    input::{Body, Id},
    openapi::{Resources, resources},
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
/// How long a code of the page is valid, in seconds: where nobody says it, and what may be said.
const CODE_LIFETIME: u32 = 600;
const CODE_LIFETIMES: RangeInclusive<u32> = 60..=600;
/// How long a token may be valid, in seconds: an hour to two years.
const TOKEN_LIFETIMES: RangeInclusive<u32> = 3_600..=2 * 365 * 86_400;

type Daemon = State<Arc<Shared>>;

/// What needs no session.
pub(super) fn open_routes() -> Resources {
    resources! {
        post "/api/v1/pair" => pair,
        post "/api/v1/session" => sign_in,
        get "/api/v1/authority" => authority,
        get "/ca.crt" => issuer,
    }
}

/// What needs a session.
pub(super) fn routes() -> Resources {
    resources! {
        delete "/api/v1/session" => end_session,
        get "/api/v1/me" => me,
        post "/api/v1/pair/codes" => make_code,
        get "/api/v1/clients" => clients,
        get "/api/v1/clients/{id}" => client,
        delete "/api/v1/clients/{id}" => end_client,
        post "/api/v1/tokens" => make_token,
        put "/api/v1/pin" => set_pin,
        put "/api/v1/password" => set_password,
    }
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
#[utoipa::path(get, path = "/ca.crt", responses(
    (status = 200, description = "PEM", body = String, content_type = "application/x-x509-ca-cert"),
    (status = 404, description = "The page is not served with TLS"),
))]
pub(super) async fn issuer(Extension(arrived): Extension<Arrived>) -> Result<Response, Problem> {
    let issuer = arrived.tls.and_then(|tls| tls.issuer()).ok_or_else(no_authority)?;
    let kind = HeaderValue::from_static("application/x-x509-ca-cert");
    Ok(([(header::CONTENT_TYPE, kind)], issuer).into_response())
}

fn no_authority() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "The page has no certificate here")
}

/// The code from the box and how this phone is to be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    let name = phone_name(&pairing.name)
        .ok_or_else(|| Problem::refused("name_missing", "Give this phone a name"))?;
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
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// May be called `user` as well.
    #[serde(alias = "user")]
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
#[serde(deny_unknown_fields)]
pub(super) struct NewPhone {
    role: Role,
    /// Seconds for which the code is valid: 60 to 600, which is also what is meant where none are given.
    ttl: Option<u32>,
}

/// A one-use code for another phone.
#[derive(Serialize, ToSchema)]
pub(super) struct NewCode {
    role: Role,
    /// What the other phone opens.
    url: String,
    /// The same as a picture.
    qr: Qr,
    /// The same as a file.
    qr_svg: String,
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
    let seconds = phone.ttl.unwrap_or(CODE_LIFETIME);
    if !CODE_LIFETIMES.contains(&seconds) {
        return Err(Problem::refused("duration_range", "A code is valid for 60 to 600 seconds"));
    }
    let request = Request::Pair { seconds, role: phone.role };
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
    let qr_svg = qr.to_svg();
    let (role, expires_at) = (code.role, code.expires_at);
    Ok(Json(NewCode { role, qr, qr_svg, page, url, typed: code.typed, expires_at }))
}

/// A program that shall be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    role: Role,
    /// Seconds after which it is logged out, 3600 to 63072000; a `pro` after 7 days at most.
    ttl: Option<u32>,
}

/// The secret of a program; it is shown only now.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenMade {
    token: String,
    name: String,
    role: Role,
}

/// Lets a program in.
#[utoipa::path(post, path = "/api/v1/tokens", request_body = NewToken, responses(
    (status = 200, body = TokenMade), (status = 403, description = "Not an owner", body = Problem),
    (status = 429, description = "Too many are let in", body = Problem),
))]
pub(super) async fn make_token(
    asker: Asker,
    Body(NewToken { name, role, ttl }): Body<NewToken>,
) -> Result<Json<TokenMade>, Problem> {
    if ttl.is_some_and(|ttl| !TOKEN_LIFETIMES.contains(&ttl)) {
        return Err(Problem::refused("duration_range", "A token is valid for an hour to two years"));
    }
    let made: Session = asker.ask(Request::TokenMake { name, role, seconds: ttl }).await?;
    let Session { token, name, role } = made;
    Ok(Json(TokenMade { token, name, role }))
}

/// Who is let in.
#[utoipa::path(get, path = "/api/v1/clients", responses(
    (status = 200, body = Vec<Client>), (status = 403, description = "Not an owner", body = Problem),
))]
pub(super) async fn clients(asker: Asker) -> Result<Json<Vec<Client>>, Problem> {
    Ok(Json(asker.ask(Request::Clients).await?))
}

/// One who is let in.
#[utoipa::path(get, path = "/api/v1/clients/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Client), (status = 403, description = "Not an owner", body = Problem),
    (status = 404, body = Problem),
))]
pub(super) async fn client(asker: Asker, Id(id): Id<String>) -> Result<Json<Client>, Problem> {
    let clients: Vec<Client> = asker.ask(Request::Clients).await?;
    let client = clients.into_iter().find(|client| client.id == id);
    client.map(Json).ok_or_else(|| Problem::not_found("Nobody with this id is let in"))
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
#[serde(deny_unknown_fields)]
pub(super) struct NewPin {
    /// None removes it.
    pin: Option<String>,
    /// The one until now, if there is one.
    old: Option<String>,
}

/// Sets the PIN of the household.
#[utoipa::path(put, path = "/api/v1/pin", request_body = NewPin, responses(
    (status = 204, description = "Set"), (status = 403, body = Problem), (status = 422, body = Problem),
    (status = 429, description = "Too many wrong PINs", body = Problem),
))]
pub(super) async fn set_pin(asker: Asker, Body(new): Body<NewPin>) -> Result<StatusCode, Problem> {
    asker.ask::<IgnoredAny>(Request::PinSet { pin: new.pin, old: new.old }).await?;
    asker.shared.sessions.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// The password of a professional.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
