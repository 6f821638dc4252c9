//! Addresses of the web, read as Go reads those of requests: absolute, or a path from the root.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/library/urls.go, net/url.ParseRequestURI.

use std::sync::Arc;

use api::go_text::quote;
use indexmap::IndexMap;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::{Key, Map, Value};

pub(super) const ROWS: &[Row] = &[
    ("string_to_url", "url(string) -> kubernetes.URL", read),
    ("url_get_scheme", "(kubernetes.URL).getScheme() -> string", |args| of_url(args, |url| Value::text(&*url.scheme))),
    ("url_get_host", "(kubernetes.URL).getHost() -> string", |args| of_url(args, |url| Value::text(&*url.host))),
    ("url_get_hostname", "(kubernetes.URL).getHostname() -> string", |args| {
        of_url(args, |url| Value::text(url.host_and_port().0))
    }),
    ("url_get_port", "(kubernetes.URL).getPort() -> string", |args| {
        of_url(args, |url| Value::text(url.host_and_port().1))
    }),
    ("url_get_escaped_path", "(kubernetes.URL).getEscapedPath() -> string", |args| {
        of_url(args, |url| Value::text(&*url.path))
    }),
    ("url_get_query", "(kubernetes.URL).getQuery() -> map(string, list(string))", |args| of_url(args, query)),
    ("is_url_string", "isURL(string) -> bool", is_url),
];

/// A URL, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    user: String,
    host: String,
    /// Escaped.
    path: String,
    query: String,
}

impl Url {
    /// The host without its port and brackets, and the port.
    fn host_and_port(&self) -> (&str, &str) {
        if let Some(rest) = self.host.strip_prefix('[') {
            let (host, port) = rest.split_once(']').unwrap_or((rest, ""));
            return (host, port.trim_start_matches(':'));
        }
        self.host.rsplit_once(':').unwrap_or((&self.host, ""))
    }
}

/// Reads a URL; the error is Go's.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    parse_parts(text).map_err(|why| format!("parse {}: {why}", quote(text)))
}

fn parse_parts(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("empty url".to_owned());
    }
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = split_scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') {
        return match scheme.is_empty() {
            true => Err("invalid URI for request".to_owned()),
            // What has a scheme and no slash is opaque.
            false => Ok(Url {
                scheme,
                user: String::new(),
                host: String::new(),
                path: String::new(),
                query: query.to_owned(),
            }),
        };
    }
    let (user, host, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            (user, host, path)
        }
        _ => ("", "", rest),
    };
    check_host(host)?;
    Ok(Url { scheme, user: user.to_owned(), host: host.to_owned(), path: escape_path(path)?, query: query.to_owned() })
}

fn split_scheme(text: &str) -> Result<(String, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text[..at].to_ascii_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn check_host(host: &str) -> Result<(), String> {
    let port = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, port)) => port,
            None => return Err("missing ']' in host".to_owned()),
        },
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    let valid = port.is_empty() || (port.starts_with(':') && port[1..].bytes().all(|byte| byte.is_ascii_digit()));
    if !valid {
        return Err(format!("invalid port {} after host", quote(port)));
    }
    match host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        Some(bad) => Err(format!("invalid character {} in host name", quote(&bad.to_string()))),
        None => Ok(()),
    }
}

/// A path with what must be escaped escaped; escapes that are there stay.
fn escape_path(path: &str) -> Result<String, String> {
    let bytes = path.as_bytes();
    let mut escaped = String::with_capacity(path.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'%' => {
                let digits =
                    path.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let Some(digits) = digits else {
                    let bad: String = path[at..].chars().take(3).collect();
                    return Err(format!("invalid URL escape {}", quote(&bad)));
                };
                escaped.push('%');
                escaped.push_str(digits);
                at += 3;
                continue;
            }
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' | b'!' | b'\''
            | b'(' | b')' | b'*' | b'[' | b']' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        at += 1;
    }
    Ok(escaped)
}

/// `a=1&a=2` as a map of lists. What cannot be read is left out.
fn query(url: &Url) -> Value<'static> {
    let mut lists: IndexMap<String, Vec<Value<'static>>> = IndexMap::new();
    for pair in url.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (unescape(name), unescape(value)) {
            lists.entry(name).or_default().push(Value::text(value));
        }
    }
    let entries = lists
        .into_iter()
        .map(|(name, values)| (Key::String(name.as_str().into()), (Value::text(name), Value::list(values))))
        .collect();
    Value::Map(Map::Items(Arc::new(entries)))
}

fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok()?);
                at += 3;
                continue;
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

fn read<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    match parse(text) {
        Ok(url) => Ok(Value::Url(Arc::new(url))),
        Err(why) => Err(Failure::message(format!("URL parse error during conversion from string: {why}"))),
    }
}

fn is_url<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::Bool(parse(text).is_ok()))
}

fn of_url<'a>(args: &[Value<'a>], read: fn(&Url) -> Value<'static>) -> Outcome<'a> {
    let [Value::Url(url)] = args else { return no_overload() };
    Ok(read(url))
}
