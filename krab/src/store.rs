//! `krab store check|backup|restore`: the embedded store of a server that is not running; `check` reads an etcd, too.

#![allow(clippy::print_stdout, reason = "this is the command's answer to its user")]

use std::path::{Path, PathBuf};

use ::store::Error;
use ::store::embedded::{self, Summary};
use anyhow::{Context, Result, ensure};
use component::flags::{Flag, FlagSet};

use crate::migrate;
use crate::storage::{self, Storage};

pub(crate) fn check_flags() -> Vec<Flag> {
    [&[DATA_DIR, HELP], storage::FLAGS].concat()
}

pub(crate) fn backup_flags() -> Vec<Flag> {
    vec![DATA_DIR, Flag::text("to", "", "the file to write, which must not exist"), HELP]
}

pub(crate) fn restore_flags() -> Vec<Flag> {
    vec![DATA_DIR, Flag::text("from", "", "a file that `krab store backup` wrote"), HELP]
}

pub(crate) const DATA_DIR: Flag =
    Flag::text("data-dir", "", "the server's data directory (default as for krab server)");
pub(crate) const HELP: Flag = Flag::switch("help", "this text");

/// Reads every record; of an etcd, every object.
pub(crate) fn check(flags: FlagSet) -> Result<()> {
    let storage = Storage::new(&flags)?;
    let Storage::Etcd(config) = &storage else { return report("is sound", &folder(&flags), embedded::check) };
    let store = migrate::blocking(storage.open())?;
    let state = store.snapshot();
    let mut unreadable = 0;
    for object in state.unreadable("") {
        println!("{} cannot be read (revision {}): {}", object.key, object.mod_revision, object.reason);
        unreadable += 1;
    }
    ensure!(unreadable == 0, "{unreadable} objects cannot be read; {} can", state.len());
    println!(
        "The store in {} is sound: {} objects at revision {}",
        config.endpoints.join(","),
        state.len(),
        state.revision()
    );
    Ok(())
}

/// Copies the store to a file.
pub(crate) fn backup(flags: FlagSet) -> Result<()> {
    let to = PathBuf::from(flags.optional("to").context("--to FILE is needed")?);
    report("is saved", &folder(&flags), |dir| embedded::backup(dir, &to))
}

/// Puts a backup in the store's place; what was there is kept beside it.
pub(crate) fn restore(flags: FlagSet) -> Result<()> {
    let from = PathBuf::from(flags.optional("from").context("--from FILE is needed")?);
    report("is restored", &folder(&flags), |dir| embedded::restore(&from, dir))
}

fn folder(flags: &FlagSet) -> PathBuf {
    crate::server::data_dir(flags).join("store")
}

fn report(what: &str, dir: &Path, work: impl FnOnce(&Path) -> Result<Summary, Error>) -> Result<()> {
    let summary = work(dir)?;
    println!("The store in {} {what}: {} objects at revision {}", dir.display(), summary.objects, summary.revision.0);
    Ok(())
}
