//! Label keys and values, and the keys of config maps and environment variables.

use super::*;

const KEY_RULE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

fn key_inner(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

pub(super) fn max_bytes_error(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

/// A label key, also called a qualified name: an optional DNS subdomain and `/`, then a name.
///
/// Upstream: content.IsLabelKey, validation.IsQualifiedName.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    let shape = || regex_error(KEY_RULE, KEY, &["MyName", "my.name", "123-abc"]);
    let mut errors = Vec::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                shape()
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > SUBDOMAIN_MAX_LENGTH {
                    errors.push(format!("prefix part {}", max_bytes_error(SUBDOMAIN_MAX_LENGTH)));
                }
                if !matches_subdomain(prefix) {
                    let shape = regex_error(SUBDOMAIN_RULE, DNS1123_SUBDOMAIN, &["example.com"]);
                    errors.push(format!("prefix part {shape}"));
                }
            }
            name
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX_LENGTH {
        errors.push(format!("name part {}", max_bytes_error(LABEL_MAX_LENGTH)));
    }
    if !matches_ends(name, alphanumeric, key_inner) {
        errors.push(format!("name part {}", shape()));
    }
    errors
}

/// A label key that must have a prefix. Upstream: content.IsPrefixedLabelKey.
pub fn is_prefixed_label_key(value: &str) -> Vec<String> {
    let errors = is_qualified_name(value);
    if errors.is_empty() && !value.contains('/') {
        return vec!["must include a prefix (e.g. 'example.com/key')".to_owned()];
    }
    errors
}

/// A label value; may be empty. Upstream: validation.IsValidLabelValue.
pub fn is_valid_label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_MAX_LENGTH {
        errors.push(max_bytes_error(LABEL_MAX_LENGTH));
    }
    if !value.is_empty() && !matches_ends(value, alphanumeric, key_inner) {
        let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        errors.push(regex_error(rule, &format!("({KEY})?"), &["MyValue", "my_value", "12345"]));
    }
    errors
}

/// A key of a config map or secret. Upstream: validation.IsConfigMapKey.
pub fn is_config_map_key(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > SUBDOMAIN_MAX_LENGTH {
        errors.push(max_length_error(SUBDOMAIN_MAX_LENGTH));
    }
    if value.is_empty() || !value.bytes().all(key_inner) {
        let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        errors.push(regex_error(rule, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    errors.extend(changes_directory(value));
    errors
}

/// The older rule for environment variables. Upstream: validation.IsEnvVarName.
pub fn is_env_var_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let well_formed = value.bytes().all(key_inner) && value.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !well_formed {
        let rule = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit";
        errors.push(regex_error(rule, "[-._a-zA-Z][-._a-zA-Z0-9]*", &["my.env-name", "MY_ENV.NAME", "MyEnvName1"]));
    }
    errors.extend(changes_directory(value));
    errors
}

/// The rule for environment variables today. Upstream: validation.IsRelaxedEnvVarName.
pub fn is_relaxed_env_var_name(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

fn changes_directory(value: &str) -> Option<String> {
    match value {
        "." | ".." => Some(format!("must not be '{value}'")),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}
