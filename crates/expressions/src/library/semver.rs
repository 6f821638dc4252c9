//! Semantic versions. Upstream: k8s.io/apiserver/pkg/cel/library/semverlib.go, github.com/blang/semver.

use std::cmp::Ordering;
use std::sync::Arc;

use api::go_text::quote;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("string_to_semver", "semver(string) -> kubernetes.Semver", read),
    ("string_bool_to_semver", "semver(string, bool) -> kubernetes.Semver", read),
    ("is_semver_string", "isSemver(string) -> bool", is_semver),
    ("is_semver_string_bool", "isSemver(string, bool) -> bool", is_semver),
    ("semver_is_greater_than", "(kubernetes.Semver).isGreaterThan(kubernetes.Semver) -> bool", |args| {
        compared(args, |order| Value::Bool(order.is_gt()))
    }),
    ("semver_is_less_than", "(kubernetes.Semver).isLessThan(kubernetes.Semver) -> bool", |args| {
        compared(args, |order| Value::Bool(order.is_lt()))
    }),
    ("semver_compare_to", "(kubernetes.Semver).compareTo(kubernetes.Semver) -> int", |args| {
        compared(args, |order| Value::Int(order as i64))
    }),
    ("semver_major", "(kubernetes.Semver).major() -> int", |args| number(args, 0)),
    ("semver_minor", "(kubernetes.Semver).minor() -> int", |args| number(args, 1)),
    ("semver_patch", "(kubernetes.Semver).patch() -> int", |args| number(args, 2)),
];

/// A version.
#[derive(Debug, Clone)]
pub struct Semver {
    numbers: [u64; 3],
    prerelease: Vec<Identifier>,
}

/// A part of what follows the dash; numbers come before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Semver {
    fn order(&self, other: &Semver) -> Ordering {
        let releases = match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => self.prerelease.cmp(&other.prerelease),
        };
        self.numbers.cmp(&other.numbers).then(releases)
    }

    fn parse(text: &str) -> Result<Semver, String> {
        if text.is_empty() {
            return Err("Version string empty".to_owned());
        }
        let parts: Vec<&str> = text.splitn(3, '.').collect();
        let [major, minor, rest] = parts.as_slice() else {
            return Err("No Major.Minor.Patch elements found".to_owned());
        };
        let (rest, build) = rest.split_once('+').map_or((*rest, None), |(rest, build)| (rest, Some(build)));
        let (patch, prerelease) = rest.split_once('-').map_or((rest, None), |(patch, rest)| (patch, Some(rest)));
        let numbers = [part(major, "major")?, part(minor, "minor")?, part(patch, "patch")?];
        let prerelease = prerelease.map_or(Ok(Vec::new()), |text| text.split('.').map(identifier).collect())?;
        for part in build.into_iter().flat_map(|build| build.split('.')) {
            if part.is_empty() {
                return Err("Build meta data is empty".to_owned());
            }
            if !is_word(part) {
                return Err(format!("Invalid character(s) found in build meta data {}", quote(part)));
            }
        }
        Ok(Semver { numbers, prerelease })
    }

    /// Reads `v1.2` and `01.2.3`, too.
    fn parse_tolerant(text: &str) -> Result<Semver, String> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text
            .splitn(3, '.')
            .map(|part| {
                let stripped = part.trim_start_matches('0');
                let digit = stripped.starts_with(|c: char| c.is_ascii_digit());
                if part.len() > 1 && !digit {
                    format!("0{stripped}")
                } else if part.len() > 1 {
                    stripped.to_owned()
                } else {
                    part.to_owned()
                }
            })
            .collect();
        if parts.len() < 3 {
            if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
                return Err("short version cannot contain PreRelease/Build meta data".to_owned());
            }
            parts.resize(3, "0".to_owned());
        }
        Semver::parse(&parts.join("."))
    }
}

impl PartialEq for Semver {
    fn eq(&self, other: &Semver) -> bool {
        self.order(other).is_eq()
    }
}

fn part(text: &str, name: &str) -> Result<u64, String> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {name} number {}", quote(text)));
    }
    if text.len() > 1 && text.starts_with('0') {
        let title = name[..1].to_uppercase() + &name[1..];
        return Err(format!("{title} number must not contain leading zeroes {}", quote(text)));
    }
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {}: invalid syntax", quote(text)))
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn identifier(text: &str) -> Result<Identifier, String> {
    if text.is_empty() {
        return Err("Prerelease is empty".to_owned());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {}", quote(text)));
        }
        return text.parse().map(Identifier::Number).map_err(|_| "value out of range".to_owned());
    }
    if is_word(text) {
        return Ok(Identifier::Word(text.to_owned()));
    }
    Err(format!("Invalid character(s) found in prerelease {}", quote(text)))
}

fn parsed(args: &[Value<'_>]) -> Result<Result<Semver, String>, Failure> {
    match args {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => Ok(Semver::parse(text)),
        [Value::String(text), Value::Bool(true)] => Ok(Semver::parse_tolerant(text)),
        _ => Err(Failure::no_such_overload()),
    }
}

fn read<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let version = parsed(args)?.map_err(Failure::message)?;
    Ok(Value::Semver(Arc::new(version)))
}

fn is_semver<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(parsed(args)?.is_ok()))
}

fn compared<'a>(args: &[Value<'a>], result: fn(Ordering) -> Value<'static>) -> Outcome<'a> {
    let [Value::Semver(left), Value::Semver(right)] = args else { return no_overload() };
    Ok(result(left.order(right)))
}

fn number<'a>(args: &[Value<'a>], place: usize) -> Outcome<'a> {
    let [Value::Semver(version)] = args else { return no_overload() };
    Ok(Value::Int(version.numbers[place] as i64))
}
