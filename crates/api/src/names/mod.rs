//! The rules names, keys and identifiers follow, with upstream's messages.
//!
//! Each rule is a function from a text to the list of what is wrong with it, empty when it is valid; validation puts each
//! message into a field error. The shapes are matched by hand, with no regular expression engine; the expressions appear in
//! the messages only, as clients see them.
//!
//! Upstream: k8s.io/apimachinery/pkg/util/validation and pkg/api/validate/content. The same rule counts length in
//! "characters" in the first package and in "bytes" in the second: that difference is kept.

mod identifiers;
mod keys;
mod object_names;
mod versions;

pub use identifiers::*;
pub use keys::*;
pub use object_names::*;
pub use versions::*;

/// Longest DNS label, label key name and label value.
pub const LABEL_MAX_LENGTH: usize = 63;
/// Longest DNS subdomain.
pub const SUBDOMAIN_MAX_LENGTH: usize = 253;

const DNS1123_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

/// A message about a text that does not match, with examples and the expression. Upstream: validation.RegexError.
pub fn regex_error(rule: &str, expression: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{rule} (regex used for validation is '{expression}')");
    }
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{expression}')", examples.join(" or "))
}

/// Upstream: validation.MaxLenError.
pub fn max_length_error(length: usize) -> String {
    format!("must be no more than {length} characters")
}

/// Upstream: validation.InclusiveRangeError.
pub fn inclusive_range_error(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// `[first]([rest]*[last])?` over bytes: nothing empty, every byte in `rest`, both ends in `end`.
fn matches_ends(text: &str, end: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => end(*first) && end(*last) && bytes.iter().all(|b| rest(*b)),
        _ => false,
    }
}

fn lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn dns_inner(b: u8) -> bool {
    lower_alphanumeric(b) || b == b'-'
}

fn matches_label(text: &str) -> bool {
    matches_ends(text, lower_alphanumeric, dns_inner)
}

fn matches_subdomain(text: &str) -> bool {
    text.split('.').all(matches_label)
}

#[cfg(test)]
mod tests;
