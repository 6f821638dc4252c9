//! What `format` demands of strings, and the ranges it names for numbers.
//!
//! Formats that are not known are no demand at all. Upstream: kube-openapi/pkg/validation/strfmt and
//! apiextensions-apiserver/pkg/apiserver/validation/formats.go.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use super::Kind;
use crate::names;

/// A known format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `float`
    Float,
    /// `double`
    Double,
    /// A format of strings: its position in the table, and the name it was given (they differ by dashes).
    Text(u8),
}

/// A check of a string.
type Check = fn(&str) -> bool;

/// Name without dashes, name as it is published, what a string must be.
const TEXTS: [(&str, &str, Check); 26] = [
    ("bsonobjectid", "bsonobjectid", |text| text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
    ("uri", "uri", is_request_uri),
    ("email", "email", is_email),
    ("hostname", "hostname", is_hostname),
    ("ipv4", "ipv4", |text| parse_ipv4(text).is_some() || is_mapped_ipv4(text)),
    ("ipv6", "ipv6", |text| text.contains(':') && text.parse::<Ipv6Addr>().is_ok()),
    ("cidr", "cidr", is_cidr),
    ("mac", "mac", is_mac),
    ("uuid", "uuid", |text| is_uuid(text, None)),
    ("uuid3", "uuid3", |text| is_uuid(text, Some('3'))),
    ("uuid4", "uuid4", |text| is_uuid(text, Some('4'))),
    ("uuid5", "uuid5", |text| is_uuid(text, Some('5'))),
    ("isbn", "isbn", |text| is_isbn10(text) || is_isbn13(text)),
    ("isbn10", "isbn10", is_isbn10),
    ("isbn13", "isbn13", is_isbn13),
    ("creditcard", "creditcard", is_credit_card),
    ("ssn", "ssn", |text| matches(&SSN, text)),
    ("hexcolor", "hexcolor", |text| matches(&HEX_COLOR, text)),
    ("rgbcolor", "rgbcolor", |text| matches(&RGB_COLOR, text)),
    ("byte", "byte", |text| !text.is_empty() && STANDARD.decode(text).is_ok()),
    ("password", "password", |_| true),
    ("date", "date", is_date),
    ("duration", "duration", is_duration),
    ("datetime", "date-time", is_date_time),
    ("k8sshortname", "k8s-short-name", |text| text.len() <= 63 && names::is_dns1123_label(text).is_empty()),
    ("k8slongname", "k8s-long-name", |text| names::is_dns1123_subdomain(text).is_empty()),
];

impl Format {
    /// The format of a name at a place of this type; None for what is not known there.
    pub fn of(name: &str, kind: Option<Kind>, int_or_string: bool) -> Option<Format> {
        match (kind, name) {
            _ if int_or_string => None,
            (Some(Kind::Integer), "int32") => Some(Format::Int32),
            (Some(Kind::Integer), "int64") => Some(Format::Int64),
            (Some(Kind::Number), "float") => Some(Format::Float),
            (Some(Kind::Number), "double") => Some(Format::Double),
            (None | Some(Kind::String), name) => {
                let plain = name.replace('-', "");
                let position = TEXTS.iter().position(|(known, ..)| *known == plain)?;
                u8::try_from(position).ok().map(Format::Text)
            }
            _ => None,
        }
    }

    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Int32 => "int32",
            Format::Int64 => "int64",
            Format::Float => "float",
            Format::Double => "double",
            Format::Text(position) => TEXTS[usize::from(position)].1,
        }
    }

    /// Is it about strings?
    pub fn is_of_strings(self) -> bool {
        matches!(self, Format::Text(_))
    }

    /// Does a string have the format? Formats of numbers say nothing of strings.
    pub fn matches(self, text: &str) -> bool {
        match self {
            Format::Text(position) => TEXTS[usize::from(position)].2(text),
            _ => true,
        }
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of formats are constants, tests compile them")
}

fn matches(pattern: &LazyLock<Regex>, text: &str) -> bool {
    pattern.is_match(text)
}

static SSN: LazyLock<Regex> = LazyLock::new(|| regex(r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"));
static HEX_COLOR: LazyLock<Regex> = LazyLock::new(|| regex(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    let part = "[ ]*(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])[ ]*";
    regex(&format!("^rgb\\({part},{part},{part}\\)$"))
});
static CREDIT_CARD: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|\
         6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11}|\
         6[27][0-9]{14})$",
    )
});
static TIME: LazyLock<Regex> =
    LazyLock::new(|| regex("^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$"));
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    let first = r"[a-zA-Z0-9\p{S}\p{L}]";
    let inner = r"[a-zA-Z0-9\-\p{S}\p{L}]";
    regex(&format!(
        r"^({first}((-?{first}{{0,62}})?)|({first}(({inner}{{0,61}}{first})?)(\.)){{1,}}([a-zA-Z\p{{L}}]){{2,63}})$"
    ))
});
static DURATION: LazyLock<Regex> = LazyLock::new(|| regex("([0-9]+)\\s*([A-Za-zµ]+)"));

/// Decimal parts may have leading zeros here. Upstream: netutils.ParseIPSloppy.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = text
        .split('.')
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits {
                part.trim_start_matches('0')
                    .parse()
                    .or(if part.bytes().all(|b| b == b'0') { Ok(0) } else { Err(()) })
                    .ok()
            } else {
                None
            }
        })
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(parts).ok().map(Ipv4Addr::from)
}

