//! What survives: the records of the graph, the ledger, the sessions, the names that devices
//! know, what edges have carried and a few settings, in one file.
//!
//! A [`Store`] is opened, read once and handed to a [`Writer`]. The writer gathers changes and writes them together after
//! a moment; who must know that they are on the disk waits for [`Writer::flush`]. A file that cannot be read is set aside
//! under another name, never overwritten.

mod hours;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use self::hours::HOURS;
pub use self::hours::{EDGES_CAP, HOURS_CAP, Row};
use crate::patience;

/// Name of the file in the state directory.
const FILE: &str = "edgeward.redb";
/// Version of what the tables hold.
const FORMAT: u64 = 1;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
const LEDGER: TableDefinition<u64, &[u8]> = TableDefinition::new("ledger");
const SESSIONS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("sessions");
const NAMES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("names");
const SETTINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("settings");

/// How long changes are gathered that nobody waits for.
const GATHER: Duration = Duration::from_secs(1);
/// Changes that may wait for the disk before who makes them waits too.
const QUEUE: usize = 256;

/// A change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    PutRecord {
        key: Vec<u8>,
        value: Vec<u8>,
    },
    RemoveRecord {
        key: Vec<u8>,
    },
    AppendLedger {
        sequence: u64,
        entry: Vec<u8>,
    },
    PutSession {
        key: Vec<u8>,
        value: Vec<u8>,
    },
    RemoveSession {
        key: Vec<u8>,
    },
    PutName {
        key: Vec<u8>,
        value: Vec<u8>,
    },
    RemoveName {
        key: Vec<u8>,
    },
    /// What edges have carried in this hour, counted from 1970, besides what is known.
    AddHour {
        hour: u64,
        row: Row,
    },
    /// Nothing removes it.
    PutSetting {
        name: &'static str,
        value: Option<Vec<u8>>,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

/// A store, and where a damaged one that was in its place is now.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    pub set_aside: Option<PathBuf>,
}

/// Key and value of each entry of a table.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The ledger at one moment.
pub struct Ledger(ReadTransaction);

impl Ledger {
    /// All entries, oldest first.
    pub fn entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut entries = Vec::new();
        for entry in self.0.open_table(LEDGER)?.iter()? {
            entries.push(entry?.1.value().to_vec());
        }
        Ok(entries)
    }
}

impl Store {
    /// Opens the file in this folder, or makes one. A damaged file is set aside and a new one made.
    pub fn open(folder: &Path) -> Result<Opened, StoreError> {
        let failed = |source: io::Error| StoreError::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(FILE);
        let is_in_use = |error: &StoreError| matches!(error, StoreError::InUse { .. });
        match patience::patiently(|| Self::open_file(&path), is_in_use) {
            Ok(store) => Ok(Opened { store, set_aside: None }),
            Err(StoreError::Damaged { .. }) => {
                let aside = set_aside(&path).map_err(failed)?;
                let store = Self::open_file(&path)?;
                Ok(Opened { store, set_aside: Some(aside) })
            }
            Err(error) => Err(error),
        }
    }

    /// Sets this file aside, because what it holds cannot be used, and makes a new one.
    pub fn replace(self) -> Result<Opened, StoreError> {
        let path = self.path.clone();
        drop(self);
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        let aside = set_aside(&path).map_err(failed)?;
        Ok(Opened { store: Self::open_file(&path)?, set_aside: Some(aside) })
    }

    fn open_file(path: &Path) -> Result<Self, StoreError> {
        let is_new = !path.exists();
        // Of nothing redb makes a new file in its place, which would not be what was there.
        if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Damaged { path: path.to_owned() });
        }
        // A file cut or overwritten in the middle can trip an assertion of redb; that is damage as well.
        let opened = std::panic::catch_unwind(|| {
            let mut database = Database::create(path)?;
            if !is_new {
                database.check_integrity()?;
            }
            Ok::<_, DatabaseError>(database)
        });
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => return Err(StoreError::from_open(path, error)),
            Err(_) => return Err(StoreError::Damaged { path: path.to_owned() }),
        };
        let store = Self { database, path: path.to_owned() };
        store.prepare(is_new)?;
        Ok(store)
    }

    /// Makes the tables of a new file, and refuses one of another version.
    fn prepare(&self, is_new: bool) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        {
            let mut meta = transaction.open_table(META)?;
            let format = meta.get("format")?.map(|format| format.value());
            match format {
                None if is_new => {
                    meta.insert("format", FORMAT)?;
                }
                Some(FORMAT) => {}
                None => return Err(StoreError::Damaged { path: self.path.clone() }),
                Some(found) => return Err(StoreError::Version { path: self.path.clone(), found }),
            }
            transaction.open_table(RECORDS)?;
            transaction.open_table(LEDGER)?;
            transaction.open_table(SESSIONS)?;
            transaction.open_table(NAMES)?;
            transaction.open_table(SETTINGS)?;
            transaction.open_table(HOURS)?;
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok(())
    }

    /// All records of the graph.
    pub fn records(&self) -> Result<Entries, StoreError> {
        self.entries(RECORDS)
    }

    /// All sessions.
    pub fn sessions(&self) -> Result<Entries, StoreError> {
        self.entries(SESSIONS)
    }

    /// All names that devices have asked for.
    pub fn names(&self) -> Result<Entries, StoreError> {
        self.entries(NAMES)
    }

    /// What was set under this name.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let table = transaction.open_table(SETTINGS)?;
        Ok(table.get(name)?.map(|value| value.value().to_vec()))
    }

    fn entries(&self, table: TableDefinition<&[u8], &[u8]>) -> Result<Entries, StoreError> {
        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let table = transaction.open_table(table)?;
        let mut entries = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(entries)
    }

    /// The ledger as it stands now, to be read elsewhere.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        Ok(Ledger(self.database.begin_read().map_err(redb::Error::from)?))
    }

    /// Writes changes in one transaction; when this returns, they are on the disk.
    pub fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            let mut ledger = transaction.open_table(LEDGER)?;
            let mut sessions = transaction.open_table(SESSIONS)?;
            let mut names = transaction.open_table(NAMES)?;
            let mut settings = transaction.open_table(SETTINGS)?;
            let mut hours = transaction.open_table(HOURS)?;
            for change in changes {
                match change {
                    Change::PutRecord { key, value } => {
                        records.insert(key.as_slice(), value.as_slice())?;
                    }
                    Change::RemoveRecord { key } => {
                        records.remove(key.as_slice())?;
                    }
                    Change::AppendLedger { sequence, entry } => {
                        ledger.insert(sequence, entry.as_slice())?;
                    }
                    Change::PutSession { key, value } => {
                        sessions.insert(key.as_slice(), value.as_slice())?;
                    }
                    Change::RemoveSession { key } => {
                        sessions.remove(key.as_slice())?;
                    }
                    Change::PutName { key, value } => {
                        names.insert(key.as_slice(), value.as_slice())?;
                    }
                    Change::RemoveName { key } => {
                        names.remove(key.as_slice())?;
                    }
                    Change::AddHour { hour, row } => hours::add(&mut hours, *hour, row)?,
                    Change::PutSetting { name, value: Some(value) } => {
                        settings.insert(*name, value.as_slice())?;
                    }
                    Change::PutSetting { name, value: None } => {
                        settings.remove(*name)?;
                    }
                }
            }
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok(())
    }
}

