//! The files of the page, which the binary carries.

use std::path::Path;

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// Path and content, sorted by path; written by the build script.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Answers everything that no route of the API takes.
pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    match (find(path), method) {
        (Some(content), Method::GET | Method::HEAD) => {
            let compressed = find(&format!("{path}.gz")).filter(|_| takes_gzip(&headers));
            answer(path, content, compressed)
        }
        (Some(_), _) => {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", "A file can only be read").into_response()
        }
        (None, _) => {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here").into_response()
        }
    }
}

fn find(path: &str) -> Option<&'static [u8]> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, content)| *content)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim() == "gzip"))
}

fn answer(name: &str, content: &'static [u8], compressed: Option<&'static [u8]>) -> Response {
    let mut response = compressed.unwrap_or(content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if compressed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
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

/// Names the build of the page, so that an open page learns that a newer one is served: by the script that names all
/// others.
pub(super) fn build() -> &'static str {
    let is_script = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "js");
    FILES
        .iter()
        .map(|(name, _)| *name)
        .find(|name| name.starts_with("assets/index-") && is_script(name))
        .unwrap_or(env!("CARGO_PKG_VERSION"))
}
