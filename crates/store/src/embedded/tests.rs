//! The embedded log: the contract on a file and in memory, the property test, and what may happen to a disk.

mod backup;
mod crash;
mod disk;
mod platter;

use tempfile::TempDir;

use super::*;
use crate::testing::{Backend, contract, contract_of_durable, model};
use platter::Platter;

/// A store in a directory that goes away with the test.
struct Directory(TempDir);

impl Backend for Directory {
    fn open(&self, window: Window) -> Result<Store, Error> {
        open(Config { window, ..Config::new(self.0.path()) })
    }
}

fn directory() -> Directory {
    Directory(TempDir::new().unwrap())
}

struct Memory;

impl Backend for Memory {
    fn open(&self, window: Window) -> Result<Store, Error> {
        memory(window, Arc::new(AsStored))
    }
}

impl Backend for Platter {
    fn open(&self, window: Window) -> Result<Store, Error> {
        let disk = Disk::open(Box::new(self.clone()))?;
        start(window, Arc::new(AsStored), Some((disk, None)))
    }
}

mod on_disk {
    use super::*;
    contract!(directory());
    contract_of_durable!(directory());
}

mod in_memory {
    use super::*;
    contract!(Memory);
}

#[test]
fn memory_store_behaves_like_the_model() {
    model::behaves_like_the_model(150, false, || Memory);
}

#[test]
fn durable_store_behaves_like_the_model() {
    model::behaves_like_the_model(150, true, Platter::new);
}