/// Renames a file so that its new name says when; a name that is taken is not taken again.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| time.tv_sec());
    let name = |attempt: u32| match attempt {
        0 => path.with_extension(format!("redb.damaged-{seconds}")),
        _ => path.with_extension(format!("redb.damaged-{seconds}-{attempt}")),
    };
    let aside = (0..u32::MAX).map(name).find(|aside| !aside.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Hands changes to the disk.
#[derive(Clone, Debug)]
pub struct Writer {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Write(Vec<Change>),
    Flush(oneshot::Sender<()>),
}

impl Writer {
    /// Starts writing; the task ends when every writer is gone and all is written, or with the first error.
    pub fn start(store: Arc<Store>) -> (Self, tokio::task::JoinHandle<Result<(), StoreError>>) {
        let (sender, orders) = mpsc::channel(QUEUE);
        (Self { orders: sender }, tokio::spawn(write_all(store, orders)))
    }

    /// Takes changes to be written within a moment.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.orders.send(Order::Write(changes)).await.map_err(|_| StoreError::Ended)
    }

    /// Waits until everything taken so far is on the disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        self.orders.send(Order::Flush(done)).await.map_err(|_| StoreError::Ended)?;
        wait.await.map_err(|_| StoreError::Ended)
    }
}

async fn write_all(store: Arc<Store>, mut orders: mpsc::Receiver<Order>) -> Result<(), StoreError> {
    let mut gathered: Vec<Change> = Vec::new();
    let mut due: Option<Instant> = None;
    loop {
        let order = match due {
            None => orders.recv().await,
            Some(due) => tokio::select! {
                order = orders.recv() => order,
                () = sleep_until(due) => Some(Order::Write(Vec::new())),
            },
        };
        let ended = order.is_none();
        let mut waiting = None;
        match order {
            Some(Order::Write(changes)) => gathered.extend(changes),
            Some(Order::Flush(done)) => waiting = Some(done),
            None => {}
        }
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if (ended || is_due || waiting.is_some()) && !gathered.is_empty() {
            let changes = std::mem::take(&mut gathered);
            let store = Arc::clone(&store);
            tokio::task::spawn_blocking(move || store.write(&changes))
                .await
                .map_err(|_| StoreError::Ended)??;
            due = None;
        }
        if let Some(done) = waiting {
            // Who does not wait any more needs no answer.
            let _gone = done.send(());
        }
        if ended {
            return Ok(());
        }
        if due.is_none() && !gathered.is_empty() {
            due = Some(Instant::now() + GATHER);
        }
    }
}

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot use {} for the state", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot read the state file {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the state file {} is damaged", path.display())]
    Damaged { path: PathBuf },
    #[error("another instance of Edgeward uses the state file {}; stop it, or choose another folder with --state-dir", path.display())]
    InUse { path: PathBuf },
    #[error("the state file {} is of version {found}, this program reads version {FORMAT}; use the program that wrote it", path.display())]
    Version { path: PathBuf, found: u64 },
    #[error("the state cannot be written; free space on the disk and start again")]
    Database(#[from] redb::Error),
    #[error("the task that writes the state has ended")]
    Ended,
}

impl StoreError {
    fn from_open(path: &Path, error: DatabaseError) -> Self {
        let path = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse { path },
            // What the operating system refuses is no damage; a file that ends too early is.
            DatabaseError::Storage(StorageError::Io(source))
                if !matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
            {
                Self::Unreadable { path, source }
            }
            _ => Self::Damaged { path },
        }
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self::Database(error.into())
    }
}

impl From<TableError> for StoreError {
    fn from(error: TableError) -> Self {
        Self::Database(error.into())
    }
}

#[cfg(test)]
mod tests;
