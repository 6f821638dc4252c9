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
pub(in crate::embedded) struct Platter(Arc<Mutex<Surface>>);

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
    /// Makes images of power failures in the middle of a sync.
    failures: Option<Failures>,
}

/// Where the power could have failed.
#[derive(Debug)]
struct Failures {
    coin: Coin,
    /// How many commits were acknowledged then, and what was left.
    images: Vec<(usize, Vec<u8>)>,
    acknowledged: usize,
}

/// A fixed sequence of coin tosses and numbers.
#[derive(Clone, Debug)]
pub(super) struct Coin(pub(super) u64);

impl Coin {
    /// splitmix64
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number()).unwrap() % limit
    }

    fn toss(&mut self) -> bool {
        self.number().is_multiple_of(2)
    }
}

#[derive(Clone, Debug)]
enum Write {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Platter {
    pub(in crate::embedded) fn new() -> Platter {
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

    pub(in crate::embedded) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().live.clone()
    }

    /// A disk with these contents, synced.
    pub(in crate::embedded) fn with(bytes: Vec<u8>) -> Platter {
        let surface = Surface { live: bytes.clone(), synced: bytes, ..Surface::default() };
        Platter(Arc::new(Mutex::new(surface)))
    }

    /// From now on, each sync leaves an image of the power failing in the middle of it.
    pub(super) fn record_power_failures(&self, coin: Coin) {
        self.0.lock().unwrap().failures = Some(Failures { coin, images: Vec::new(), acknowledged: 0 });
    }

    pub(super) fn acknowledged(&self, commits: usize) {
        self.0.lock().unwrap().failures.as_mut().unwrap().acknowledged = commits;
    }

    /// The disks that power failures have left, with what had been acknowledged by then.
    pub(super) fn power_failures(&self) -> Vec<(usize, Platter)> {
        let images = std::mem::take(&mut self.0.lock().unwrap().failures.as_mut().unwrap().images);
        images.into_iter().map(|(acknowledged, image)| (acknowledged, Platter::with(image))).collect()
    }
}

impl Surface {
    /// Of the writes since the last sync, any sectors in any order have reached the disk.
    fn fail_power(&mut self) {
        let Some(failures) = &mut self.failures else { return };
        let mut left = self.synced.clone();
        for write in &self.unsynced {
            match write {
                Write::Length(length) if failures.coin.toss() => left.resize(*length, 0),
                Write::Length(_) => {}
                Write::Bytes(at, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = at + n * SECTOR;
                        if failures.coin.toss() {
                            left.resize(left.len().max(at + sector.len()), 0);
                            left[at..at + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        failures.images.push((failures.acknowledged, left));
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
        surface.fail_power();
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
