//! The directory of a store: its lock, and the file that appears whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::disk::{Disk, Medium, Step};
use super::record::Head;
use crate::{Error, ErrorKind, Revision};

/// The durable file.
pub const FILE: &str = "store.redb";
pub(super) const NEW_FILE: &str = "store.redb.new";
const LOCK: &str = "lock";

/// Held as long as the store is open; the system gives it back however the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started holds a copy of every descriptor until it runs its
        // own program, and the lock would last as long. An unlocked file that fails to unlock closes all the same.
        let _ = self.0.unlock();
    }
}

/// Takes the directory, makes the store in it if there is none, and opens it.
pub(super) fn open(dir: &Path) -> Result<(Disk, Lock), Error> {
    let unusable = |error: io::Error| open_error(dir, error);
    fs::create_dir_all(dir).map_err(unusable)?;
    let lock = take_lock(dir)?;
    let path = dir.join(FILE);
    if !exists(&path)? {
        create(dir, Revision::FIRST)?;
    }
    Ok((Disk::open(Box::new(StoreFile::new(path)))?, lock))
}

/// Makes an empty store at a revision, in a directory that has none.
pub fn create_at(dir: &Path, revision: Revision) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|error| open_error(dir, error))?;
    let _lock = take_lock(dir)?;
    let path = dir.join(FILE);
    if exists(&path)? {
        return Err(open_error(&path, io::ErrorKind::AlreadyExists.into()));
    }
    create(dir, revision)
}

/// Takes the directory and opens the store that must be in it.
pub(super) fn open_existing(dir: &Path) -> Result<(Disk, Lock), Error> {
    let path = dir.join(FILE);
    if !exists(&path)? {
        return Err(open_error(&path, io::ErrorKind::NotFound.into()));
    }
    let lock = take_lock(dir)?;
    Ok((Disk::open(Box::new(StoreFile::new(path)))?, lock))
}

/// True if there is a store file, which then is not empty.
fn exists(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        // redb would take an empty file for a new store.
        Ok(found) if found.len() == 0 => {
            Err(Error::new(ErrorKind::Corrupt).on(path.display().to_string()).because(io::Error::other("it is empty")))
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(open_error(path, error)),
    }
}

pub(super) fn take_lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join(LOCK);
    let unusable = |error: io::Error| open_error(&path, error);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the message: an owner that just started has not written it yet.
            let _ = file.read_to_string(&mut owner);
            let owner = format!("process {} has it", if owner.is_empty() { "another" } else { owner.trim() });
            return Err(Error::new(ErrorKind::Locked).on(dir.display().to_string()).because(io::Error::other(owner)));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // A full disk must not keep the store from opening: the number is only for messages.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}

/// Makes an empty store beside and moves it in, so that a crash leaves either none or a whole one.
fn create(dir: &Path, revision: Revision) -> Result<(), Error> {
    let unusable = |error: io::Error| open_error(dir, error);
    let new = dir.join(NEW_FILE);
    empty_file(&new).map_err(unusable)?;
    let mut disk = Disk::open(Box::new(StoreFile::new(new.clone())))?;
    let head = Head { compacted: revision, revision };
    disk.write(&Step { head: Some(head), ..Step::default() })?;
    drop(disk);
    fs::rename(&new, dir.join(FILE)).map_err(unusable)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(unusable)
}

/// Makes an empty file, in the place of one that was left behind.
pub(super) fn empty_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path).map(drop)
}

/// The error of a file or directory that cannot be used.
pub(super) fn open_error(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Unreachable,
    };
    Error::new(kind).on(path.display().to_string()).because(error)
}

/// A file that exists.
#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
    name: String,
}

impl StoreFile {
    pub(super) fn new(path: PathBuf) -> StoreFile {
        let name = path.display().to_string();
        StoreFile { path, name }
    }
}

impl Medium for StoreFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let backend = FileBackend::new(file).map_err(|error| match error {
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) => error,
            other => io::Error::other(other),
        })?;
        Ok(Box::new(backend))
    }
}
