//! The page and its API: what `edgeward web` serves.
//!
//! A connection is accepted ([`serve`]) if the daemon says that its device may come in (`door`), and every request on it passes the `guard`: a Host or Origin that is not ours is
//! refused, and the answer gets the security headers. Files of the `page` are public. Everything under `/api/v1` but
//! pairing needs a `session`, which the daemon checks; then a handler of `people` or `api` puts the question to the
//! `daemon`, in the name of that session, and hands its view model on, or a `problem`. Beside that, one task watches the daemon and keeps the latest events in a
//! ring, from which the streams of `live` are fed, and another sends a message without content (`ntfy`).
//!
//! This process holds no rights and no state that matters: sessions, roles and decisions live in the daemon.

// What a connection and a request pass.
mod door;
mod guard;
mod input;
mod once;
mod parts;
mod places;
mod session;
mod tls;

// What answers it.
mod api;
mod exports;
mod groups;
mod household;
mod live;
mod look;
mod page;
mod people;
mod problem;

// What stands behind the answers.
mod daemon;
mod openapi;

// What is told without being asked.
mod home;
mod ntfy;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use futures_util::future::select_all;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    time::timeout,
};

use self::{
    daemon::Daemon, door::Door, live::Live, once::Once, places::Places, problem::Problem, session::Sessions,
};

use crate::{
    pushes::EndOfDay,
    view::{BrokerState, Ntfy, UnixSeconds},
};

pub use self::{
    ntfy::server_of,
    openapi::{document as openapi_document, prepare},
    tls::{Tls, TlsError},
};

/// Largest body of a request; a decision has about 60 bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// Time for the head of a request to arrive, so that a silent peer does not hold a place.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the head of the answer must be ready.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that running requests get when the process is told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Pause after a failed accept: mostly no file descriptor is left, and trying again at once does not bring one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Events that may wait for whoever tells phones.
const EVENTS: usize = 1024;

/// A day, and when in UTC it ends where nobody says otherwise, in seconds.
const DAY: i64 = 86_400;
const EVENING: i64 = 19 * 3_600;

/// How the page is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the daemon's socket is.
    pub runtime_dir: PathBuf,
    /// Host names under which the page may be asked for through TLS, besides `localhost` and the address of the
    /// connection.
    pub hosts: Vec<String>,
    /// Whether browsers reach the page through somebody else's TLS; the cookie is then always marked `Secure`.
    pub tls: bool,
    /// When a day of the household ends.
    pub end_of_day: EndOfDay,
    /// Told each time that the daemon answers: it may be a new one, which knows nothing of this process.
    pub daemon_came: Arc<Notify>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runtime_dir: PathBuf::new(),
            hosts: Vec::new(),
            tls: false,
            end_of_day: |now| now - (now - EVENING).rem_euclid(DAY) + DAY,
            daemon_came: Arc::default(),
        }
    }
}

/// Where the page is served, and whether with TLS.
pub struct Listening {
    pub listener: TcpListener,
    pub tls: Option<Arc<Tls>>,
}

/// Serves the page until `shutdown` completes.
///
/// # Errors
///
/// Fails if a listener has no local address.
pub async fn serve(
    listeners: Vec<Listening>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    for one in &listeners {
        tracing::info!(address = %one.listener.local_addr()?, tls = one.tls.is_some(), "Serving the page");
    }
    let shared = Arc::new(Shared::new(options));
    let (teller, events) = mpsc::channel(EVENTS);
    let watching = tokio::spawn(live::watch_daemon(Arc::clone(&shared), teller));
    let telling = tokio::spawn(ntfy::tell(Arc::clone(&shared), events));
    let showing = tokio::spawn(home::follow(Arc::clone(&shared)));
    let router = router(Arc::clone(&shared));
    let places = Places::default();
    let graceful = GracefulShutdown::new();

    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let free = places.free().await;
            let (accepted, index, _) =
                select_all(listeners.iter().map(|one| Box::pin(one.listener.accept()))).await;
            (free, accepted, &listeners[index])
        };
        let (free, stream, remote, listening) = tokio::select! {
            (free, accepted, listening) = accepted => match accepted {
                Ok((stream, remote)) => (free, stream, remote, listening),
                Err(error) => {
                    tracing::debug!(%error, "A connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let Some(place) = places.take(free, remote.ip()) else {
            tracing::debug!(%remote, "Too many connections from there");
            continue;
        };
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), listening.tls.clone());
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Ok(local) = stream.local_addr() else { return };
            if shared.door.admits(&shared.daemon, remote.ip(), local).await {
                serve_connection(stream, local, remote, tls, router, watcher).await;
            } else {
                tracing::debug!(%remote, "The page is not for this device");
            }
            drop(place);
        });
    }

    drop(listeners);
    watching.abort();
    telling.abort();
    showing.abort();
    shared.live.close();
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("Some connections were still busy at the end");
    }
    Ok(())
}

