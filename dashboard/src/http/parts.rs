//! Long lists in parts: where a list is cut, the header `Link` (RFC 8288) says where the next part is.

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::problem::Problem;

/// Most that one part has.
pub(super) const MOST: u32 = 1000;
/// How many, where only a cursor is given.
const SOME: u32 = 200;

/// Behind which entry the next part begins; opaque to who follows the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(pub(super) u64);

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_prefix('c').and_then(|text| u64::from_str_radix(text, 16).ok());
        number.map(Self).ok_or_else(|| serde::de::Error::custom("this is no cursor"))
    }
}

/// How many entries a part shall have; `None` if the list is wanted whole.
pub(super) fn size(limit: Option<u32>, cursor: Option<Cursor>) -> Result<Option<usize>, Problem> {
    match (limit, cursor) {
        (None, None) => Ok(None),
        (Some(limit), _) if !(1..=MOST).contains(&limit) => {
            Err(Problem::invalid(format!("A part has 1 to {MOST} entries")))
        }
        (limit, _) => Ok(Some(limit.unwrap_or(SOME) as usize)),
    }
}

/// The first so many entries of what is left, with a link to the rest.
pub(super) fn part<T: Serialize>(
    mut left: Vec<T>,
    size: usize,
    uri: &Uri,
    number: fn(&T) -> u64,
) -> Response {
    let more = left.len() > size;
    left.truncate(size);
    let next = left.last().filter(|_| more).map(|last| link(uri, number(last)));
    let mut response = Json(left).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

fn link(uri: &Uri, number: u64) -> HeaderValue {
    let query = uri.query().unwrap_or_default().split('&');
    let mut kept: Vec<&str> = query.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect();
    let cursor = format!("cursor=c{number:x}");
    kept.push(&cursor);
    let text = format!("<{}?{}>; rel=\"next\"", uri.path(), kept.join("&"));
    HeaderValue::from_str(&text).expect("an address has no control characters")
}
