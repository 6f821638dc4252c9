//! The journal: the first pages of the store's file, where small steps are made durable by one write and one sync.
//!
//! A tree commit writes some seven scattered pages; a frame is one run of pages behind the last one. When a step does not fit, what the
//! journal holds and the step go into the tree in one transaction, which also moves the epoch on, and the pages are used again from the first.
//!
//! ```text
//!   page 0: magic | pages of the journal      then the journal      then the tree
//!   frame:  magic | crc32 of what follows | epoch | page | length | step, up to the end of a page
//! ```
//! Numbers are little-endian. A frame counts if it is of the tree's epoch and lies where it says. Frames are written one after the other,
//! each when the one before is durable, and no page is written twice in an epoch: so only the last can be torn, and a broken frame with a
//! whole one behind it is damage. The counterpart of etcd's `wal`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut};
use redb::StorageBackend;

use super::disk::Step;
use super::record::{Head, Place};
use crate::Revision;

const PAGE: usize = 4096;
/// Pages of a new journal. More would save little, and make whoever comes when it is full wait longer. Few in tests, so that short runs
/// fill it.
const PAGES: u32 = if cfg!(test) { 24 } else { 128 };
/// A step that takes more than this part of the journal costs less if it goes into the tree at once.
const PART: u32 = 4;
const FILE_MAGIC: &[u8; 8] = b"krabst\x01\n";
const FRAME_MAGIC: u32 = 0x6b72_6266;
/// Magic, checksum, epoch, page, length.
const FRAME_HEAD: usize = 4 + 4 + 8 + 4 + 4;
/// What the checksum does not cover.
const UNCHECKED: usize = 8;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it does not begin as a store does")]
    Foreign,
    #[error("page {0} of its journal is damaged")]
    Damaged(u32),
}

/// A part of the file as a file of its own. Remembers a failed sync.
#[derive(Clone, Debug)]
pub(super) struct Region {
    file: Arc<dyn StorageBackend>,
    begins: u64,
    sync_failed: Arc<AtomicBool>,
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    region: Region,
    pages: u32,
    epoch: u64,
    /// The page behind the last frame.
    next: u32,
}

/// A step as it was read back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) records: Vec<(Place, Vec<u8>)>,
    pub(super) remove: Vec<Place>,
    pub(super) head: Option<Head>,
}

/// Opens a file: its journal, not yet read, and the region of its tree. An empty file becomes a store.
pub(super) fn open(file: Box<dyn StorageBackend>, sync_failed: &Arc<AtomicBool>) -> Result<(Journal, Region), Error> {
    let whole = Region { file: file.into(), begins: 0, sync_failed: sync_failed.clone() };
    if whole.len()? == 0 {
        format(&whole)?;
    }
    let mut head = [0; FILE_MAGIC.len() + 4];
    if whole.len()? < PAGE as u64 {
        return Err(Error::Foreign);
    }
    whole.read(0, &mut head)?;
    let pages = head.strip_prefix(FILE_MAGIC).map(|mut rest| rest.get_u32_le()).ok_or(Error::Foreign)?;
    let end = at(pages) + PAGE as u64;
    if pages == 0 || whole.len()? < end {
        return Err(Error::Foreign);
    }
    let journal = Journal { region: whole.from(PAGE as u64), pages, epoch: 0, next: 0 };
    Ok((journal, whole.from(end)))
}

/// Takes the space, so that frames find it.
fn format(whole: &Region) -> io::Result<()> {
    let mut first = Vec::with_capacity(PAGE * (PAGES as usize + 1));
    first.extend_from_slice(FILE_MAGIC);
    first.put_u32_le(PAGES);
    first.resize(first.capacity(), 0);
    whole.set_len(first.len() as u64)?;
    whole.write(0, &first)?;
    whole.sync_data()
}

impl Journal {
    /// Reads what there is of an epoch: what the tree does not have yet.
    pub(super) fn read(&mut self, epoch: u64) -> Result<Vec<Owned>, Error> {
        self.epoch = epoch;
        self.next = 0;
        let mut pages = vec![0; PAGE * self.pages as usize];
        self.region.read(0, &mut pages)?;
        let mut steps = Vec::new();
        while let Some((step, length)) = self.frame(&pages, self.next) {
            steps.push(step.ok_or(Error::Damaged(self.next))?);
            self.next += length;
        }
        // A torn frame is the last one.
        match (self.next..self.pages).find(|page| self.frame(&pages, *page).is_some()) {
            Some(_) => Err(Error::Damaged(self.next)),
            None => Ok(steps),
        }
    }

    /// The whole frame at a page, and how many pages it has; its step is none if it makes no sense.
    fn frame(&self, pages: &[u8], page: u32) -> Option<(Option<Owned>, u32)> {
        let bytes = pages.get(PAGE * page as usize..).filter(|bytes| !bytes.is_empty())?;
        let mut head = bytes;
        let (magic, checksum, epoch) = (head.get_u32_le(), head.get_u32_le(), head.get_u64_le());
        let (said, length) = (head.get_u32_le(), head.get_u32_le() as usize);
        let checked = bytes.get(UNCHECKED..FRAME_HEAD + length)?;
        let whole = (magic, epoch, said) == (FRAME_MAGIC, self.epoch, page) && checksum == crc32fast::hash(checked);
        whole.then(|| (Owned::decode(&checked[FRAME_HEAD - UNCHECKED..]), pages_of(FRAME_HEAD + length)))
    }

