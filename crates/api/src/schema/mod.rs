//! The shape of API objects as data: object types, their fields, and the facts each field carries.
//!
//! Main types: [`ObjectType`] (one Go struct), [`Field`], [`Type`] (what a value may be) and [`Schema`], a cheap handle that
//! resolves references. Types come from the fact tables ([`crate::scheme`]). Custom resources have no Go structs: their
//! schema is [`crate::structural`].
//!
//! This module never looks at objects; it only describes them.

pub(crate) mod parse;

use std::borrow::Cow;
use std::sync::OnceLock;

use json::{Text, Value};

use crate::protobuf::Layout;

/// A name: borrowed from the built-in tables, owned for custom resources.
pub type Name = Cow<'static, str>;

/// Which object type a [`Type::Object`] means, within the [`Types`] that holds the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// Go `int32`.
    Int32,
    /// Go `int64` and `int`.
    Int64,
    /// Go `uint32` (no field of a served kind uses it today, kept for completeness of the wire formats).
    Uint32,
    /// Go `uint64`.
    Uint64,
    /// Go `float64`.
    Float64,
    /// A string, of a named Go type or not ([`Field::go_type`]).
    String,
    /// `[]byte`: base64 in JSON.
    Bytes,
    /// `resource.Quantity`: string or number in, canonical string out.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// `metav1.Time`: RFC 3339 in, whole seconds UTC out.
    Time,
    /// `metav1.MicroTime`: RFC 3339 with six fraction digits.
    MicroTime,
    /// `metav1.Duration`: Go's duration text. No served kind has one.
    Duration,
    /// `metav1.FieldsV1`: an object kept byte for byte.
    FieldsV1,
    /// `runtime.RawExtension`: an embedded object of any kind, kept as it is.
    RawExtension,
    /// `apiextensions.JSON` and Go interfaces: any JSON value, kept as it is.
    Any,
    /// `JSONSchemaPropsOrBool`: a boolean or the object.
    OrBool(TypeId),
    /// `JSONSchemaPropsOrArray`: the object or a list of it.
    OrArray(TypeId),
    /// `JSONSchemaPropsOrStringArray`: the object or a list of strings.
    OrStringArray(TypeId),
    /// Another object type.
    Object(TypeId),
    /// A list.
    List(Box<Type>),
    /// A map from string.
    Map(Box<Type>),
}

impl Type {
    /// Element type of a list or map.
    pub fn element(&self) -> Option<&Type> {
        match self {
            Type::List(element) | Type::Map(element) => Some(element),
            _ => None,
        }
    }

    /// Whether Go holds a struct, for which `omitempty` does nothing.
    pub(crate) fn is_structure(&self) -> bool {
        matches!(
            self,
            Type::Object(_)
                | Type::Time
                | Type::MicroTime
                | Type::Duration
                | Type::Quantity
                | Type::IntOrString
                | Type::FieldsV1
                | Type::RawExtension
                | Type::Any
        )
    }

    /// Whether the value is a number, string, bool or one of the types written as one.
    pub fn is_scalar(&self) -> bool {
        !matches!(
            self,
            Type::Object(_)
                | Type::List(_)
                | Type::Map(_)
                | Type::Any
                | Type::FieldsV1
                | Type::OrBool(_)
                | Type::OrArray(_)
                | Type::OrStringArray(_)
        )
    }
}

/// `x-kubernetes-list-type` / `x-kubernetes-map-type` of a field: who owns what in server-side apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Not said. Lists count as atomic, maps and objects as granular.
    #[default]
    Unset,
    /// Replaced as a whole (lists, maps and objects).
    Atomic,
    /// A list that is a set of scalars.
    Set,
    /// A list keyed by [`Field::map_keys`].
    Map,
    /// A granular map or object.
    Granular,
}

/// What the Go struct tags say about encoding an empty value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// No `omitempty`: always written, `null` when it is a nil slice, map or pointer.
    #[default]
    Always,
    /// `omitempty`: a zero value (0, "", false, empty list or map, nil pointer) is not written.
    OmitEmpty,
    /// `omitzero`: not written when it is zero, structs and times included.
    OmitZero,
}

