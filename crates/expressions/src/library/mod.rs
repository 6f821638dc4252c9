//! The functions an expression may call, as a table: each row is an overload's name upstream, its signature and what runs.
//!
//! One file a library. Signatures are text (`(string).charAt(int) -> string`) and are read once. Costs are elsewhere
//! (`check::estimate`, `eval::price`), by the same names.
//!
//! Upstream: cel-go common/stdlib, ext; k8s.io/apiserver/pkg/cel/library.

mod authorizer;
mod convert;
mod format;
mod formats;
mod lists;
mod network;
mod operators;
mod optional;
mod quantity;
mod regex;
mod semver;
mod signature;
mod standard;
mod strings;
mod time;
mod url;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub use authorizer::{Authorization, AuthorizationRequest, Authorize, AuthorizeDecision};
pub(crate) use convert::{base64, formatted, owned, parse_timestamp, shown, to_text};
pub(crate) use format::check_format;
pub use formats::Format;
pub use network::Cidr;
pub(crate) use regex::{apply as apply_regex, compile as compile_regex};
pub use semver::Semver;
pub use url::Url;

use crate::eval::Failure;
use crate::types::Type;
use crate::value::Value;

type Outcome<'a> = Result<Value<'a>, Failure>;
/// Gets the target first, where there is one.
type Run = for<'a> fn(&[Value<'a>]) -> Outcome<'a>;
/// Name of the overload, signature, what runs.
type Row = (&'static str, &'static str, Run);

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) id: &'static str,
    /// Is the first parameter a target?
    pub(crate) member: bool,
    pub(crate) params: Vec<Type>,
    pub(crate) result: Type,
    pub(crate) type_params: Vec<Arc<str>>,
    pub(crate) run: Run,
}

impl Overload {
    /// Do the values fit, as far as can be seen at once?
    pub(crate) fn accepts(&self, values: &[Value<'_>]) -> bool {
        values.len() == self.params.len() && self.params.iter().zip(values).all(|(param, value)| fits(param, value))
    }
}

fn fits(param: &Type, value: &Value<'_>) -> bool {
    match (param, value) {
        (Type::Dyn | Type::Param(_), _) => true,
        (Type::List(element), Value::List(list)) => {
            matches!(**element, Type::Dyn | Type::Param(_))
                || !matches!(list.get(0), Some(Ok(first)) if !fits(element, &first))
        }
        (Type::List(_), _) | (_, Value::List(_)) => false,
        (Type::Map(..), Value::Map(_)) => true,
        (Type::Type(_), Value::Type(_)) => true,
        (Type::Null, Value::Null) => true,
        (Type::Opaque(name, _), value) => **name == *value.type_name(),
        (param, value) => param.runtime_name() == value.type_name(),
    }
}

const LIBRARIES: [&[Row]; 14] = [
    operators::ROWS,
    standard::ROWS,
    convert::ROWS,
    time::ROWS,
    strings::ROWS,
    lists::ROWS,
    optional::ROWS,
    regex::ROWS,
    url::ROWS,
    quantity::ROWS,
    network::ROWS,
    formats::ROWS,
    semver::ROWS,
    authorizer::ROWS,
];

static FUNCTIONS: LazyLock<HashMap<String, Vec<Overload>>> = LazyLock::new(|| {
    let mut functions: HashMap<String, Vec<Overload>> = HashMap::new();
    for (id, text, run) in LIBRARIES.into_iter().flatten() {
        let signature = signature::read(text);
        let overload = Overload {
            id,
            member: signature.member,
            params: signature.params,
            result: signature.result,
            type_params: signature.type_params,
            run: *run,
        };
        functions.entry(signature.name).or_default().push(overload);
    }
    functions
});

/// All ways to call a function; None where there is no such function.
pub(crate) fn overloads(function: &str) -> Option<&'static [Overload]> {
    FUNCTIONS.get(function).map(Vec::as_slice)
}

/// Types that have names in expressions.
pub(crate) fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "type" => Type::Type(None),
        "null_type" => Type::Null,
        "google.protobuf.Duration" => Type::Duration,
        "google.protobuf.Timestamp" => Type::Timestamp,
        "optional_type" => Type::optional(Type::Dyn),
        "net.IP"
        | "net.CIDR"
        | "kubernetes.URL"
        | "kubernetes.Quantity"
        | "kubernetes.Semver"
        | "kubernetes.NamedFormat"
        | "kubernetes.authorization.Authorizer" => Type::opaque(name),
        _ => return None,
    })
}

/// The value a type's name has.
pub(crate) fn type_value(name: &str) -> Arc<str> {
    name.into()
}

/// Is this a conversion, which is computed beforehand where its argument is constant?
pub(crate) fn is_conversion(function: &str) -> bool {
    matches!(
        function,
        "bool" | "bytes" | "double" | "duration" | "dyn" | "int" | "string" | "timestamp" | "type" | "uint"
    )
}

fn no_overload<'a>() -> Outcome<'a> {
    Err(Failure::no_such_overload())
}
