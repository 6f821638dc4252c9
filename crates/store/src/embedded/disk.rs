//! The durable file: a journal, and behind it a redb database with one table of records.
//!
//! One write and one fsync per group, into the journal; from there, or at once if they are large, steps go into the table some hundred
//! together. redb never writes over what the last commit needs, and takes the newest commit whose checksum holds when it opens after a
//! crash. Reads happen only when the store is opened, when the table has everything: the cache is kept small.
//!
//! After a failed write redb wants to be opened anew; that happens before the next write, under the same lock of the directory. After a
//! failed fsync nothing that is read back can be trusted any more, so the file is not used again by this process.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata, StorageBackend, TableDefinition, TableError,
};

use super::journal::{self, Journal};
use super::record::{Damage, Head, Place, Record};
use crate::{Error, ErrorKind, Revision};

const RECORDS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("records");
/// One row: the epoch of the journal whose frames the other table does not have.
const EPOCH: TableDefinition<'_, (), u64> = TableDefinition::new("epoch");

/// What redb may keep in memory.
const CACHE_BYTES: usize = 4 << 20;

/// How many records are copied in one transaction.
const COPY_STEP: usize = 1000;

/// Where the bytes are kept. Opened again after a failed write.
pub(super) trait Medium: Send + fmt::Debug {
    /// The name for error messages.
    fn name(&self) -> &str;
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;
}

/// One durable step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step<'a> {
    pub(super) records: &'a [(Place, Vec<u8>)],
    pub(super) remove: &'a [Place],
    pub(super) head: Option<Head>,
}

#[derive(Debug)]
pub(super) struct Disk {
    medium: Box<dyn Medium>,
    /// None after a failed write.
    file: Option<OpenFile>,
    sync_failed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct OpenFile {
    journal: Journal,
    database: Database,
}

impl Disk {
    /// Opens what is on the medium; an empty one becomes a new store.
    pub(super) fn open(medium: Box<dyn Medium>) -> Result<Disk, Error> {
        let mut disk = Disk { medium, file: None, sync_failed: Arc::default() };
        disk.reopen()?;
        Ok(disk)
    }

    /// True if the next thing to do is [`Disk::reopen`].
    pub(super) fn is_broken(&self) -> bool {
        self.file.is_none()
    }

    /// Opens the file again after a failed write.
    pub(super) fn reopen(&mut self) -> Result<(), Error> {
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::SyncFailed).on(self.medium.name()));
        }
        self.file = None;
        let open = || {
            let (mut journal, tree) = journal::open(self.medium.open()?, &self.sync_failed)?;
            let database = redb::Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(tree)?;
            let steps = journal.read(epoch(&database)?)?;
            let mut file = OpenFile { journal, database };
            if !steps.is_empty() {
                file.merge(steps.iter().map(journal::Owned::borrowed))?;
            }
            Ok(file)
        };
        let opened = guarded(open);
        self.file = Some(opened.map_err(|failure| self.error(failure))?);
        Ok(())
    }

    /// Writes a step durably. If it fails, nothing of it happened, or (an fsync failed) the disk is not used again.
    pub(super) fn write(&mut self, step: &Step<'_>) -> Result<(), Error> {
        let Some(file) = &mut self.file else {
            return Err(Error::new(ErrorKind::Unreachable).on(self.medium.name()));
        };
        let written = guarded(|| file.write(step));
        written.map_err(|failure| {
            // What it may still do when it is closed would be done on a file in an unknown state.
            self.file = None;
            self.error(failure)
        })
    }

    /// The head; none in a store that was never written to.
    pub(super) fn head(&self) -> Result<Option<Head>, Error> {
        self.with_table(|table| {
            let bytes = table.get(key(Place::ZERO))?;
            Ok(bytes.map(|bytes| Head::decode(bytes.value())).transpose()?)
        })
        .map(Option::flatten)
    }

    /// Hands over every record after a revision, in order of places, each checked; a read from the beginning also checks their number.
    pub(super) fn read(
        &self,
        after: Revision,
        each: &mut dyn FnMut(Record) -> Result<(), Damage>,
    ) -> Result<(), Error> {
        self.with_table(|table| {
            let mut found = u64::from(table.get(key(Place::ZERO))?.is_some());
            for item in table.range((after.next().0, 0)..)? {
                let (at, bytes) = item?;
                let (revision, index) = at.value();
                each(Record::decode(Place { revision: Revision(revision), index }, bytes.value())?)?;
                found += 1;
            }
            let expected = table.len()?;
            if after == Revision::ZERO && found != expected {
                return Err(Failure::Missing { found, expected });
            }
            Ok(())
        })
        .map(|_| ())
    }

    /// Copies everything into an empty one, checking each record.
    pub(super) fn copy_to(&self, copy: &mut Disk) -> Result<(), Error> {
        let head = self.head()?;
        let mut records = Vec::new();
        let mut failed = None;
        let mut write = |records: &mut Vec<(Place, Vec<u8>)>| {
            if failed.is_none() {
                failed = copy.write(&Step { records, head, ..Step::default() }).err();
            }
            records.clear();
        };
        self.read(Revision::ZERO, &mut |record| {
            records.push((record.meta.place, record.encode()));
            if records.len() == COPY_STEP {
                write(&mut records);
            }
            Ok(())
        })?;
        write(&mut records);
        failed.map_or(Ok(()), Err)
    }

    /// The name for error messages.
    pub(super) fn name(&self) -> &str {
        self.medium.name()
    }

    /// None if nothing was ever written.
    fn with_table<T>(
        &self,
        body: impl FnOnce(&ReadOnlyTable<(u64, u32), &'static [u8]>) -> Result<T, Failure>,
    ) -> Result<Option<T>, Error> {
        let Some(OpenFile { database, .. }) = &self.file else {
            return Err(Error::new(ErrorKind::Unreachable).on(self.medium.name()));
        };
        let read = || match database.begin_read()?.open_table(RECORDS) {
            Ok(table) => body(&table).map(Some),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        };
        guarded(read).map_err(|failure| self.error(failure))
    }

    /// The error for damage found above.
    pub(super) fn damaged(&self, damage: Damage) -> Error {
        self.error(Failure::Damage(damage))
    }

    fn error(&self, failure: Failure) -> Error {
        Error::new(failure.kind()).on(self.medium.name()).because(failure)
    }
}

