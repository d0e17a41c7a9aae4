//! Calls to the daemon, one connection each: a connection to a unix socket costs some microseconds, and none can hold up
//! another.

use std::{io, path::PathBuf, time::Duration};

use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, time::timeout};

use super::session::Token;
use crate::rpc::{Client, ClientError, Request};

/// Calls that are under way at one time; more wait.
const CALLS: usize = 32;
/// Time for an answer. A decision waits for disk and kernel, which takes milliseconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the daemon is asked.
pub(super) struct Daemon {
    runtime_dir: PathBuf,
    places: Semaphore,
}

impl Daemon {
    pub(super) fn new(runtime_dir: PathBuf) -> Self {
        Self { runtime_dir, places: Semaphore::new(CALLS) }
    }

    /// A connection of one's own, for watching.
    pub(super) async fn connect(&self) -> Result<Client, ClientError> {
        Client::connect(&self.runtime_dir).await
    }

    /// Asks in the name of this process.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, ClientError> {
        self.within_time(None, async |mut client| client.call(request).await).await
    }

    /// Asks in the name of a session; the daemon checks what it may.
    pub(super) async fn ask_in<T: DeserializeOwned>(
        &self,
        token: &Token,
        request: Request,
    ) -> Result<T, ClientError> {
        self.within_time(Some(token), async |mut client| client.call(request).await).await
    }

    /// As [`Daemon::ask_in`], with the answer as the daemon has written it.
    pub(super) async fn ask_text(&self, token: &Token, request: Request) -> Result<String, ClientError> {
        self.within_time(Some(token), async |mut client| client.call_text(request).await).await
    }

    async fn within_time<T>(
        &self,
        token: Option<&Token>,
        call: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let answer = async {
            let _place = self.places.acquire().await.expect("the semaphore is never closed");
            let client = self.connect().await?;
            call(match token {
                Some(token) => client.in_session(token.secret()),
                None => client,
            })
            .await
        };
        timeout(CALL_TIMEOUT, answer).await.unwrap_or_else(|_| {
            Err(ClientError::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
        })
    }
}
