//! Reads the signatures of the tables: `(list(A)).indexOf(A) -> int`, `sets.contains(list(A), list(A)) -> bool`.

use std::sync::Arc;

use crate::types::Type;

/// A signature, read.
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) member: bool,
    pub(super) params: Vec<Type>,
    pub(super) result: Type,
    pub(super) type_params: Vec<Arc<str>>,
}

/// Reads a signature of the tables, all of which a test reads.
pub(super) fn read(text: &str) -> Signature {
    let (call, result) = text.split_once(" -> ").unwrap_or((text, "dyn"));
    let mut type_params = Vec::new();
    let mut params = Vec::new();
    let (member, call) = match call.strip_prefix('(') {
        Some(rest) => {
            let end = closing(rest);
            params.push(read_type(&rest[..end], &mut type_params));
            (true, rest[end + 1..].trim_start_matches('.'))
        }
        None => (false, call),
    };
    let open = call.find('(').unwrap_or(call.len());
    let arguments = call.get(open + 1..call.len() - 1).unwrap_or_default();
    for argument in split(arguments) {
        params.push(read_type(argument, &mut type_params));
    }
    let result = read_type(result, &mut type_params);
    Signature { name: call[..open].to_owned(), member, params, result, type_params }
}

/// Where the parenthesis closes that is open at the beginning.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The parts between commas that no parenthesis holds together.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

fn read_type(text: &str, type_params: &mut Vec<Arc<str>>) -> Type {
    if let Some(open) = text.find('(') {
        let inner: Vec<Type> =
            split(&text[open + 1..text.len() - 1]).into_iter().map(|part| read_type(part, type_params)).collect();
        return match (&text[..open], inner.as_slice()) {
            ("list", [element]) => Type::list(element.clone()),
            ("map", [key, value]) => Type::map(key.clone(), value.clone()),
            ("type", [of]) => Type::Type(Some(Arc::new(of.clone()))),
            ("optional", [of]) => Type::optional(of.clone()),
            _ => Type::Error,
        };
    }
    match text {
        "dyn" => Type::Dyn,
        "null" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        _ if text.len() == 1 => {
            let param: Arc<str> = text.into();
            if !type_params.contains(&param) {
                type_params.push(param.clone());
            }
            Type::Param(param)
        }
        _ => Type::opaque(text),
    }
}
