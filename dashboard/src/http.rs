//! The page and its API: what `edgeward web` serves.
//!
//! A connection is accepted ([`serve`]) and every request on it passes the `guard`: a Host or Origin that is not ours is
//! refused, and the answer gets the security headers. Files of the `page` are public. Everything under `/api/v1` but
//! pairing needs a `session`, which the daemon checks; then a handler of `api` puts the question to the `daemon` and
//! hands its view model on, or a `problem`. Beside that, one task watches the daemon and keeps the latest events in a
//! ring, from which the streams of `live` are fed.
//!
//! This process holds no rights and no state that matters: sessions, roles and decisions live in the daemon.

// What a request passes.
mod guard;
mod input;
mod session;

// What answers it.
mod api;
mod live;
mod page;
mod problem;

// What stands behind the answers.
mod daemon;
mod openapi;

#[cfg(test)]
mod tests;

use std::{future::Future, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use self::{daemon::Daemon, live::Live, problem::Problem, session::Sessions};

pub use self::openapi::document as openapi_document;

/// Connections that are served at one time; a browser opens up to six.
const CONNECTIONS: usize = 256;
/// Largest body of a request; a decision has about 60 bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// Time for the head of a request to arrive, so that a silent peer does not hold a place.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the head of the answer must be ready.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that running requests get when the process is told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Pause after a failed accept: mostly no file descriptor is left, and trying again at once does not bring one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the page is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the daemon's socket is.
    pub runtime_dir: PathBuf,
    /// Host names under which the page may be asked for, besides `localhost` and the address of the connection.
    pub hosts: Vec<String>,
    /// Whether browsers reach the page through TLS; the cookie is then marked `Secure`.
    pub tls: bool,
}

/// Serves the page on a listener until `shutdown` completes.
///
/// # Errors
///
/// Fails if the listener has no local address.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(options));
    let watching = tokio::spawn(live::watch_daemon(Arc::clone(&shared)));
    let router = router(Arc::clone(&shared));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tracing::info!(%address, "Serving the page");

    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    tracing::debug!(%error, "A connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let (router, watcher) = (router.clone(), graceful.watcher());
        tokio::spawn(async move {
            serve_connection(stream, router, watcher).await;
            drop(place);
        });
    }

    drop(listener);
    watching.abort();
    shared.live.close();
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("Some connections were still busy at the end");
    }
    Ok(())
}

/// Serves the requests of one connection; their handlers learn at which of our addresses it arrived.
async fn serve_connection(stream: TcpStream, router: Router, watcher: Watcher) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Live events are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(LocalAddress(local.ip().to_canonical()))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection::<_, TowerToHyperService<Router>>(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "A connection ended early");
    }
}

/// Our address on the connection that brought a request.
#[derive(Clone, Copy, Debug)]
struct LocalAddress(IpAddr);

/// What all requests share.
struct Shared {
    options: Options,
    daemon: Daemon,
    sessions: Sessions,
    live: Live,
}

impl Shared {
    fn new(options: Options) -> Self {
        Self {
            daemon: Daemon::new(options.runtime_dir.clone()),
            sessions: Sessions::default(),
            live: Live::new(),
            options,
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let guarded =
        api::routes().route_layer(middleware::from_fn_with_state(Arc::clone(&shared), session::require));
    Router::new()
        .merge(guarded)
        .merge(api::open_routes())
        .fallback(page::file)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::check))
        .with_state(shared)
}

async fn within_time(request: Request, next: Next) -> Response {
    match timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long; try again")
                .into_response()
        }
    }
}
