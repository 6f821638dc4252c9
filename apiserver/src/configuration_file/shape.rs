//! Of which types the fields of a document are: what is of another, and what is no field at all, is told as Go's decoders tell it.
//!
//! A kind is a table of its structs ([`Struct`]); whoever reads a document that passed may rely on its types, and on nothing more:
//! any field may be absent or null. Upstream: sigs.k8s.io/json, sigs.k8s.io/yaml.

use api::meta;
use json::Value;

use crate::webhook::review::{Malformed, json_kind};

/// A Go struct.
#[derive(Debug)]
pub(crate) struct Struct {
    /// As errors call it: `PolicyRule`. Its package is the version of the document, if it does not say another: `v1.Toleration`.
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [(&'static str, Type)],
}

/// What a field is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    Text,
    /// Texts with a type of their own: `Level`.
    Named(&'static str),
    Bool,
    Int32,
    List(&'static Type),
    One(&'static Struct),
    /// Whatever it is, somebody else looks at it.
    Any,
}

impl Struct {
    /// Are the fields that are known of their types?
    ///
    /// # Errors
    /// Says which is not; of several the first by name, for so they come out of YAML.
    pub(crate) fn check(&self, document: &Value) -> Result<(), Malformed> {
        let version = meta::api_version(document);
        self.check_at(document, "", version.rsplit('/').next().unwrap_or_default())
    }

    fn check_at(&self, value: &Value, path: &str, version: &str) -> Result<(), Malformed> {
        let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
        fields.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        for (name, value) in fields {
            if let Some((name, kind)) = self.field(name) {
                let path = below(path, name);
                kind.check(value, &|what, wanted| {
                    let own = self.name.rsplit('.').next().unwrap_or_default();
                    let wanted = wanted.in_go(version);
                    Malformed(format!(
                        "json: cannot unmarshal {what} into Go struct field {own}.{path} of type {wanted}"
                    ))
                })?;
                kind.each(value, &mut |of, value| of.check_at(value, &path, version))?;
            }
        }
        Ok(())
    }

    /// The fields that have no meaning, by their paths.
    pub(crate) fn strangers(&self, document: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.find_strangers(document, "", &mut found);
        found
    }

    fn find_strangers(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = below(path, name);
            match (self.field(name), value) {
                (None, _) => found.push(path),
                (Some((_, Type::One(of))), _) => of.find_strangers(value, &path, found),
                (Some((_, Type::List(Type::One(of)))), Value::Array(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        of.find_strangers(item, &format!("{path}[{at}]"), found);
                    }
                }
                _ => {}
            }
        }
    }

    fn field(&self, name: &str) -> Option<&'static (&'static str, Type)> {
        self.fields.iter().find(|(own, _)| *own == name)
    }
}

impl Type {
    /// What Go calls it, where its types are in the package `version`.
    fn in_go(&self, version: &str) -> String {
        match self {
            Type::Text => "string".to_owned(),
            Type::Named(name) => format!("{version}.{name}"),
            Type::Bool => "bool".to_owned(),
            Type::Int32 => "int32".to_owned(),
            Type::List(of) => format!("[]{}", of.in_go(version)),
            Type::One(of) if of.name.contains('.') => of.name.to_owned(),
            Type::One(of) => format!("{version}.{}", of.name),
            Type::Any => "interface {}".to_owned(),
        }
    }

    /// `mismatch` makes an error of what there is and what should be.
    fn check(&self, value: &Value, mismatch: &dyn Fn(&str, &Type) -> Malformed) -> Result<(), Malformed> {
        let fits = match (self, value) {
            (Type::Any, _) | (_, Value::Null) => true,
            (Type::List(of), Value::Array(items)) => return items.iter().try_for_each(|item| of.check(item, mismatch)),
            (Type::Text | Type::Named(_), value) => value.is_string(),
            (Type::Bool, value) => value.is_boolean(),
            (Type::One(_), value) => value.is_object(),
            (Type::Int32, Value::Number(number)) => {
                if number.as_i64().is_none_or(|number| i32::try_from(number).is_err()) {
                    return Err(mismatch(&format!("number {number}"), self));
                }
                true
            }
            (Type::Int32 | Type::List(_), _) => false,
        };
        if fits { Ok(()) } else { Err(mismatch(json_kind(value), self)) }
    }

    /// The structs in a value of this type.
    fn each(
        &self,
        value: &Value,
        visit: &mut dyn FnMut(&'static Struct, &Value) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        match self {
            Type::One(of) => visit(of, value),
            Type::List(of) => value.as_array().into_iter().flatten().try_for_each(|item| of.each(item, visit)),
            _ => Ok(()),
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    const RULE: Struct = Struct {
        name: "Rule",
        fields: &[("level", Type::Named("Level")), ("verbs", Type::List(&Type::Text)), ("most", Type::Int32)],
    };
    const POLICY: Struct = Struct {
        name: "Policy",
        fields: &[
            ("rules", Type::List(&Type::One(&RULE))),
            ("one", Type::One(&RULE)),
            ("on", Type::Bool),
            ("any", Type::Any),
        ],
    };

    // Recorded from kube-apiserver v1.37 for kinds of these shapes.
    #[test]
    fn a_value_of_another_type_is_told_as_go_tells_it() {
        let refused = |mut document: Value| {
            document["apiVersion"] = "audit.k8s.io/v1".into();
            POLICY.check(&document).unwrap_err().to_string()
        };
        for (document, why) in [
            (json!({"rules": {}}), "object into Go struct field Policy.rules of type []v1.Rule"),
            (json!({"rules": [{}, 5]}), "number into Go struct field Policy.rules of type v1.Rule"),
            (json!({"one": "x"}), "string into Go struct field Policy.one of type v1.Rule"),
            (json!({"rules": [{"level": 5}]}), "number into Go struct field Rule.rules.level of type v1.Level"),
            (json!({"rules": [{"verbs": "get"}]}), "string into Go struct field Rule.rules.verbs of type []string"),
            (json!({"rules": [{"verbs": [true]}]}), "bool into Go struct field Rule.rules.verbs of type string"),
            (json!({"one": {"most": "many"}}), "string into Go struct field Rule.one.most of type int32"),
            (json!({"one": {"most": 1.5}}), "number 1.5 into Go struct field Rule.one.most of type int32"),
            (json!({"rules": 5, "on": "yes"}), "string into Go struct field Policy.on of type bool"),
        ] {
            assert_eq!(refused(document), format!("json: cannot unmarshal {why}"));
        }
    }

    #[test]
    fn null_is_of_every_type_and_strangers_are_named_by_their_paths() {
        let document =
            json!({"rules": [null, {"verbs": [null], "verb": []}], "one": {"x": 1}, "any": {"y": 2}, "z": 3});
        POLICY.check(&document).unwrap();
        assert_eq!(POLICY.strangers(&document), ["rules[1].verb", "one.x", "z"]);
    }
}
