//! Named formats: `format.dns1123Label().validate(name)`. Upstream: k8s.io/apiserver/pkg/cel/library/format.go.

use api::names;

use super::{Outcome, Row, no_overload};
use crate::value::Value;

/// A format and the test it stands for.
#[derive(Debug)]
pub struct Format {
    /// As in `format.NAME()`.
    pub name: &'static str,
    /// Length of the pattern it takes, of which costs are computed.
    pub(crate) max_regex_size: u64,
    /// What is wrong with a text.
    validate: fn(&str) -> Vec<String>,
}

static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", max_regex_size: 30, validate: |text| names::name_is_dns_label(text, false) },
    Format { name: "dns1123Subdomain", max_regex_size: 60, validate: |text| names::name_is_dns_subdomain(text, false) },
    Format { name: "dns1035Label", max_regex_size: 30, validate: |text| names::name_is_dns1035_label(text, false) },
    Format { name: "qualifiedName", max_regex_size: 60, validate: names::is_qualified_name },
    Format { name: "dns1123LabelPrefix", max_regex_size: 30, validate: |text| names::name_is_dns_label(text, true) },
    Format {
        name: "dns1123SubdomainPrefix",
        max_regex_size: 60,
        validate: |text| names::name_is_dns_subdomain(text, true),
    },
    Format {
        name: "dns1035LabelPrefix",
        max_regex_size: 30,
        validate: |text| names::name_is_dns1035_label(text, true),
    },
    Format { name: "labelValue", max_regex_size: 40, validate: names::is_valid_label_value },
    Format { name: "uri", max_regex_size: 1104, validate: |text| super::url::parse(text).err().into_iter().collect() },
    Format {
        name: "uuid",
        max_regex_size: 72,
        validate: |text| unless(is_uuid(text), "does not match the UUID format"),
    },
    Format { name: "byte", max_regex_size: 84, validate: |text| unless(is_base64(text), "invalid base64") },
    Format { name: "date", max_regex_size: 72, validate: |text| unless(is_date(text), "invalid date") },
    Format { name: "datetime", max_regex_size: 72, validate: |text| unless(is_datetime(text), "invalid datetime") },
];

pub(super) const ROWS: &[Row] = &[
    ("format-validate", "(kubernetes.NamedFormat).validate(string) -> optional(list(string))", validate),
    ("format-named", "format.named(string) -> optional(kubernetes.NamedFormat)", named),
    ("format.dns1123Label", "format.dns1123Label() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[0]))),
    ("format.dns1123Subdomain", "format.dns1123Subdomain() -> kubernetes.NamedFormat", |_| {
        Ok(Value::Format(&FORMATS[1]))
    }),
    ("format.dns1035Label", "format.dns1035Label() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[2]))),
    ("format.qualifiedName", "format.qualifiedName() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[3]))),
    ("format.dns1123LabelPrefix", "format.dns1123LabelPrefix() -> kubernetes.NamedFormat", |_| {
        Ok(Value::Format(&FORMATS[4]))
    }),
    ("format.dns1123SubdomainPrefix", "format.dns1123SubdomainPrefix() -> kubernetes.NamedFormat", |_| {
        Ok(Value::Format(&FORMATS[5]))
    }),
    ("format.dns1035LabelPrefix", "format.dns1035LabelPrefix() -> kubernetes.NamedFormat", |_| {
        Ok(Value::Format(&FORMATS[6]))
    }),
    ("format.labelValue", "format.labelValue() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[7]))),
    ("format.uri", "format.uri() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[8]))),
    ("format.uuid", "format.uuid() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[9]))),
    ("format.byte", "format.byte() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[10]))),
    ("format.date", "format.date() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[11]))),
    ("format.datetime", "format.datetime() -> kubernetes.NamedFormat", |_| Ok(Value::Format(&FORMATS[12]))),
];

fn unless(holds: bool, message: &str) -> Vec<String> {
    if holds { Vec::new() } else { vec![message.to_owned()] }
}

/// Dashes may be left out.
fn is_uuid(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let dashes_fit =
        text.char_indices().filter(|(_, c)| *c == '-').all(|(at, _)| matches!(at, 8 | 13 | 18 | 23 | 12 | 16 | 20));
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && dashes_fit
}

fn is_base64(text: &str) -> bool {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && is_datetime(&format!("{text}T00:00:00Z"))
}

fn is_datetime(text: &str) -> bool {
    super::parse_timestamp(text).is_some()
}

fn validate<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Format(format), Value::String(text)] = args else { return no_overload() };
    let errors = (format.validate)(text);
    Ok(if errors.is_empty() {
        Value::NONE
    } else {
        Value::some(Value::list(errors.into_iter().map(Value::text).collect()))
    })
}

fn named<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(name)] = args else { return no_overload() };
    let format = FORMATS.iter().find(|format| *format.name == **name);
    Ok(format.map_or(Value::NONE, |format| Value::some(Value::Format(format))))
}
