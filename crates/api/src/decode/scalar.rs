//! Numbers, bytes and quantities as Go reads and writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Number, Value};

use super::node::Node;
use crate::quantity::Quantity;
use crate::schema::Type;

/// The number if it fits the Go type. Integers take no fraction and no exponent, even an integral one.
pub(super) fn integer_or_float(text: &str, r#type: &Type) -> Option<Value> {
    match r#type {
        Type::Int32 => text.parse::<i32>().ok().map(Value::from),
        Type::Int64 => text.parse::<i64>().ok().map(Value::from),
        Type::Uint32 => text.parse::<u32>().ok().map(Value::from),
        Type::Uint64 => text.parse::<u64>().ok().map(Value::from),
        _ => float(text).map(Value::Number),
    }
}

/// A whole float is written without a fraction.
pub(super) fn float(text: &str) -> Option<Number> {
    let float = text.parse::<f64>().ok().filter(|float| float.is_finite())?;
    // 2^53: above it Go's shortest text and the integer may differ.
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

/// Standard base64 in its canonical text; line breaks are skipped. Upstream: base64.StdEncoding.
pub(super) fn base64(text: &str) -> Result<String, String> {
    let mut compact = Vec::with_capacity(text.len());
    compact.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    match STANDARD.decode(&compact) {
        Ok(bytes) => Ok(STANDARD.encode(bytes)),
        Err(_) => Err(format!("illegal base64 data at input byte {}", first_illegal(text.as_bytes()))),
    }
}

/// The position Go names: the first byte outside of the alphabet or a misplaced padding, else the start of the
/// incomplete last group.
fn first_illegal(text: &[u8]) -> usize {
    let breaks = |byte: u8| matches!(byte, b'\r' | b'\n');
    let mut group = 0;
    let mut start = 0;
    for (position, byte) in text.iter().copied().enumerate().filter(|(_, byte)| !breaks(*byte)) {
        if group == 0 {
            start = position;
        }
        if byte == b'=' {
            let rest = text[position + 1..].iter().copied().enumerate().find(|(_, byte)| !breaks(*byte));
            return match (group, rest) {
                (0 | 1, _) => position,
                (2, Some((offset, b'='))) => {
                    let after = position + 1 + offset + 1;
                    text[after..].iter().position(|byte| !breaks(*byte)).map_or(text.len(), |next| after + next)
                }
                (2, Some((offset, _))) => position + 1 + offset,
                (2, None) => text.len(),
                (_, Some((offset, _))) => position + 1 + offset,
                (_, None) => start,
            };
        }
        if !(byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/') {
            return position;
        }
        group = (group + 1) % 4;
    }
    start
}

/// `[]byte` given as a list of numbers.
pub(super) fn bytes_of_numbers(items: &[Node<'_>]) -> Option<Value> {
    let bytes: Option<Vec<u8>> = items
        .iter()
        .map(|item| match item {
            Node::Number(text) => text.parse().ok(),
            _ => None,
        })
        .collect();
    bytes.map(|bytes| Value::from(STANDARD.encode(bytes)))
}

/// The canonical text of a duration.
pub(super) fn duration(text: &str) -> Result<String, String> {
    crate::duration::parse(text).map(crate::duration::format).map_err(|error| error.to_string())
}

/// The canonical text of a quantity given as a string or a number.
pub(super) fn quantity(node: &Node<'_>) -> Result<String, String> {
    let text = match node {
        Node::String(text) | Node::Number(text) => text.trim(),
        _ => "",
    };
    text.parse::<Quantity>().map(|quantity| quantity.to_string()).map_err(|error| error.to_string())
}