/// One field of an object type.
#[derive(Clone, Debug)]
pub struct Field {
    /// JSON name.
    pub name: Name,
    /// Protobuf field number; 0 when the type has no protobuf form.
    pub number: u32,
    /// Protobuf field numbers of the messages around it, outermost first, for fields that JSON shows inlined
    /// (`Volume.hostPath` lies in message 2 of `Volume`).
    pub inline: Vec<u32>,
    /// The embedded Go fields it comes through (`VolumeSource`), which type errors name.
    pub via: Option<Name>,
    /// What the value may be.
    pub r#type: Type,
    /// Go type as `reflect` prints it (`v1.RestartPolicy`, `[]v1.Container`), where it does not follow from `type`.
    /// Appears in type errors.
    pub go_type: Option<Name>,
    /// Whether Go holds a pointer, so that a zero value differs from an absent one.
    pub pointer: bool,
    /// What happens to an empty value on output.
    pub presence: Presence,
    /// Named in `required` of the published OpenAPI.
    pub required: bool,
    /// List or map semantics for server-side apply.
    pub list_type: ListType,
    /// `x-kubernetes-list-map-keys`.
    pub map_keys: Vec<Name>,
    /// `x-kubernetes-patch-strategy` holds `merge`.
    pub patch_merge: bool,
    /// `x-kubernetes-patch-strategy` holds `retainKeys`.
    pub retain_keys: bool,
    /// `x-kubernetes-patch-strategy` is `replace`, which is what happens without one, too.
    pub patch_replace: bool,
    /// `x-kubernetes-patch-merge-key`.
    pub merge_key: Option<Name>,
    /// The list is a protobuf message of its own (`metav1.Verbs`) and not a repeated field.
    pub wrapped: bool,
    /// OpenAPI `format` where it does not follow from `type`.
    pub format: Option<Name>,
    /// The published enumeration.
    pub enumeration: Vec<Name>,
    /// `default` of the published OpenAPI (documentation and apply; not what the server fills in, see `crate::default`).
    pub published_default: Option<Name>,
    /// Constant the server fills in when the field is absent.
    pub default: Option<Box<Value>>,
}

impl Field {
    /// The name as the key of a member; that of a built-in field takes no memory of its own.
    pub(crate) fn key(&self) -> Text {
        match &self.name {
            Cow::Borrowed(name) => Text::new_static(name),
            Cow::Owned(name) => Text::new(name),
        }
    }

    /// A plain field of a name and type, every other fact unset.
    pub fn new(name: impl Into<Name>, r#type: Type) -> Self {
        Field {
            name: name.into(),
            number: 0,
            inline: Vec::new(),
            via: None,
            r#type,
            go_type: None,
            pointer: false,
            presence: Presence::OmitEmpty,
            required: false,
            list_type: ListType::Unset,
            map_keys: Vec::new(),
            patch_merge: false,
            retain_keys: false,
            patch_replace: false,
            merge_key: None,
            wrapped: false,
            format: None,
            enumeration: Vec::new(),
            published_default: None,
            default: None,
        }
    }

    /// Without `omitempty`; or with it, if the tag does nothing for the type.
    fn may_be_written_when_absent(&self) -> bool {
        let structure = self.r#type.is_structure() && !self.pointer;
        self.presence == Presence::Always || (self.presence == Presence::OmitEmpty && structure)
    }
}

/// Group, version and kind a type is registered as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gvk {
    /// API group, empty for the core group.
    pub group: Name,
    /// Version.
    pub version: Name,
    /// Kind.
    pub kind: Name,
}

/// One object type: a Go struct, or an object node of a custom resource's schema.
#[derive(Clone, Debug)]
pub struct ObjectType {
    /// OpenAPI v3 model name (`io.k8s.api.core.v1.PodSpec`); empty for the inner nodes of custom resources.
    pub name: Name,
    /// Go type as `reflect` prints it (`v1.PodSpec`).
    pub go_type: Name,
    /// What the published OpenAPI says this type is registered as. Empty for types that are no kinds.
    pub gvks: Vec<Gvk>,
    /// Further registrations, which are not published (`PodExecOptions`, option kinds of each group-version).
    pub registered: Vec<Gvk>,
    /// Published unions: `DISCRIMINATOR;JSON-NAME:VALUE;...`.
    pub unions: Vec<Name>,
    /// Fields in the order Go writes them.
    pub fields: Vec<Field>,
    /// `x-kubernetes-map-type: atomic` on the type itself.
    pub atomic: bool,
    /// Constants the server fills in, by a path from this type.
    pub(crate) constants: Vec<crate::default::Constant>,
    /// The rule for defaults that depend on something.
    pub(crate) rule: Option<crate::default::Rule>,
    /// Whether this type or one nested in it has defaults.
    pub(crate) has_defaults: bool,
    /// Hashes of the fields' names and their positions in `fields`, sorted by hash and name.
    by_name: Vec<(u16, u16)>,
    /// Positions of the fields that Go may write when they are absent.
    unasked: Vec<u16>,
    /// The order of the type's message, made when it is first written.
    layout: OnceLock<Layout>,
}

