//! What every request passes: who was asked, from where, and how the answer may be used.
//!
//! A page of someone else must neither reach the API nor frame ours. Host is compared because a foreign name may be
//! pointed at our address (DNS rebinding); Origin and `Sec-Fetch-Site` because a browser sends our cookie along with
//! requests of another port of the same host.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Arrived, Shared, problem::Problem};

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types svelte-trusted-html edgeward-worker",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(super) async fn check(
    State(shared): State<Arc<Shared>>,
    Extension(arrived): Extension<Arrived>,
    request: Request,
    next: Next,
) -> Response {
    // Anyone on the LAN may answer for a name; in clear it is not ours.
    let names = if shared.is_tls(&arrived) { shared.options.hosts.as_slice() } else { &[] };
    let mut response = match refuse(request.headers(), names, &arrived) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request with these headers is refused, if it is.
fn refuse(headers: &HeaderMap, names: &[String], arrived: &Arrived) -> Option<Problem> {
    let host = headers.get(header::HOST).and_then(authority);
    let Some(host) = host.filter(|host| is_ours(host, names, arrived.local)) else {
        return Some(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host",
            "This name is not one of Edgeward's; open the page by the box's address",
        ));
    };
    let same_origin = match headers.get(header::ORIGIN) {
        Some(origin) => is_origin_of(origin, &host, arrived.tls.is_some()),
        // Old browsers do not say; all say Origin with everything that changes something.
        None => headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none"),
    };
    // A link on another page may lead here; it carries no cookie (SameSite) and shows only our own page.
    if same_origin || is_navigation(headers) {
        None
    } else {
        Some(Problem::new(StatusCode::FORBIDDEN, "origin", "Requests from other sites are refused"))
    }
}

fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_none()
        && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

/// Whether a Host names this box: the address of the connection, a loopback name or a configured one. The port is left
/// out, because a forwarded port (`ssh -L`) is another one.
fn is_ours(host: &Authority, names: &[String], local: IpAddr) -> bool {
    let name = host.host().trim_end_matches('.');
    if names.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return true;
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    literal.parse::<IpAddr>().map_or_else(
        |_| name.eq_ignore_ascii_case("localhost"),
        |address| address == local || address.is_loopback(),
    )
}

/// Whether an Origin is the one that a page from this Host has. In clear there may be somebody else's TLS before us.
fn is_origin_of(origin: &HeaderValue, host: &Authority, tls: bool) -> bool {
    let Some((scheme, rest)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    (scheme == "https" || (scheme == "http" && !tls)) && rest.eq_ignore_ascii_case(host.as_str())
}
