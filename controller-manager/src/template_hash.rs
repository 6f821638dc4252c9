//! Stable hashes of templates, for generated names and labels.
//!
//! Upstream hashes a Go-specific dump of the struct (FNV-1a, 32 bit) and writes the number in an alphabet without vowels.
//! That dump cannot be reproduced outside Go, and need not be: controllers find their objects by comparing templates, the
//! hash only makes names deterministic. Here the hashed bytes are the template's canonical JSON (keys sorted, no nulls),
//! so a ReplicaSet made by upstream is recognised and kept, and one made here is kept by upstream.
//!
//! Upstream: controller.ComputeHash, rand.SafeEncodeString.

use serde::Serialize;
use serde_json::Value;

use crate::engine::to_value;

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The hash of `template`, different for each `collision_count`.
pub(crate) fn compute<T: Serialize>(template: &T, collision_count: Option<i32>) -> String {
    let mut bytes = Vec::new();
    canonical(&to_value(template), &mut bytes);
    if let Some(count) = collision_count {
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    safe_encode(&fnv1a(&bytes).to_string())
}

/// Upstream: rand.SafeEncodeString.
pub(crate) fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect()
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
            keys.sort();
            out.push(b'{');
            for key in keys {
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
                canonical(&map[key], out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter_and_collisions_do() {
        let a = compute(&json!({"a": 1, "b": [true, "x"]}), None);
        assert_eq!(a, compute(&json!({"b": [true, "x"], "a": 1, "c": null}), None));
        assert_ne!(a, compute(&json!({"a": 1, "b": ["x", true]}), None));
        assert_ne!(a, compute(&json!({"a": 1, "b": [true, "x"]}), Some(1)));
    }

    #[test]
    fn hash_is_written_without_vowels() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
    }
}