impl Drop for Disk {
    /// A store that was closed in order has everything in its table. Where that fails, the journal still has it.
    fn drop(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        if let Err(failure) = guarded(|| file.empty_journal(None)) {
            tracing::warn!(error = %self.error(failure), "store: closed with its journal");
        }
    }
}

impl OpenFile {
    fn write(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        if self.journal.append(step)? {
            return Ok(());
        }
        self.empty_journal(Some(step))
    }

    /// Puts what the journal holds into the table, and a step that does not fit into it.
    fn empty_journal(&mut self, step: Option<&Step<'_>>) -> Result<(), Failure> {
        if self.journal.is_empty() && step.is_none() {
            return Ok(());
        }
        let held = self.journal.read(self.journal.epoch())?;
        self.merge(held.iter().map(journal::Owned::borrowed).chain(step.copied()))
    }

    /// Puts steps into the table that are all there is in the journal.
    fn merge<'a>(&mut self, steps: impl Iterator<Item = Step<'a>>) -> Result<(), Failure> {
        let txn = self.database.begin_write()?;
        {
            let mut table = txn.open_table(RECORDS)?;
            for step in steps {
                for (place, bytes) in step.records {
                    table.insert(key(*place), bytes.as_slice())?;
                }
                for place in step.remove {
                    table.remove(key(*place))?;
                }
                if let Some(head) = &step.head {
                    table.insert(key(Place::ZERO), head.encode().as_slice())?;
                }
            }
            txn.open_table(EPOCH)?.insert((), self.journal.epoch() + 1)?;
        }
        txn.commit()?;
        self.journal.begin_anew();
        Ok(())
    }
}

fn epoch(database: &Database) -> Result<u64, Failure> {
    match database.begin_read()?.open_table(EPOCH) {
        Ok(table) => Ok(table.get(())?.map_or(0, |epoch| epoch.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn key(place: Place) -> (u64, u32) {
    (place.revision.0, place.index)
}

/// What went wrong below.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Redb(redb::Error),
    #[error("{0}")]
    Damage(#[from] Damage),
    #[error("{found} records where there should be {expected}")]
    Missing { found: u64, expected: u64 },
    #[error("{0}")]
    Journal(journal::Error),
    #[error("its structure makes no sense ({0})")]
    Senseless(String),
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Redb(error.into())
            }
        })*
    };
}

from_redb!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);

impl From<journal::Error> for Failure {
    fn from(error: journal::Error) -> Failure {
        match error {
            journal::Error::Io(error) => error.into(),
            other => Failure::Journal(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Redb(redb::Error::Io(error))
    }
}

impl Failure {
    fn kind(&self) -> ErrorKind {
        match self {
            Failure::Damage(_) | Failure::Missing { .. } | Failure::Senseless(_) | Failure::Journal(_) => {
                ErrorKind::Corrupt
            }
            Failure::Redb(error) => match error {
                redb::Error::Io(error) => match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                        ErrorKind::NoSpace
                    }
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
                    _ => ErrorKind::Unreachable,
                },
                redb::Error::DatabaseAlreadyOpen => ErrorKind::Locked,
                redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                    ErrorKind::Unreachable
                }
                _ => ErrorKind::Corrupt,
            },
        }
    }
}

/// A damaged file may break assumptions inside redb that it asserts rather than reports.
fn guarded<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Failure::Senseless(text.unwrap_or("panic").to_owned()))
    })
}