/// Serves the requests of one connection; their handlers learn how it arrived.
async fn serve_connection(
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    tls: Option<Arc<Tls>>,
    router: Router,
    watcher: Watcher,
) {
    // Live events are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    let arrived =
        Arrived { local: local.ip().to_canonical(), remote: remote.ip().to_canonical(), tls: tls.clone() };
    let router = router.layer(Extension(arrived));
    let Some(tls) = tls else {
        return serve_requests(stream, router, watcher).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_requests(stream, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, %remote, "No handshake"),
        Err(_) => tracing::debug!(%remote, "A handshake took too long"),
    }
}

async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection::<_, TowerToHyperService<Router>>(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "A connection ended early");
    }
}

/// The connection that brought a request.
#[derive(Clone)]
struct Arrived {
    /// Our address.
    local: IpAddr,
    remote: IpAddr,
    tls: Option<Arc<Tls>>,
}

/// What all requests share.
struct Shared {
    options: Options,
    daemon: Daemon,
    sessions: Sessions,
    door: Door,
    once: Once,
    live: Live,
    /// Somebody has set up where Home Assistant finds us, or wants to know whether it does.
    home_changed: Notify,
    /// How the connection to its broker stands.
    home: watch::Sender<BrokerState>,
    /// Where phones were told things last, because a daemon that is gone cannot be asked.
    ntfy: Mutex<Option<Ntfy>>,
}

impl Shared {
    fn new(options: Options) -> Self {
        Self {
            daemon: Daemon::new(options.runtime_dir.clone()),
            sessions: Sessions::default(),
            door: Door::default(),
            once: Once::default(),
            live: Live::new(),
            home_changed: Notify::new(),
            home: watch::Sender::default(),
            ntfy: Mutex::default(),
            options,
        }
    }

    fn ntfy(&self) -> Option<Ntfy> {
        self.ntfy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember_ntfy(&self, ntfy: Option<Ntfy>) {
        *self.ntfy.lock().unwrap_or_else(PoisonError::into_inner) = ntfy;
    }

    /// Notes how the connection to Home Assistant's broker stands, and tells pages if that is news.
    fn note_home(&self, state: BrokerState) {
        if self.home.send_replace(state) != state {
            self.live.tell_home(state);
        }
    }

    /// Whether a browser sees a connection with TLS.
    fn is_tls(&self, arrived: &Arrived) -> bool {
        arrived.tls.is_some() || self.options.tls
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let (guarded, open) = openapi::everything();
    let all = |resources: Vec<openapi::Resources>| {
        let routes = resources.into_iter().map(|one| one.router);
        routes.fold(Router::new(), Router::merge).route_layer(middleware::from_fn(openapi::described_only))
    };
    let guarded =
        all(guarded).route_layer(middleware::from_fn_with_state(Arc::clone(&shared), session::require));
    Router::new()
        .merge(guarded)
        .merge(all(open))
        .method_not_allowed_fallback(wrong_method)
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

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", "This resource does not know that method")
}

fn now() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs().cast_signed())
}
