//! Types of expressions, and how two of them are made one.
//!
//! Upstream: cel-go common/types.Type, checker/types.go.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A type. Equality is exact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// Anything; checked when evaluated.
    Dyn,
    /// Of an expression that has no type because it is wrong.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    /// With fields, which the environment declares under this name.
    Object(Arc<str>),
    /// Of types themselves: `type(1)` is `type(int)`.
    Type(Option<Arc<Type>>),
    /// A type of the libraries: `kubernetes.Quantity`, `optional_type(int)`.
    Opaque(Arc<str>, Arc<[Type]>),
    /// A parameter of a function's signature, or a variable of the checker.
    Param(Arc<str>),
}

const OPTIONAL: &str = "optional_type";

impl Type {
    /// `list(element)`
    pub fn list(element: Type) -> Type {
        Type::List(Arc::new(element))
    }

    /// `map(key, value)`
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    /// A library's type without parameters.
    pub fn opaque(name: &str) -> Type {
        Type::Opaque(name.into(), Arc::new([]))
    }

    /// `optional_type(of)`
    pub fn optional(of: Type) -> Type {
        Type::Opaque(OPTIONAL.into(), Arc::new([of]))
    }

    /// What is optional in this type.
    pub(crate) fn as_optional(&self) -> Option<&Type> {
        match self {
            Type::Opaque(name, params) if &**name == OPTIONAL => params.first(),
            _ => None,
        }
    }

    pub(crate) fn is_dyn_or_error(&self) -> bool {
        matches!(self, Type::Dyn | Type::Error)
    }

    /// Of a size known without the value. Upstream: checker.isScalar.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
            _ => self.as_optional().is_some_and(Type::is_scalar),
        }
    }

    /// The name it has at run time, without parameters.
    pub(crate) fn runtime_name(&self) -> &str {
        match self {
            Type::Dyn => "dyn",
            Type::Error => "!error!",
            Type::Null => "null_type",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Duration => "google.protobuf.Duration",
            Type::Timestamp => "google.protobuf.Timestamp",
            Type::List(_) => "list",
            Type::Map(..) => "map",
            Type::Type(_) => "type",
            Type::Object(name) | Type::Opaque(name, _) | Type::Param(name) => name,
        }
    }

    /// As upstream prints the type of a whole expression. Upstream: types.Type.String.
    pub fn declared_name(&self) -> String {
        match self {
            Type::List(element) => format!("list({})", element.declared_name()),
            Type::Map(key, value) => format!("map({}, {})", key.declared_name(), value.declared_name()),
            Type::Type(Some(of)) => format!("type({})", of.declared_name()),
            Type::Opaque(name, params) if !params.is_empty() => {
                let params: Vec<String> = params.iter().map(Type::declared_name).collect();
                format!("{name}({})", params.join(", "))
            }
            _ => self.runtime_name().to_owned(),
        }
    }
}

/// As in messages of the checker. Upstream: checker.FormatCELType.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("null"),
            Type::Duration => f.write_str("duration"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::List(element) => write!(f, "list({element})"),
            Type::Map(key, value) => write!(f, "map({key}, {value})"),
            Type::Type(Some(of)) => write!(f, "type({of})"),
            Type::Opaque(name, params) if !params.is_empty() => {
                let params: Vec<String> = params.iter().map(Type::to_string).collect();
                write!(f, "{name}({})", params.join(", "))
            }
            _ => f.write_str(self.runtime_name()),
        }
    }
}

/// What the type parameters seen so far stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Substitution {
    bound: HashMap<Arc<str>, Type>,
}

impl Substitution {
    pub(crate) fn bind(&mut self, param: Arc<str>, to: Type) {
        self.bound.insert(param, to);
    }

    fn find(&self, of: &Type) -> Option<&Type> {
        match of {
            Type::Param(name) => self.bound.get(name),
            _ => None,
        }
    }

