//! The unix socket: one JSON object per line, as [`dashboard::rpc`] defines.
//!
//! Who may connect is decided by the peer's credentials, which the kernel vouches for. Each connection is a task that
//! turns lines into [`Asked`] for the daemon's one loop and its answers into lines; a watcher also gets what the daemon
//! broadcasts. Everything is bounded: connections, the length of a line, what waits for the loop and for a watcher.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dashboard::rpc::{Call, Message, Refusal, Reply, Request, SOCKET};
use nix::unistd::{Group, Uid, User, chown};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream, unix::UCred},
    sync::{Semaphore, broadcast, mpsc, oneshot},
};

/// The user of the page's process, where there is one.
pub const PAGE_USER: &str = "edgeward";
/// The group whose members may use the socket.
const GROUP: &str = "edgeward";
/// Connections at one time.
const CONNECTIONS: usize = 128;
/// Longest line; an imported model is the longest there is.
const LINE_LIMIT: u64 = 4 * 1024 * 1024;
/// Requests that wait for the loop.
const QUEUE: usize = 64;
/// Events that a watcher may be behind before its connection is ended.
const BEHIND: usize = 1024;
/// Pause after a failed accept: mostly no file descriptor is left, and trying again at once does not bring one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection, and in whose name a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user that the kernel vouches for.
    pub user: String,
    /// Whether that is the page's own user, which nobody else is.
    pub is_page: bool,
    /// For the ledger, instead of the user.
    pub by: Option<String>,
    /// Secret of a session.
    pub session: Option<String>,
}

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    pub request: Request,
    pub caller: Caller,
    pub answer: oneshot::Sender<Result<serde_json::Value, Refusal>>,
}

/// The daemon's side of the socket.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    asked: mpsc::Sender<Asked>,
    events: Events,
}

/// Lines for everyone who watches.
pub type Events = broadcast::Sender<Arc<str>>;

/// Where events go in, before anyone watches.
pub fn events() -> Events {
    broadcast::channel(BEHIND).0
}

