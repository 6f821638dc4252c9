//! `application/cbor`: JSON values from and into CBOR, as upstream's clients write and read it.
//!
//! [`encode`] writes strings as byte strings, numbers in their shortest form and the self-description tag in front;
//! [`encode_sorted`] makes the same bytes of the same value.
//! [`decode`] takes any well-formed item that has a JSON form: text or byte strings, definite or indefinite lengths, bytes
//! tagged for base64. Nothing is allocated on the word of a length; nesting is bounded like JSON's.
//! What the object is, is none of this module's business: the value goes through [`crate::decode::normalize`].
//! Upstream: runtime/serializer/cbor.

mod read;
#[cfg(test)]
mod tests;

use json::{Number, Value};

pub use read::{Error, decode, decode_first};

/// Tag 55799, "what follows is CBOR": the first bytes of every body.
pub const MAGIC: &[u8] = &[0xd9, 0xd9, 0xf7];

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

const FALSE: u8 = 20;
const TRUE: u8 = 21;
const NULL: u8 = 22;
const FLOAT16: u8 = 25;
const FLOAT32: u8 = 26;
const FLOAT64: u8 = 27;

/// A value as a body.
pub fn encode(value: &Value) -> Vec<u8> {
    whole(value, Order::Given)
}

/// A value as it is stored. Upstream: modes.Encode, which is deterministic.
pub fn encode_sorted(value: &Value) -> Vec<u8> {
    whole(value, Order::Sorted)
}

/// Of the members of maps.
#[derive(Clone, Copy)]
enum Order {
    Given,
    /// By the bytes of their keys, whose length comes first.
    Sorted,
}

fn whole(value: &Value, order: Order) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(MAGIC);
    write(&mut out, value, order);
    out
}

fn write(out: &mut Vec<u8>, value: &Value, order: Order) {
    match value {
        Value::Null => head(out, SIMPLE, NULL.into()),
        Value::Bool(flag) => head(out, SIMPLE, if *flag { TRUE } else { FALSE }.into()),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            head(out, ARRAY, items.len() as u64);
            items.iter().for_each(|item| write(out, item, order));
        }
        Value::Object(members) => {
            head(out, MAP, members.len() as u64);
            let mut members: Vec<_> = members.iter().collect();
            if matches!(order, Order::Sorted) {
                members.sort_unstable_by(|(a, _), (b, _)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
            }
            for (key, member) in members {
                write_string(out, key);
                write(out, member, order);
            }
        }
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    head(out, BYTES, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => head(out, UNSIGNED, positive),
        (None, Some(negative)) => head(out, NEGATIVE, !negative.cast_unsigned()),
        (None, None) => write_float(out, number.as_f64().unwrap_or_default()),
    }
}

/// In the smallest width that keeps the value.
fn write_float(out: &mut Vec<u8>, float: f64) {
    let single = float as f32;
    if f64::from(single).to_bits() != float.to_bits() {
        out.push(SIMPLE << 5 | FLOAT64);
        out.extend_from_slice(&float.to_be_bytes());
    } else if let Some(half) = half_of(single) {
        out.push(SIMPLE << 5 | FLOAT16);
        out.extend_from_slice(&half.to_be_bytes());
    } else {
        out.push(SIMPLE << 5 | FLOAT32);
        out.extend_from_slice(&single.to_be_bytes());
    }
}

/// The float in sixteen bits, if it has such a form. Subnormal ones are left to the wider forms that hold them as well.
fn half_of(float: f32) -> Option<u16> {
    let bits = float.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let (exponent, fraction) = ((bits >> 23) as i32 & 0xff, bits & 0x7f_ffff);
    match exponent - 127 {
        _ if bits << 1 == 0 => Some(sign),
        exponent @ -14..=15 if fraction & 0x1fff == 0 => {
            Some(sign | ((exponent + 15) as u16) << 10 | (fraction >> 13) as u16)
        }
        _ => None,
    }
}

/// The first bytes of an item: its major type, and a number in the shortest form.
fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}
