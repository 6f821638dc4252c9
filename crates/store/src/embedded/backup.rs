//! Backups of a store that no krab has open: for `krab store backup`, `restore` and `check`.
//!
//! A backup is a store file of its own, with the window. Restoring one gives the store a revision far beyond those it had: what clients
//! have seen since the backup must not come again with another content, and their watches must begin anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::{self, FILE, NEW_FILE, StoreFile, open_error, take_lock};
use super::disk::{Disk, Step};
use super::load;
use super::record::Head;
use crate::{AsStored, Error, ErrorKind, Revision, View, Window};

/// How far restoring moves the revision on: further than any cluster gets between two backups.
const RESTORE_STEP: u64 = 1_000_000_000;

/// What a store file holds; all of it was read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The number of live objects.
    pub objects: usize,
    /// The newest revision.
    pub revision: Revision,
    /// The revision below which history is given up.
    pub compacted: Revision,
}

/// Reads the store in a directory and checks every record. Changes nothing but what opening after a crash does.
pub fn check(dir: &Path) -> Result<Summary, Error> {
    let (disk, _lock) = directory::open_existing(dir)?;
    summary(&disk)
}

/// Copies the store in a directory to a new file, checking every record.
pub fn backup(dir: &Path, to: &Path) -> Result<Summary, Error> {
    let (disk, _lock) = directory::open_existing(dir)?;
    let summary = summary(&disk)?;
    if to.exists() {
        return Err(open_error(to, io::ErrorKind::AlreadyExists.into()));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    directory::empty_file(&new).map_err(|error| open_error(&new, error))?;
    let mut copy = Disk::open(Box::new(StoreFile::new(new.clone())))?;
    disk.copy_to(&mut copy)?;
    drop(copy);
    move_in(&new, to).map_err(|error| open_error(to, error))?;
    Ok(summary)
}

/// Puts a backup in the place of the store in a directory, which may be damaged or absent. What was there is kept beside it.
///
/// Nothing is changed if the backup is damaged.
pub fn restore(from: &Path, dir: &Path) -> Result<Summary, Error> {
    fs::create_dir_all(dir).map_err(|error| open_error(dir, error))?;
    let _lock = take_lock(dir)?;
    let (new, place) = (dir.join(NEW_FILE), dir.join(FILE));
    // A copy is opened, never the backup itself: opening may write.
    fs::copy(from, &new).map_err(|error| open_error(from, error))?;
    let found = check_copy(&new).inspect_err(|_| {
        // Only tidying: the next start makes the file anew.
        let _ = fs::remove_file(&new);
    });
    let summary = found.map_err(|error| Error { key: Some(from.display().to_string().into()), ..error })?;
    let moved = || {
        if place.exists() {
            fs::rename(&place, free_name(dir))?;
        }
        move_in(&new, &place)
    };
    moved().map_err(|error| open_error(&place, error))?;
    Ok(summary)
}

/// Checks a copy of a backup and moves its revision on.
fn check_copy(file: &Path) -> Result<Summary, Error> {
    let mut disk = Disk::open(Box::new(StoreFile::new(file.to_owned())))?;
    let found = summary(&disk)?;
    let revision = Revision(found.revision.0 + RESTORE_STEP);
    disk.write(&Step { head: Some(Head { compacted: revision, revision }), ..Step::default() })?;
    Ok(Summary { revision, compacted: revision, ..found })
}

fn summary(disk: &Disk) -> Result<Summary, Error> {
    if disk.head()?.is_none() {
        let why = io::Error::other("it is not a store");
        return Err(Error::new(ErrorKind::Corrupt).on(disk.name()).because(why));
    }
    let (view, mut feed) = View::new(Window::default(), Arc::new(AsStored));
    let _garbage = load::load(disk, &mut feed)?;
    Ok(Summary { objects: view.snapshot().len(), revision: view.revision(), compacted: view.compacted() })
}

/// Moves a whole file to its place, durably.
fn move_in(new: &Path, place: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, place)?;
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The name under which a replaced store is kept: the first that is free.
fn free_name(dir: &Path) -> PathBuf {
    let name = |n: u32| dir.join(format!("{FILE}.replaced-{n}"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}