impl Socket {
    /// Binds the socket; one that a dead daemon left behind is replaced. The caller holds the lock of the folder.
    pub fn bind(runtime_dir: &Path, events: Events) -> Result<(Self, mpsc::Receiver<Asked>)> {
        let path = runtime_dir.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", path.display()));
            }
            _ => {}
        }
        let listener =
            UnixListener::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
        if let Some(group) = group() {
            chown(&path, None, Some(group.gid))?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
        let (asked, asked_end) = mpsc::channel(QUEUE);
        Ok((Self { listener, path, asked, events }, asked_end))
    }

    /// Serves connections until it is dropped.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "A connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (asked, events) = (self.asked.clone(), self.events.clone());
            tokio::spawn(async move {
                if let Err(error) = serve_connection(stream, asked, events).await {
                    tracing::debug!(%error, "A connection ended early");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The daemon is ending; a leftover would be replaced by the next one.
        let _left = fs::remove_file(&self.path);
    }
}

async fn serve_connection(stream: UnixStream, asked: mpsc::Sender<Asked>, events: Events) -> Result<()> {
    let peer = stream.peer_cred().context("the peer has no credentials")?;
    let (reader, mut writer) = stream.into_split();
    if !may_use(&peer) {
        let refusal =
            Refusal::new("forbidden", format!("use sudo, or join the group {GROUP} and log in again"));
        // The first call has not been read, and clients number their calls from 1.
        writer.write_all(line(&Message::Reply(Reply { id: 1, result: Err(refusal) }))?.as_bytes()).await?;
        return Ok(());
    }
    let user = user_name(peer.uid());
    let is_page = user == PAGE_USER;
    let mut lines = LimitedLines::new(reader);
    let mut watching: Option<broadcast::Receiver<Arc<str>>> = None;
    loop {
        tokio::select! {
            next = lines.next() => {
                let Some(text) = next? else { return Ok(()) };
                let Ok(call) = serde_json::from_slice::<Call>(&text) else {
                    let refusal = Refusal::new(
                        "invalid",
                        "the daemon does not know this request; is the client of another version?",
                    );
                    writer.write_all(line(&Message::Reply(Reply { id: call_id(&text), result: Err(refusal) }))?.as_bytes()).await?;
                    continue;
                };
                if call.request == Request::Watch {
                    watching = Some(events.subscribe());
                }
                let caller = Caller { user: user.clone(), is_page, by: call.by, session: call.session };
                let result = ask(&asked, call.request, caller).await;
                writer.write_all(line(&Message::Reply(Reply { id: call.id, result }))?.as_bytes()).await?;
            }
            event = next_event(&mut watching) => match event {
                Ok(event) => writer.write_all(event.as_bytes()).await?,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
                // The client starts over with a new connection and misses nothing.
                Err(broadcast::error::RecvError::Lagged(missed)) => bail!("a watcher was {missed} events behind"),
            },
        }
    }
}

async fn ask(
    asked: &mpsc::Sender<Asked>,
    request: Request,
    caller: Caller,
) -> Result<serde_json::Value, Refusal> {
    let ending = |()| Refusal::new("unavailable", "the daemon is ending");
    let (answer, wait) = oneshot::channel();
    asked.send(Asked { request, caller, answer }).await.map_err(|_| ending(()))?;
    wait.await.map_err(|_| ending(()))?
}

async fn next_event(
    watching: &mut Option<broadcast::Receiver<Arc<str>>>,
) -> Result<Arc<str>, broadcast::error::RecvError> {
    match watching {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// A message as a line.
pub fn line(message: &Message) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    Ok(line)
}

/// The id of a call that cannot be understood otherwise.
fn call_id(text: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value.get("id")?.as_u64())
        .unwrap_or(0)
}

/// Whether the kernel says that this peer is root or in our group.
fn may_use(peer: &UCred) -> bool {
    if peer.uid() == 0 {
        return true;
    }
    let Some(group) = group() else { return false };
    let named = User::from_uid(Uid::from_raw(peer.uid()))
        .ok()
        .flatten()
        .is_some_and(|user| user.gid == group.gid || group.mem.contains(&user.name));
    peer.gid() == group.gid.as_raw() || named
}

fn group() -> Option<Group> {
    Group::from_name(GROUP).ok().flatten()
}

fn user_name(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// Lines of at most [`LINE_LIMIT`] bytes. Waiting for one can be given up and taken up again.
struct LimitedLines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> LimitedLines<R> {
    fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new() }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let room = LINE_LIMIT - self.line.len() as u64;
        // What was read stays in `line` when this future is dropped.
        (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await?;
        match self.line.last() {
            Some(b'\n') => Ok(Some(std::mem::take(&mut self.line))),
            _ if self.line.len() as u64 >= LINE_LIMIT => bail!("a line is longer than {LINE_LIMIT} bytes"),
            // The peer has closed; half a line is no request.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_limited() {
        let mut lines = LimitedLines::new(&b"{\"a\":1}\nrest"[..]);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"{\"a\":1}\n");
        assert_eq!(lines.next().await.unwrap(), None);

        let long = vec![b'x'; LINE_LIMIT as usize + 1];
        assert!(LimitedLines::new(&long[..]).next().await.is_err());
    }

    #[tokio::test]
    async fn a_request_comes_out_and_its_answer_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, mut asked) = Socket::bind(folder.path(), events()).unwrap();
        let server = tokio::spawn(socket.serve());
        let mut client = dashboard::rpc::Client::connect(folder.path()).await.unwrap();
        let asking = async {
            let asked = asked.recv().await.unwrap();
            assert_eq!(asked.request, Request::Confirm);
            asked.answer.send(Ok(serde_json::json!(42))).unwrap();
        };
        let (answer, ()) = tokio::join!(client.call::<u32>(Request::Confirm), asking);
        assert_eq!(answer.unwrap(), 42);
        server.abort();
    }
}
