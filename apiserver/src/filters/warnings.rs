//! `Warning: 299 - "text"` headers from the texts gathered while the request was served.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters.WithWarningRecorder, k8s.io/apimachinery/pkg/util/net.NewWarningHeader.

use http::{HeaderMap, HeaderValue, header};

/// All warnings of one answer together are cut to this many bytes: each to [`MAX_EACH`] at first sight of too much.
const MAX_TOTAL: usize = 4 * 1024;
const MAX_EACH: usize = 256;

/// Adds one header a warning.
pub(crate) fn add(headers: &mut HeaderMap, warnings: &[String]) {
    let total: usize = warnings.iter().map(String::len).sum();
    let mut left = MAX_TOTAL;
    for warning in warnings {
        let text = if total > MAX_TOTAL { cut(warning, MAX_EACH) } else { warning };
        if text.len() > left {
            break;
        }
        left -= text.len();
        if let Ok(value) = HeaderValue::from_bytes(&render(text)) {
            headers.append(header::WARNING, value);
        }
    }
}

fn cut(text: &str, at: usize) -> &str {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Quoted as RFC 2616 does; control characters are dropped.
fn render(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 10);
    out.extend_from_slice(b"299 - \"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=31 | 127 => {}
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped_and_line_breaks_dropped() {
        assert_eq!(render("unknown field \"a\"\n"), b"299 - \"unknown field \\\"a\\\"\"");
    }
}
