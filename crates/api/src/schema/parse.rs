//! Reader of `data/types.txt`, the generated table of object types.
//!
//! One line a type (`= MODEL GO-TYPE [kind=GROUP/VERSION/KIND]... [FACT]...`), then one line a field
//! (`NAME NUMBER TYPE [FACT]...`). `hack/schemagen` writes it and documents each fact beside the code that writes it.
//! All names borrow from the text.

use std::collections::HashMap;

use super::{Field, Gvk, ListType, Name, ObjectType, Presence, Type, TypeId, Types};

/// A line of the table that makes no sense; only a broken build has one.
#[derive(Debug, thiserror::Error)]
#[error("fact table, line {line}: {problem}: {text:?}")]
pub(crate) struct Error {
    pub(crate) line: usize,
    pub(crate) text: &'static str,
    pub(crate) problem: &'static str,
}

/// The parsed table.
pub(crate) struct Parsed {
    pub(crate) types: Types,
    pub(crate) by_name: HashMap<Name, TypeId>,
    pub(crate) kinds: Vec<(Gvk, TypeId)>,
}

struct Reader {
    ids: HashMap<&'static str, TypeId>,
    /// Buffer for joining a package and a name.
    joined: String,
}

/// Parses the table of types.
pub(crate) fn parse_types(text: &'static str) -> Result<Parsed, Error> {
    let names = text.lines().filter_map(|line| line.strip_prefix("= ")?.split(' ').next());
    let ids = names.enumerate().map(|(position, name)| (name, TypeId(position as u32))).collect();
    let mut reader = Reader { ids, joined: String::new() };

    let mut own = Vec::with_capacity(reader.ids.len());
    let mut kinds = Vec::new();
    let mut open: Option<(ObjectType, Vec<Field>)> = None;
    for (position, line) in text.lines().enumerate() {
        let fail = |problem| Error { line: position + 1, text: line, problem };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix("= ") {
            own.extend(open.take().map(close));
            let header = type_header(header).ok_or_else(|| fail("bad type line"))?;
            let id = TypeId(own.len() as u32);
            kinds.extend(header.gvks.iter().chain(&header.registered).map(|gvk| (gvk.clone(), id)));
            open = Some((header, Vec::new()));
        } else {
            let (header, fields) = open.as_mut().ok_or_else(|| fail("field before any type"))?;
            let package = header.name.rsplit_once('.').map_or("", |(package, _)| package);
            fields.push(reader.field(package, line).map_err(fail)?);
        }
    }
    own.extend(open.take().map(close));
    let by_name = reader.ids.into_iter().map(|(name, id)| (Name::Borrowed(name), id)).collect();
    Ok(Parsed { types: Types::builtin(own), by_name, kinds })
}

fn close((header, fields): (ObjectType, Vec<Field>)) -> ObjectType {
    let ObjectType { name, go_type, gvks, registered, unions, atomic, .. } = header;
    ObjectType { gvks, registered, unions, atomic, ..ObjectType::new(name, go_type, fields) }
}

fn type_header(header: &'static str) -> Option<ObjectType> {
    let mut words = header.split(' ');
    let mut object = ObjectType::new(words.next()?, words.next()?, Vec::new());
    for fact in words {
        if let Some(gvk) = fact.strip_prefix("kind=") {
            object.gvks.push(gvk_of(gvk)?);
        } else if let Some(gvk) = fact.strip_prefix("as=") {
            object.registered.push(gvk_of(gvk)?);
        } else if let Some(union) = fact.strip_prefix("union=") {
            object.unions.push(union.into());
        } else if fact == "atomic" {
            object.atomic = true;
        } else {
            return None;
        }
    }
    Some(object)
}

/// `GROUP/VERSION/KIND`, the core group written as nothing.
pub(crate) fn gvk_of(text: &'static str) -> Option<Gvk> {
    let mut parts = text.split('/');
    let gvk = Gvk { group: parts.next()?.into(), version: parts.next()?.into(), kind: parts.next()?.into() };
    parts.next().is_none().then_some(gvk)
}