impl ObjectType {
    /// A type of these fields.
    pub fn new(name: impl Into<Name>, go_type: impl Into<Name>, fields: Vec<Field>) -> Self {
        let mut by_name: Vec<(u16, u16)> = fields.iter().map(|field| hash(&field.name)).zip(0..=u16::MAX).collect();
        by_name.sort_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| fields[usize::from(a.1)].name.cmp(&fields[usize::from(b.1)].name))
        });
        let unasked =
            (0..).zip(&fields).filter(|(_, field)| field.may_be_written_when_absent()).map(|(position, _)| position);
        let unasked = unasked.collect();
        ObjectType {
            name: name.into(),
            go_type: go_type.into(),
            gvks: Vec::new(),
            registered: Vec::new(),
            unions: Vec::new(),
            fields,
            atomic: false,
            constants: Vec::new(),
            rule: None,
            has_defaults: true,
            by_name,
            unasked,
            layout: OnceLock::new(),
        }
    }

    /// Positions of the fields that Go may write when they are absent, ascending.
    pub(crate) fn written_when_absent(&self) -> impl Iterator<Item = usize> {
        self.unasked.iter().map(|position| usize::from(*position))
    }

    /// The order of the type's message.
    pub(crate) fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| Layout::of(&self.fields))
    }

    /// Position of a field in [`ObjectType::fields`]. Case matters.
    pub fn position(&self, name: &str) -> Option<usize> {
        let hash = hash(name);
        let found = self.by_name.binary_search_by(|(other, position)| {
            other.cmp(&hash).then_with(|| self.fields[usize::from(*position)].name.as_ref().cmp(name))
        });
        found.ok().map(|found| usize::from(self.by_name[found].1))
    }

    /// A field by its JSON name. Case matters.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|position| &self.fields[position])
    }
}

/// Tells the names of a type's fields apart well enough: the length and four bytes. Names are compared much more often than they
/// are alike, and their bytes lie elsewhere.
fn hash(name: &str) -> u16 {
    let bytes = name.as_bytes();
    let middle = bytes.len() / 2;
    let parts = [bytes.first(), bytes.get(middle / 2), bytes.get(middle), bytes.last()];
    parts.into_iter().flatten().fold(bytes.len() as u16, |hash, byte| hash.wrapping_mul(31) ^ u16::from(*byte))
}

/// A set of object types that refer to each other.
#[derive(Debug, Default)]
pub struct Types {
    own: Vec<ObjectType>,
}

impl Types {
    pub(crate) fn builtin(own: Vec<ObjectType>) -> Self {
        Types { own }
    }

    /// The type of an id made by this set.
    pub fn get(&self, id: TypeId) -> &ObjectType {
        &self.own[id.0 as usize]
    }

    /// A handle on a type.
    pub fn schema(&self, id: TypeId) -> Schema<'_> {
        Schema { types: self, id, object: self.get(id) }
    }

    pub(crate) fn own_mut(&mut self) -> &mut [ObjectType] {
        &mut self.own
    }

    /// All types this set holds itself.
    pub fn iter(&self) -> impl Iterator<Item = Schema<'_>> {
        (0..self.own.len()).map(|position| self.schema(TypeId(position as u32)))
    }
}

/// Handle on one object type together with the set that resolves its references. Copy it freely.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    types: &'a Types,
    id: TypeId,
    object: &'a ObjectType,
}

impl std::fmt::Debug for Schema<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schema({})", self.object.name)
    }
}

impl PartialEq for Schema<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.object, other.object)
    }
}

impl<'a> Schema<'a> {
    /// The type.
    pub fn object(&self) -> &'a ObjectType {
        self.object
    }

    /// The type's id in [`Schema::types`].
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// The set that resolves this type's references.
    pub fn types(&self) -> &'a Types {
        self.types
    }

    /// A field by its JSON name.
    pub fn field(&self, name: &str) -> Option<&'a Field> {
        self.object.field(name)
    }

    /// The object type behind a reference that came from this schema's set.
    pub fn resolve(&self, id: TypeId) -> Schema<'a> {
        self.types.schema(id)
    }

    /// The object type of a value of this type, if it is one (for a list or map: of its elements).
    pub fn object_of(&self, r#type: &Type) -> Option<Schema<'a>> {
        match r#type {
            Type::Object(id) | Type::OrBool(id) | Type::OrArray(id) | Type::OrStringArray(id) => {
                Some(self.resolve(*id))
            }
            Type::List(element) | Type::Map(element) => self.object_of(element),
            _ => None,
        }
    }

    /// The object type found by following field names; lists and maps are stepped into without a name.
    pub fn at(&self, path: &[&str]) -> Option<Schema<'a>> {
        path.iter().try_fold(*self, |schema, name| schema.object_of(&schema.field(name)?.r#type))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::scheme::Scheme;

    #[test]
    fn a_field_is_found_by_its_name_and_by_nothing_else() {
        let types = Scheme::builtin().types();
        let all: HashSet<&str> =
            types.iter().flat_map(|schema| schema.object.fields.iter()).map(|field| field.name.as_ref()).collect();
        for schema in types.iter() {
            let object = schema.object;
            for name in &all {
                let expected = object.fields.iter().position(|field| field.name == *name);
                assert_eq!(object.position(name), expected, "{} of {}", name, object.name);
            }
        }
    }
}