    /// Makes a step durable; false, and nothing has happened, if it is too large.
    pub(super) fn append(&mut self, step: &Step<'_>) -> io::Result<bool> {
        let length = step.encoded_len();
        let pages = pages_of(FRAME_HEAD + length);
        let room = (self.pages - self.next).min(self.pages / PART);
        let (Ok(length), true) = (u32::try_from(length), pages <= room) else { return Ok(false) };
        let mut frame = Vec::with_capacity(PAGE * pages as usize);
        frame.put_u32_le(FRAME_MAGIC);
        frame.put_u32_le(0);
        frame.put_u64_le(self.epoch);
        frame.put_u32_le(self.next);
        frame.put_u32_le(length);
        step.encode(&mut frame);
        let checksum = crc32fast::hash(&frame[UNCHECKED..]);
        frame[4..UNCHECKED].copy_from_slice(&checksum.to_le_bytes());
        frame.resize(frame.capacity(), 0);
        self.region.write(at(self.next), &frame)?;
        self.region.sync_data()?;
        self.next += pages;
        Ok(true)
    }

    /// The epoch whose frames count.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// True if the tree has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The tree has everything and is at the next epoch.
    pub(super) fn begin_anew(&mut self) {
        self.epoch += 1;
        self.next = 0;
    }
}

fn at(page: u32) -> u64 {
    u64::from(page) * PAGE as u64
}

/// More than any journal has if there is no such number.
fn pages_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX)
}

const PLACE: usize = 8 + 4;

impl Step<'_> {
    fn encoded_len(&self) -> usize {
        let records: usize = self.records.iter().map(|(_, bytes)| PLACE + 4 + bytes.len()).sum();
        4 + records + 4 + self.remove.len() * PLACE + self.head.map_or(0, |head| head.encode().len())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32_le(count(self.records.len()));
        for (place, bytes) in self.records {
            put_place(out, *place);
            out.put_u32_le(count(bytes.len()));
            out.put_slice(bytes);
        }
        out.put_u32_le(count(self.remove.len()));
        self.remove.iter().for_each(|place| put_place(out, *place));
        if let Some(head) = &self.head {
            out.put_slice(&head.encode());
        }
    }
}

/// The frame's length, which is larger, was found to fit.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn put_place(out: &mut Vec<u8>, place: Place) {
    out.put_u64_le(place.revision.0);
    out.put_u32_le(place.index);
}

impl Owned {
    fn decode(mut bytes: &[u8]) -> Option<Owned> {
        let mut step = Owned::default();
        for _ in 0..bytes.try_get_u32_le().ok()? {
            let place = place(&mut bytes)?;
            let length = bytes.try_get_u32_le().ok()? as usize;
            let (record, rest) = bytes.split_at_checked(length)?;
            step.records.push((place, record.to_vec()));
            bytes = rest;
        }
        for _ in 0..bytes.try_get_u32_le().ok()? {
            step.remove.push(place(&mut bytes)?);
        }
        if !bytes.is_empty() {
            step.head = Some(Head::decode(bytes).ok()?);
        }
        Some(step)
    }

    pub(super) fn borrowed(&self) -> Step<'_> {
        Step { records: &self.records, remove: &self.remove, head: self.head }
    }
}

fn place(bytes: &mut &[u8]) -> Option<Place> {
    let revision = Revision(bytes.try_get_u64_le().ok()?);
    Some(Place { revision, index: bytes.try_get_u32_le().ok()? })
}

impl Region {
    fn from(&self, begins: u64) -> Region {
        Region { begins, ..self.clone() }
    }
}

impl StorageBackend for Region {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len()?.saturating_sub(self.begins))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(self.begins + offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(self.begins + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| self.sync_failed.store(true, Ordering::Relaxed))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(self.begins + offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::tests::platter::Platter;

    fn journal(platter: &Platter) -> Journal {
        open(Box::new(platter.clone()), &Arc::default()).unwrap().0
    }

    fn step(n: u64, bytes: usize) -> Owned {
        let place = Place { revision: Revision(n), index: 1 };
        let head = n.is_multiple_of(2).then_some(Head { compacted: Revision(n), revision: Revision(n + 1) });
        Owned { records: vec![(place, vec![7; bytes]), (place, vec![])], remove: vec![place; 3], head }
    }

    #[test]
    fn frames_come_back_until_the_epoch_moves_on() {
        let platter = Platter::new();
        let mut written = journal(&platter);
        assert_eq!(written.read(5).unwrap(), []);
        let steps = [step(1, 10), step(2, 3 * PAGE), step(3, PAGE - 100)];
        assert!(steps.iter().all(|step| written.append(&step.borrowed()).unwrap()));
        assert!(!written.append(&step(4, PAGE * PAGES as usize).borrowed()).unwrap(), "does not fit");
        let mut again = journal(&platter);
        assert_eq!(again.read(5).unwrap(), steps);
        again.begin_anew();
        assert!(again.append(&step(9, 1).borrowed()).unwrap());
        assert_eq!(journal(&platter).read(6).unwrap(), [step(9, 1)]);
        assert_eq!(journal(&platter).read(7).unwrap(), []);
    }

    #[test]
    fn a_torn_end_is_no_damage_and_a_broken_frame_before_others_is() {
        let platter = Platter::new();
        let mut written = journal(&platter);
        written.read(1).unwrap();
        for n in 1..4 {
            assert!(written.append(&step(n, PAGE).borrowed()).unwrap());
        }
        let image = platter.bytes();
        // Each frame has two pages; the first page of the file is its head.
        let broken = |frame: usize| {
            let mut image = image.clone();
            image[PAGE * (1 + 2 * frame) + 100] ^= 1;
            journal(&Platter::with(image)).read(1)
        };
        assert_eq!(broken(2).unwrap(), [step(1, PAGE), step(2, PAGE)]);
        for frame in 0..2 {
            assert!(matches!(broken(frame), Err(Error::Damaged(page)) if page as usize == 2 * frame));
        }
    }
}
