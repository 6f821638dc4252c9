//! What a merge asks the schema: how a field merges and what lies below it.

use super::Error;
use crate::schema::{Schema, Type};

/// How a field is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Nothing said: objects merge, lists are replaced.
    Default,
    /// Lists merge, by key or as sets.
    Merge,
    /// Objects are replaced.
    Replace,
}

/// A field of the type being merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) strategy: Strategy,
    /// The field that identifies a list's elements; none for sets of scalars.
    pub(super) merge_key: Option<&'a str>,
    /// The type of the value, for a list of its elements.
    pub(super) facts: Facts<'a>,
}

/// The type being merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facts<'a> {
    /// An object type of the schema.
    Object(Schema<'a>),
    /// A type without fields of its own, by the name Go's reflection has for it.
    Opaque(&'static str),
}

/// Objects that are replaced although objects merge: the one field upstream tags so.
const REPLACED: &[(&str, &str)] = &[("io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector")];

impl<'a> Facts<'a> {
    pub(super) fn of(schema: Schema<'a>) -> Facts<'a> {
        Facts::Object(schema)
    }

    /// How Go's reflection calls the kind of the type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Facts::Object(_) => "struct",
            Facts::Opaque(name) => name,
        }
    }

    /// The field `key`, whose value is an object. Upstream: LookupPatchMetadataForStruct.
    pub(super) fn field(&self, key: &str) -> Result<Field<'a>, Error> {
        let Facts::Object(schema) = self else {
            let kind = self.kind();
            let text = format!("merging an object in json but data type is not struct, instead is: {kind}");
            return Err(Error::Failed(text));
        };
        let name = schema.object().name.as_ref();
        let Some(field) = schema.field(key) else {
            let name = schema.object().go_type.rsplit('.').next().unwrap_or_default();
            let text = format!("unable to find api field in struct {name} for the json field {key:?}");
            return Err(Error::Failed(text));
        };
        let strategy = if field.patch_merge {
            Strategy::Merge
        } else if REPLACED.contains(&(name, key)) {
            Strategy::Replace
        } else {
            Strategy::Default
        };
        Ok(Field { strategy, merge_key: field.merge_key.as_deref(), facts: below(*schema, &field.r#type) })
    }

    /// The field `key`, whose value is a list. Upstream: LookupPatchMetadataForSlice.
    pub(super) fn list(&self, key: &str) -> Result<Field<'a>, Error> {
        let field = self.field(key)?;
        let Facts::Object(schema) = self else { return Ok(field) };
        match schema.field(key).map(|field| &field.r#type) {
            Some(Type::List(element)) => Ok(Field { facts: below(*schema, element), ..field }),
            _ => Err(Error::Failed("expected slice or array type, but got: struct".to_owned())),
        }
    }
}

fn below<'a>(schema: Schema<'a>, r#type: &Type) -> Facts<'a> {
    match r#type {
        Type::Object(id) => Facts::Object(schema.resolve(*id)),
        Type::Map(_) => Facts::Opaque("map"),
        Type::List(_) | Type::Bytes => Facts::Opaque("slice"),
        Type::String => Facts::Opaque("string"),
        _ => Facts::Opaque("struct"),
    }
}
