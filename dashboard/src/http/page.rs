//! The files of the page, which the binary carries.

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// Path and content, sorted by path; written by the build script.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Answers everything that no route of the API takes.
pub(super) async fn file(method: Method, uri: Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let found = FILES.iter().find(|(name, _)| *name == path);
    match (found, method) {
        (Some((name, content)), Method::GET | Method::HEAD) => answer(name, content),
        (Some(_), _) => {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", "A file can only be read").into_response()
        }
        (None, _) => {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here").into_response()
        }
    }
}

fn answer(name: &str, content: &'static [u8]) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    // The build puts a hash of the content into these names, so they never change.
    if name.starts_with("assets/") {
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some(_) | None => "application/octet-stream",
    }
}

/// Names the build of the page, so that an open page learns that a newer one is served.
pub(super) fn build() -> &'static str {
    FILES
        .iter()
        .map(|(name, _)| *name)
        .find(|name| name.starts_with("assets/index-"))
        .unwrap_or(env!("CARGO_PKG_VERSION"))
}