    /// The type with all parameters replaced; free ones become dyn if asked. Upstream: checker.substitute.
    pub(crate) fn apply(&self, to: &Type, free_is_dyn: bool) -> Type {
        if let Some(bound) = self.find(to) {
            return self.apply(bound, free_is_dyn);
        }
        match to {
            Type::Param(_) if free_is_dyn => Type::Dyn,
            Type::List(element) => Type::list(self.apply(element, free_is_dyn)),
            Type::Map(key, value) => Type::map(self.apply(key, free_is_dyn), self.apply(value, free_is_dyn)),
            Type::Type(Some(of)) => Type::Type(Some(Arc::new(self.apply(of, free_is_dyn)))),
            Type::Opaque(name, params) if !params.is_empty() => {
                Type::Opaque(name.clone(), params.iter().map(|param| self.apply(param, free_is_dyn)).collect())
            }
            other => other.clone(),
        }
    }

    /// Can a value of type `to` be where `from` is due? Remembers what parameters had to be for that, if so.
    /// Upstream: checker.isAssignable.
    pub(crate) fn assign(&mut self, from: &Type, to: &Type) -> bool {
        self.assign_all(&[(from, to)])
    }

    /// All or nothing. Upstream: checker.isAssignableList.
    pub(crate) fn assign_all(&mut self, pairs: &[(&Type, &Type)]) -> bool {
        let mut attempt = self.clone();
        let fits = pairs.iter().all(|(from, to)| attempt.unify(from, to));
        if fits {
            *self = attempt;
        }
        fits
    }

    fn unify(&mut self, left: &Type, right: &Type) -> bool {
        if matches!(right, Type::Param(_)) {
            match self.substitutes(left, right) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if matches!(left, Type::Param(_)) {
            return self.substitutes(right, left).0;
        }
        if left.is_dyn_or_error() || right.is_dyn_or_error() {
            return true;
        }
        match (left, right) {
            (Type::Null, other) | (other, Type::Null) => {
                matches!(other, Type::Null | Type::Opaque(..) | Type::Object(_) | Type::Duration | Type::Timestamp)
            }
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(left), Type::List(right)) => self.unify(left, right),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.unify(key, other_key) && self.unify(value, other_value)
            }
            (Type::Opaque(name, params), Type::Opaque(other, others)) => {
                name == other
                    && params.len() == others.len()
                    && params.iter().zip(others.iter()).all(|(left, right)| self.unify(left, right))
            }
            _ => left == right,
        }
    }

    /// May `other` stand for the parameter, and did it stand for something already?
    /// Upstream: checker.isValidTypeSubstitution.
    fn substitutes(&mut self, other: &Type, param: &Type) -> (bool, bool) {
        if other == param {
            return (true, true);
        }
        let Type::Param(name) = param else { return (false, false) };
        if let Some(bound) = self.bound.get(name).cloned() {
            if bound == *other {
                return (true, true);
            }
            if !self.unify(other, &bound) {
                return (false, true);
            }
            let general = most_general(other, &bound).clone();
            if self.is_free_of(param, &general) {
                self.bind(name.clone(), general);
            }
            return (true, true);
        }
        if self.is_free_of(param, other) {
            self.bind(name.clone(), other.clone());
            return (true, false);
        }
        (false, false)
    }

    /// Does the parameter not occur within? Upstream: checker.notReferencedIn.
    fn is_free_of(&self, param: &Type, within: &Type) -> bool {
        if param == within {
            return false;
        }
        match within {
            Type::Param(_) => self.find(within).is_none_or(|bound| self.is_free_of(param, bound)),
            Type::List(element) => self.is_free_of(param, element),
            Type::Map(key, value) => self.is_free_of(param, key) && self.is_free_of(param, value),
            Type::Type(Some(of)) => self.is_free_of(param, of),
            Type::Opaque(_, params) => params.iter().all(|inner| self.is_free_of(param, inner)),
            _ => true,
        }
    }
}

/// The one of two types that fit each other which says less. Upstream: checker.mostGeneral.
pub(crate) fn most_general<'t>(left: &'t Type, right: &'t Type) -> &'t Type {
    if is_less_specific(left, right) { left } else { right }
}

fn is_less_specific(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Dyn | Type::Param(_), _) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::List(left), Type::List(right)) => is_less_specific(left, right),
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            is_less_specific(key, other_key) && is_less_specific(value, other_value)
        }
        (Type::Opaque(name, params), Type::Opaque(other, others)) => {
            name == other
                && params.len() == others.len()
                && params.iter().zip(others.iter()).all(|(left, right)| is_less_specific(left, right))
        }
        (Type::Type(_), Type::Type(_)) => true,
        _ => left == right,
    }
}
