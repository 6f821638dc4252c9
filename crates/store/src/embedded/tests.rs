//! The embedded log: the contract on a file and in memory, the property test, and what may happen to a disk.

mod backup;
mod crash;
mod disk;
pub(super) mod platter;

use tempfile::TempDir;

use super::*;
use crate::testing::{Backend, claims, contract, contract_of_durable, contract_of_ticks, model};
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
        start(window, Arc::new(AsStored), Some((disk, None)), None)
    }
}

mod on_disk {
    use super::*;
    contract!(directory());
    contract_of_ticks!(directory());
    contract_of_durable!(directory());
    mod both {
        use super::*;
        claims! { directory(); restart: expiry_survives_a_restart; }
    }
}

mod in_memory {
    use super::*;
    contract!(Memory);
    contract_of_ticks!(Memory);
}

#[test]
fn memory_store_behaves_like_the_model() {
    model::behaves_like_the_model(150, model::Kind { durable: false, ticks: true }, || Memory);
}

#[test]
fn durable_store_behaves_like_the_model() {
    model::behaves_like_the_model(150, model::Kind { durable: true, ticks: true }, Platter::new);
}
