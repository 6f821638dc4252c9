//! CBOR items into JSON values.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use json::{Map, Number, Value};

use super::{ARRAY, BYTES, FALSE, FLOAT16, FLOAT32, FLOAT64, MAP, NEGATIVE, NULL, TAG, TEXT, TRUE, UNSIGNED};
use crate::decode::MAX_DEPTH;

/// Head of an item whose length is told by a break behind it.
const INDEFINITE: u8 = 31;
const BREAK: u8 = 0xff;

const TAG_TIME: u64 = 0;
const TAG_EPOCH: u64 = 1;
const TAG_BIG: u64 = 2;
const TAG_BIG_NEGATIVE: u64 = 3;
const TAG_BASE64_URL: u64 = 21;
const TAG_BASE64: u64 = 22;
const TAG_BASE16: u64 = 23;

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within an item.
    #[error("unexpected EOF")]
    Truncated,
    /// More than one item.
    #[error("cbor: {0} bytes of extraneous data starting at index {1}")]
    Extraneous(usize, usize),
    /// A head no item begins with, a break where none may be.
    #[error("cbor: invalid additional information {0} for major type {1}")]
    Malformed(u8, u8),
    /// Text that is no UTF-8.
    #[error("cbor: invalid UTF-8 string")]
    Utf8,
    /// The same key twice.
    #[error("cbor: found duplicate map key {} at map element index {}", crate::go_text::quote(.0), .1)]
    Duplicate(String, usize),
    /// What JSON has no form for: NaN, big numbers, other simple values, keys that are no strings.
    #[error("cbor: cannot unmarshal {0}")]
    NoForm(&'static str),
    /// Too deep.
    #[error("cbor: exceeded max nested level {MAX_DEPTH}")]
    TooDeep,
}

/// The one value the bytes hold.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let (value, length) = decode_first(bytes)?;
    match bytes.len() - length {
        0 => Ok(value),
        more => Err(Error::Extraneous(more, length)),
    }
}

/// The first value of a sequence, and how many bytes it takes.
pub fn decode_first(bytes: &[u8]) -> Result<(Value, usize), Error> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The first bytes of an item.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    info: u8,
    /// None for an indefinite length.
    number: Option<u64>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let length = usize::try_from(length).map_err(|_| Error::Truncated)?;
        let end = self.at.checked_add(length).ok_or(Error::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(Error::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn head(&mut self) -> Result<Head, Error> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        let number = match info {
            0..=23 => Some(info.into()),
            24..=27 => {
                let digits = self.take(1 << (info - 24))?;
                Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
            }
            INDEFINITE if matches!(major, BYTES | TEXT | ARRAY | MAP) => None,
            _ => return Err(Error::Malformed(info, major)),
        };
        Ok(Head { major, info, number })
    }

    /// Is this the end of an item of indefinite length?
    fn at_break(&mut self) -> bool {
        let found = self.bytes.get(self.at) == Some(&BREAK);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let head = self.head()?;
        match head.major {
            UNSIGNED | NEGATIVE => integer(head),
            BYTES | TEXT => self.text(head).map(Value::from),
            ARRAY => self.array(head, depth),
            MAP => self.map(head, depth),
            TAG => self.tagged(head.number.unwrap_or_default(), depth),
            _ => simple(head),
        }
    }

    /// A string of either type. Bytes need not be UTF-8, text must.
    fn text(&mut self, head: Head) -> Result<String, Error> {
        let bytes = self.string(head)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) if head.major == TEXT => Err(Error::Utf8),
            Err(invalid) => Ok(String::from_utf8_lossy(invalid.as_bytes()).into_owned()),
        }
    }

    fn string(&mut self, head: Head) -> Result<Vec<u8>, Error> {
        if let Some(length) = head.number {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut joined = Vec::new();
        while !self.at_break() {
            let chunk = self.head()?;
            match chunk.number {
                Some(length) if chunk.major == head.major => joined.extend_from_slice(self.take(length)?),
                _ => return Err(Error::Malformed(chunk.info, chunk.major)),
            }
        }
        Ok(joined)
    }

    fn array(&mut self, head: Head, depth: usize) -> Result<Value, Error> {
        let mut items = Vec::new();
        while !self.is_over(head, items.len()) {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    /// Members come in any order; as upstream's maps they are sorted when they are written again.
    fn map(&mut self, head: Head, depth: usize) -> Result<Value, Error> {
        let mut members = Map::new();
        while !self.is_over(head, members.len()) {
            let key = self.head()?;
            if !matches!(key.major, BYTES | TEXT) {
                return Err(Error::NoForm("a map key that is no string"));
            }
            let key = self.text(key)?;
            if members.contains_key(&key) {
                return Err(Error::Duplicate(key, members.len()));
            }
            let member = self.value(depth + 1)?;
            members.insert(key, member);
        }
        members.sort_keys();
        Ok(Value::Object(members))
    }

    fn is_over(&mut self, head: Head, seen: usize) -> bool {
        match head.number {
            Some(count) => seen as u64 >= count,
            None => self.at_break(),
        }
    }

    fn tagged(&mut self, tag: u64, depth: usize) -> Result<Value, Error> {
        match tag {
            TAG_BIG | TAG_BIG_NEGATIVE => Err(Error::NoForm("a bignum")),
            TAG_BASE64_URL | TAG_BASE64 | TAG_BASE16 => {
                let start = self.at;
                let head = self.head()?;
                if head.major != BYTES {
                    self.at = start;
                    return self.value(depth + 1);
                }
                let bytes = self.string(head)?;
                Ok(Value::String(match tag {
                    TAG_BASE64_URL => URL_SAFE_NO_PAD.encode(bytes).into(),
                    TAG_BASE64 => STANDARD.encode(bytes).into(),
                    _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                }))
            }
            TAG_EPOCH => {
                let seconds = self.value(depth + 1)?;
                let nanoseconds = seconds.as_f64().map(|seconds| (seconds * 1e9) as i128);
                let time = nanoseconds.and_then(|nanoseconds| Timestamp::from_nanosecond(nanoseconds).ok());
                time.map(|time| time.to_string().into()).ok_or(Error::NoForm("a time that is none"))
            }
            TAG_TIME => match self.value(depth + 1)? {
                Value::String(text) if crate::meta::time::parse(&text).is_some() => Ok(text.into()),
                _ => Err(Error::NoForm("a time that is none")),
            },
            _ => self.value(depth + 1),
        }
    }
}

/// Whole numbers are those of 64 bits with a sign.
fn integer(head: Head) -> Result<Value, Error> {
    let number = i64::try_from(head.number.unwrap_or_default());
    let number = number.map_err(|_| Error::NoForm("an integer of more than 64 bits"))?;
    Ok(if head.major == NEGATIVE { !number } else { number }.into())
}

fn simple(head: Head) -> Result<Value, Error> {
    let bits = head.number.unwrap_or_default();
    let float = match head.info {
        FALSE => return Ok(false.into()),
        TRUE => return Ok(true.into()),
        NULL => return Ok(Value::Null),
        FLOAT16 => double_of(bits as u16),
        FLOAT32 => f32::from_bits(bits as u32).into(),
        FLOAT64 => f64::from_bits(bits),
        _ => return Err(Error::NoForm("a simple value that JSON does not have")),
    };
    // NaN and the infinities are no numbers to JSON.
    Number::from_f64(float).map(Value::Number).ok_or(Error::NoForm("a float that is no number"))
}

/// A float of sixteen bits.
fn double_of(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}