fn is_mapped_ipv4(text: &str) -> bool {
    text.contains('.') && text.parse::<Ipv6Addr>().is_ok()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = if parse_ipv4(address).is_some() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    !length.is_empty()
        && length.bytes().all(|byte| byte.is_ascii_digit())
        && length.parse::<u8>().is_ok_and(|n| n <= most)
}

/// Six, eight or twenty bytes, in twos with colons or dashes, or in fours with dots. Upstream: net.ParseMAC.
fn is_mac(text: &str) -> bool {
    let of = |separator: char, digits: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        let hex = |part: &&str| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        parts.iter().all(hex) && matches!(parts.len() * digits, 12 | 16 | 40)
    };
    of(':', 2) || of('-', 2) || of('.', 4)
}

/// Thirty-two digits; dashes at their places may be left out.
fn is_uuid(text: &str, version: Option<char>) -> bool {
    let mut digits: Vec<char> = Vec::with_capacity(32);
    for c in text.chars() {
        match c {
            '-' if matches!(digits.len(), 8 | 12 | 16 | 20) => digits.push('-'),
            c if c.is_ascii_hexdigit() => digits.push(c.to_ascii_lowercase()),
            _ => return false,
        }
        if digits.last() == Some(&'-') {
            digits.pop();
        }
    }
    // A dash twice at one place is one too many.
    let variant = !matches!(version, Some('4' | '5')) || matches!(digits.get(16), Some('8' | '9' | 'a' | 'b'));
    digits.len() == 32 && !text.contains("--") && variant && version.is_none_or(|version| digits[12] == version)
}

fn is_isbn10(text: &str) -> bool {
    let text: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\t' | '\n' | '\r')).collect();
    let digit = |index: usize, c: char| match c {
        'X' if index == 9 => Some(10),
        c => c.to_digit(10),
    };
    let sum: Option<u32> =
        text.iter().enumerate().map(|(index, c)| Some(digit(index, *c)? * (10 - index.min(9) as u32))).sum();
    text.len() == 10 && sum.is_some_and(|sum| sum % 11 == 0)
}

fn is_isbn13(text: &str) -> bool {
    let text: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\t' | '\n' | '\r')).collect();
    let sum: Option<u32> =
        text.iter().enumerate().map(|(index, c)| Some(c.to_digit(10)? * if index % 2 == 0 { 1 } else { 3 })).sum();
    text.len() == 13 && sum.is_some_and(|sum| sum.is_multiple_of(10))
}

/// A number of the known companies with the right check digit.
fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(index, digit)| match (index % 2, digit * 2) {
            (0, _) => digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    matches(&CREDIT_CARD, &digits) && sum.is_multiple_of(10)
}

fn is_hostname(text: &str) -> bool {
    matches(&HOSTNAME, text) && text.len() <= 255 && text.split('.').all(|part| part.len() <= 63)
}

/// An absolute URI or an absolute path. Upstream: url.ParseRequestURI.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    let rest = match text.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) =>
        {
            // What has a scheme and no slash is opaque, and not looked into.
            match rest.strip_prefix("//") {
                Some(rest) => rest,
                None => return true,
            }
        }
        _ if text.starts_with('/') => text,
        _ => return false,
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let escapes = |part: &str| {
        part.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
    };
    escapes(rest.split('?').next().unwrap_or_default())
        && !host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '}'])
}

/// `a@b`, or a name and that in angle brackets. Upstream: mail.ParseAddress.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match text.split_once('<') {
        Some((_, rest)) => match rest.strip_suffix('>') {
            Some(address) => address,
            None => return false,
        },
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let atom = |text: &str| {
        let special = |c: char| matches!(c, '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '"');
        !text.is_empty()
            && text.split('.').all(|part| !part.is_empty())
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || special(c))
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let literal = domain.starts_with('[') && domain.ends_with(']');
    (atom(local) || quoted) && (atom(domain) || literal)
}

fn is_date(text: &str) -> bool {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.splitn(3, '-');
    let shaped = [4, 2, 2].into_iter().all(|length| parts.next().is_some_and(|part| digits(part, length)));
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let Some(found) = TIME.captures(time).filter(|_| is_date(date)) else { return false };
    let at_most = |group: usize, most: &str| found.get(group).is_some_and(|part| part.as_str() <= most);
    at_most(1, "23") && at_most(2, "59") && at_most(3, "59")
}

/// Go's durations, or any text that holds a number before something like a unit of time.
fn is_duration(text: &str) -> bool {
    const SHORT: [&str; 12] = ["ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk", "μs"];
    const LONG: [&str; 8] = ["nano", "micro", "milli", "sec", "min", "hour", "day", "week"];
    let is_unit = |unit: &str| SHORT.contains(&unit) || LONG.iter().any(|long| unit.starts_with(long));
    crate::duration::parse(text).is_ok()
        || DURATION.captures_iter(text).any(|found| {
            found.get(2).is_some_and(|unit| is_unit(&unit.as_str().to_lowercase()))
                && found.get(1).is_some_and(|count| count.as_str().parse::<i64>().is_ok())
        })
}
