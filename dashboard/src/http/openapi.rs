//! The routes of the API and their description, both made from the lists of the modules that answer them.
//!
//! What a handler's attribute says is what it takes and gives; what can happen to every request is added here. A query
//! parameter or body that is not described is refused ([`described_only`]): what was meant by it would not happen.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};
use utoipa::{
    OpenApi as _,
    openapi::{
        Content, OpenApi, Ref, RefOr, Response as Described,
        path::{HttpMethod, Operation, ParameterIn, PathItem},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{Shared, api, exports, groups, household, live, look, people, problem, problem::Problem};
use crate::{export::GraphView, rpc, view};

const PROBLEM: &str = "#/components/schemas/Problem";
const PROBLEM_TYPE: &str = "application/problem+json";

/// Routes, and what describes them.
pub(super) struct Resources {
    pub(super) router: Router<Arc<Shared>>,
    /// Takes megabytes while it is made, so it is made when somebody asks.
    pub(super) document: fn() -> OpenApi,
    /// Method and path of each.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests walk them"))]
    pub(super) list: &'static [(&'static str, &'static str)],
}

/// Makes [`Resources`] of lines `get "/path" => handler,`; a handler without a description does not compile.
macro_rules! resources {
    ($($method:ident $path:literal => $handler:ident,)+) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler),+))]
        struct Listed;
        $crate::http::openapi::Resources {
            router: axum::Router::new()$(.route($path, axum::routing::$method($handler)))+,
            document: <Listed as utoipa::OpenApi>::openapi,
            list: &[$((stringify!($method), $path)),+],
        }
    }};
}
pub(super) use resources;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Edgeward",
        description = "What the page asks of Edgeward. Every resource but `pair`, `session`, `authority` and `ca.crt` \
                       needs a session: the cookie of a paired browser, or `Authorization: Bearer` with a token. Lists \
                       that may be long come in parts with `limit`; the header `Link` then says where the next one is."
    ),
    components(schemas(rpc::Answer, GraphView, view::Event, live::StreamEvent, problem::Problem))
)]
struct Base;

/// What needs a session, and what does not.
pub(super) fn everything() -> (Vec<Resources>, Vec<Resources>) {
    let guarded = vec![
        api::routes(),
        groups::routes(),
        people::routes(),
        household::routes(),
        exports::routes(),
        look::routes(),
    ];
    (guarded, vec![people::open_routes()])
}

/// Describes everything that is answered, but for the files of the page.
pub fn document() -> OpenApi {
    let (guarded, open) = everything();
    let mut document = Base::openapi();
    for (resources, is_open) in
        guarded.into_iter().map(|one| (one, false)).chain(open.into_iter().map(|one| (one, true)))
    {
        let mut described = (resources.document)();
        for (path, item) in &mut described.paths.paths {
            let has_part = path.contains('{');
            operations(item).for_each(|(_, operation)| complete(operation, has_part, is_open));
        }
        document.merge(described);
    }
    let cookie = ApiKey::Cookie(ApiKeyValue::new("edgeward"));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("cookie".to_owned(), SecurityScheme::ApiKey(cookie));
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer));
    document.security = Some(["cookie", "bearer"].map(needs).to_vec());
    document
}

fn needs(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, std::iter::empty::<String>())
}

/// Says of an operation what can happen to every one like it.
fn complete(operation: &mut Operation, has_part: bool, is_open: bool) {
    if is_open {
        operation.security = Some(Vec::new());
    }
    let common = [
        (true, "403", "Not in this role, or asked from another site"),
        (true, "408", "It took too long; nobody knows whether it was done"),
        (true, "421", "Asked under a name that is not the box's"),
        (true, "422", "A parameter or the body is not as described; `code` says what"),
        (!is_open, "401", "No session, or one that has ended"),
        (true, "503", "The daemon does not answer"),
        (has_part, "404", "There is nothing with this number"),
        (operation.request_body.is_some(), "413", "The body is too large"),
        (operation.request_body.is_some(), "415", "The body is not application/json"),
    ];
    for (_, status, description) in common.into_iter().filter(|(applies, ..)| *applies) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Described::new(description)));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            let problem = Content::new(Some(RefOr::Ref(Ref::new(PROBLEM))));
            response.content = [(PROBLEM_TYPE.to_owned(), problem)].into_iter().collect();
        }
    }
}

/// The operations that a path knows.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (HttpMethod::Get, get),
        (HttpMethod::Put, put),
        (HttpMethod::Post, post),
        (HttpMethod::Delete, delete),
        (HttpMethod::Patch, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What an operation takes besides its path.
struct Taken {
    query: Vec<String>,
    body: bool,
}

/// By path and method; made by [`prepare`], or when the first request brings something.
static TAKEN: LazyLock<BTreeMap<(String, &'static str), Taken>> = LazyLock::new(|| {
    let mut taken = BTreeMap::new();
    for (path, mut item) in document().paths.paths {
        for (method, operation) in operations(&mut item) {
            let parameters = operation.parameters.iter().flatten();
            let query = parameters.filter(|one| one.parameter_in == ParameterIn::Query);
            let query = query.map(|one| one.name.clone()).collect();
            let body = operation.request_body.is_some();
            taken.insert((path.clone(), name_of(&method)), Taken { query, body });
        }
    }
    taken
});

/// Makes what every request is compared with. It takes some megabytes for a moment, which whoever calls this may give back
/// before anybody is served.
pub fn prepare() {
    LazyLock::force(&TAKEN);
}

fn name_of(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Put => "PUT",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Patch => "PATCH",
        _ => "GET",
    }
}

/// Refuses a query parameter that is not described, or is given twice, and a body where none is.
pub(super) async fn described_only(
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if !query.is_empty() || has_body {
        let method = if request.method() == "HEAD" { "GET" } else { request.method().as_str() };
        let taken = TAKEN.iter().find(|((known, of), _)| known == path.as_str() && *of == method);
        if let Some((_, taken)) = taken {
            let names = || query.split('&').filter_map(|pair| pair.split('=').next());
            for name in names().filter(|name| !name.is_empty()) {
                if !taken.query.iter().any(|known| known == name) {
                    return Err(Problem::invalid(format!("There is no parameter {name:.40} here")));
                }
                if names().filter(|other| *other == name).count() > 1 {
                    return Err(Problem::invalid(format!("The parameter {name} stands there twice")));
                }
            }
            if has_body && !taken.body {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid",
                    "This request takes no body",
                ));
            }
        }
    }
    Ok(next.run(request).await)
}
