//! The form of a record on disk.
//!
//! Every change is one record, filed under its place: revision and number within the commit. That is all there is on disk: the records of
//! live objects and those of the window. A record names the place of the one it supersedes; when it leaves the window that one is removed
//! (and a deletion, which has nothing more to say then, itself). Values are thus written once.
//!
//! ```text
//!   crc32 (of the place and the rest) | kind | create revision | version | superseded place | expiry | key length | key | value
//! ```
//! Numbers are little-endian. The record at place (0, 0) is the [`Head`].

use std::sync::Arc;

use bytes::Bytes;

use crate::{Revision, Timestamp};

/// The revision of a commit and the number of the operation in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) revision: Revision,
    pub(super) index: u32,
}

impl Place {
    /// Of the head; as the superseded place: none.
    pub(super) const ZERO: Place = Place { revision: Revision::ZERO, index: 0 };
}

/// What is known of a key without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) place: Place,
    pub(super) create_revision: Revision,
    pub(super) version: u64,
}

/// A change as read from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) meta: Meta,
    /// `ZERO` if the key was absent before.
    pub(super) superseded: Place,
    pub(super) expires: Option<Timestamp>,
    pub(super) key: Arc<str>,
    /// None: a deletion.
    pub(super) value: Option<Bytes>,
}

/// The facts that are not in any record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// History before it is given up.
    pub(super) compacted: Revision,
    /// The store had reached it; the newest record may have been removed.
    pub(super) revision: Revision,
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Damage {
    #[error("record {0:?} is cut short")]
    Short(Place),
    #[error("record {0:?} does not match its checksum")]
    Checksum(Place),
    #[error("record {0:?} is of an unknown kind ({1}): written by a newer version?")]
    Kind(Place, u8),
    #[error("record {0:?} has a key that is not UTF-8")]
    Key(Place),
    #[error("record {0:?} does not follow from the ones before it")]
    Chain(Place),
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
/// The number is the version of the whole format.
const HEAD: u8 = 0x81;
const CRC: usize = 4;

/// A change to be encoded; borrows what a [`Record`] owns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'a> {
    pub(super) meta: Meta,
    pub(super) superseded: Place,
    pub(super) expires: Option<Timestamp>,
    pub(super) key: &'a str,
    pub(super) value: Option<&'a [u8]>,
}

impl Draft<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let value = self.value.unwrap_or_default();
        let mut bytes = Vec::with_capacity(CRC + 41 + self.key.len() + value.len());
        bytes.extend([0; CRC]);
        bytes.push(if self.value.is_some() { PUT } else { DELETE });
        bytes.extend(self.meta.create_revision.0.to_le_bytes());
        bytes.extend(self.meta.version.to_le_bytes());
        bytes.extend(self.superseded.revision.0.to_le_bytes());
        bytes.extend(self.superseded.index.to_le_bytes());
        // 0 is none, everything else is one more than it means.
        bytes.extend(self.expires.map_or(0, |at| at.0.saturating_add(1)).to_le_bytes());
        let key_len =
            u32::try_from(self.key.len()).expect("keys are checked to be shorter when a transaction is planned");
        bytes.extend(key_len.to_le_bytes());
        bytes.extend(self.key.as_bytes());
        bytes.extend(value);
        seal(self.meta.place, bytes)
    }
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; CRC];
        bytes.push(HEAD);
        bytes.extend(self.compacted.0.to_le_bytes());
        bytes.extend(self.revision.0.to_le_bytes());
        seal(Place::ZERO, bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Head, Damage> {
        let mut read = Reader::open(Place::ZERO, bytes)?;
        match read.u8()? {
            HEAD => Ok(Head { compacted: Revision(read.u64()?), revision: Revision(read.u64()?) }),
            kind => Err(Damage::Kind(Place::ZERO, kind)),
        }
    }
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Record { meta, superseded, expires, key, value } = self;
        let (meta, superseded, expires) = (*meta, *superseded, *expires);
        Draft { meta, superseded, expires, key, value: value.as_deref() }.encode()
    }

    pub(super) fn decode(place: Place, bytes: &[u8]) -> Result<Record, Damage> {
        let mut read = Reader::open(place, bytes)?;
        let kind = read.u8()?;
        if kind != PUT && kind != DELETE {
            return Err(Damage::Kind(place, kind));
        }
        let create_revision = Revision(read.u64()?);
        let version = read.u64()?;
        let superseded = Place { revision: Revision(read.u64()?), index: read.u32()? };
        let expires = read.u64()?.checked_sub(1).map(Timestamp);
        let key_len = usize::try_from(read.u32()?).map_err(|_| Damage::Short(place))?;
        let key = std::str::from_utf8(read.take(key_len)?).map_err(|_| Damage::Key(place))?.into();
        let value = (kind == PUT).then(|| Bytes::copy_from_slice(read.rest));
        Ok(Record { meta: Meta { place, create_revision, version }, superseded, expires, key, value })
    }
}

fn checksum(place: Place, body: &[u8]) -> [u8; CRC] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.revision.0.to_le_bytes());
    hasher.update(&place.index.to_le_bytes());
    hasher.update(body);
    hasher.finalize().to_le_bytes()
}

fn seal(place: Place, mut bytes: Vec<u8>) -> Vec<u8> {
    let (crc, body) = bytes.split_at_mut(CRC);
    crc.copy_from_slice(&checksum(place, body));
    bytes
}

struct Reader<'a> {
    place: Place,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn open(place: Place, bytes: &'a [u8]) -> Result<Reader<'a>, Damage> {
        let (crc, rest) = bytes.split_at_checked(CRC).ok_or(Damage::Short(place))?;
        if crc != checksum(place, rest) {
            return Err(Damage::Checksum(place));
        }
        Ok(Reader { place, rest })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Damage::Short(self.place))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.take(N)?.try_into().map_err(|_| Damage::Short(self.place))
    }

    fn u8(&mut self) -> Result<u8, Damage> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
