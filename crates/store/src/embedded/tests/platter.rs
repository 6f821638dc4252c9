//! A disk in memory that can be full, fail to sync, and lose what was not synced.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use crate::embedded::disk::Medium;

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter(Arc<Mutex<Surface>>);

#[derive(Debug, Default)]
struct Surface {
    /// What the operating system would show.
    live: Vec<u8>,
    /// What is left after a power failure, not counting `unsynced`.
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    /// Blocks that take space; a file has holes.
    allocated: HashSet<u64>,
    /// How many there are.
    blocks: Option<usize>,
    sync_fails: bool,
}

#[derive(Clone, Debug)]
enum Write {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Platter {
    pub(super) fn new() -> Platter {
        Platter::default()
    }

    /// No more space than is used now and `more` blocks; `None`: without limit again.
    pub(super) fn limit(&self, more: Option<usize>) {
        let mut surface = self.0.lock().unwrap();
        surface.blocks = more.map(|more| surface.allocated.len() + more);
    }

    pub(super) fn fail_sync(&self) {
        self.0.lock().unwrap().sync_fails = true;
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().live.clone()
    }

    /// A disk with these contents, synced.
    pub(super) fn with(bytes: Vec<u8>) -> Platter {
        let surface = Surface { live: bytes.clone(), synced: bytes, ..Surface::default() };
        Platter(Arc::new(Mutex::new(surface)))
    }

    /// What a power failure now may leave: of the writes since the last sync, any sectors in any order, as `coin` falls.
    pub(super) fn after_power_failure(&self, mut coin: impl FnMut() -> bool) -> Platter {
        let surface = self.0.lock().unwrap();
        let mut left = surface.synced.clone();
        for write in &surface.unsynced {
            match write {
                Write::Length(length) => {
                    if coin() {
                        left.resize(*length, 0);
                    }
                }
                Write::Bytes(at, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = at + n * SECTOR;
                        if coin() {
                            left.resize(left.len().max(at + sector.len()), 0);
                            left[at..at + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        Platter::with(left)
    }
}

impl Medium for Platter {
    fn name(&self) -> &str {
        "/platter/store.redb"
    }

    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.clone()))
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let surface = self.0.lock().unwrap();
        let found = surface.live.get(index(offset)..index(offset) + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut surface = self.0.lock().unwrap();
        surface.live.resize(index(len), 0);
        surface.unsynced.push(Write::Length(index(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut surface = self.0.lock().unwrap();
        if surface.sync_fails {
            return Err(io::Error::other("input/output error"));
        }
        for write in std::mem::take(&mut surface.unsynced) {
            match write {
                Write::Length(length) => surface.synced.resize(length, 0),
                Write::Bytes(at, bytes) => surface.synced[at..at + bytes.len()].copy_from_slice(&bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut surface = self.0.lock().unwrap();
        for block in offset / BLOCK..=(offset + data.len() as u64 - 1) / BLOCK {
            if !surface.allocated.contains(&block) {
                if surface.blocks.is_some_and(|blocks| surface.allocated.len() >= blocks) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                surface.allocated.insert(block);
            }
        }
        let at = index(offset);
        if surface.live.len() < at + data.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        surface.live[at..at + data.len()].copy_from_slice(data);
        surface.unsynced.push(Write::Bytes(at, data.to_vec()));
        Ok(())
    }
}