impl Reader {
    fn field(&mut self, package: &str, line: &'static str) -> Result<Field, &'static str> {
        let mut words = line.split(' ');
        let name = words.next().ok_or("no name")?;
        let number = words.next().and_then(|number| number.parse().ok()).ok_or("no protobuf number")?;
        let r#type = self.r#type(package, words.next().ok_or("no type")?)?;
        let mut field = Field { number, presence: Presence::Always, ..Field::new(name, r#type) };
        for fact in words {
            match fact.split_once('=') {
                Some((key, value)) => set_fact(&mut field, key, value)?,
                None => set_flag(&mut field, fact)?,
            }
        }
        Ok(field)
    }

    fn r#type(&mut self, package: &str, text: &str) -> Result<Type, &'static str> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Type::List(Box::new(self.r#type(package, element)?)));
        }
        if let Some(element) = text.strip_prefix("{}") {
            return Ok(Type::Map(Box::new(self.r#type(package, element)?)));
        }
        if let Some((shape, name)) = text.split_once('@') {
            let id = self.id(package, name).ok_or("reference to an unknown type")?;
            return match shape {
                "" => Ok(Type::Object(id)),
                "orbool" => Ok(Type::OrBool(id)),
                "orarray" => Ok(Type::OrArray(id)),
                "orstrings" => Ok(Type::OrStringArray(id)),
                _ => Err("unknown reference shape"),
            };
        }
        Ok(match text {
            "bool" => Type::Bool,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "uint32" => Type::Uint32,
            "uint64" => Type::Uint64,
            "float64" => Type::Float64,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "quantity" => Type::Quantity,
            "intorstring" => Type::IntOrString,
            "time" => Type::Time,
            "microtime" => Type::MicroTime,
            "duration" => Type::Duration,
            "fieldsv1" => Type::FieldsV1,
            "any" => Type::Any,
            "raw" => Type::RawExtension,
            _ => return Err("unknown type"),
        })
    }

    /// A bare name is of the same package.
    fn id(&mut self, package: &str, name: &str) -> Option<TypeId> {
        if name.contains('.') {
            return self.ids.get(name).copied();
        }
        self.joined.clear();
        self.joined.extend([package, ".", name]);
        self.ids.get(self.joined.as_str()).copied()
    }
}

fn set_flag(field: &mut Field, flag: &str) -> Result<(), &'static str> {
    match flag {
        "ptr" => field.pointer = true,
        "omitempty" => field.presence = Presence::OmitEmpty,
        "omitzero" => field.presence = Presence::OmitZero,
        "required" => field.required = true,
        "merge" => field.patch_merge = true,
        "replace" => field.patch_replace = true,
        "wrapped" => field.wrapped = true,
        "retainkeys" => field.retain_keys = true,
        _ => return Err("unknown flag"),
    }
    Ok(())
}

fn set_fact(field: &mut Field, key: &str, value: &'static str) -> Result<(), &'static str> {
    match key {
        "inline" => {
            field.inline =
                value.split(',').map(|number| number.parse().map_err(|_| "bad number")).collect::<Result<_, _>>()?;
        }
        "via" => field.via = Some(value.into()),
        "go" => field.go_type = Some(value.into()),
        "list" => {
            field.list_type = match value {
                "atomic" => ListType::Atomic,
                "set" => ListType::Set,
                "map" => ListType::Map,
                "granular" => ListType::Granular,
                _ => return Err("unknown list type"),
            }
        }
        "keys" => field.map_keys = value.split(',').map(Name::Borrowed).collect(),
        "mergekey" => field.merge_key = Some(value.into()),
        "format" => field.format = Some(value.into()),
        "enum" => {
            let value_of = |word: &'static str| match word {
                "\"\"" => Name::Borrowed(""),
                word if word.contains('_') => Name::Owned(word.replace('_', " ")),
                word => Name::Borrowed(word),
            };
            field.enumeration = value.split(',').map(value_of).collect();
        }
        "default" => field.published_default = Some(value.into()),
        _ => return Err("unknown fact"),
    }
    Ok(())
}
