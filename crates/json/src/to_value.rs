//! A type of its own as a [`Value`].

use serde::ser::{self, Error as _, Serialize};

use crate::{Error, Map, Text, Value};

/// What a type serialises to. Fails for maps whose keys are neither texts nor numbers.
pub fn to_value<T: Serialize>(value: T) -> Result<Value, Error> {
    value.serialize(ToValue)
}

struct ToValue;

/// Items as they come; of an enum's variant, under its name.
struct Items {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

/// Members as they come; of an enum's variant, under its name.
struct Members {
    variant: Option<&'static str>,
    key: Text,
    members: Map,
}

fn under(variant: Option<&'static str>, content: Value) -> Value {
    match variant {
        None => content,
        Some(name) => Value::Object(Map::from_iter([(Text::new_static(name), content)])),
    }
}

/// A key, which JSON wants as a text.
fn key_of<T: Serialize + ?Sized>(key: &T) -> Result<Text, Error> {
    match key.serialize(ToValue)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Bool(flag) => Ok(Text::new_static(if flag { "true" } else { "false" })),
        _ => Err(Error::custom("key must be a string")),
    }
}

impl Items {
    fn new(variant: Option<&'static str>, len: usize) -> Result<Items, Error> {
        Ok(Items { variant, items: Vec::with_capacity(len) })
    }

    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        self.items.push(item.serialize(ToValue)?);
        Ok(())
    }

    fn done(self) -> Result<Value, Error> {
        Ok(under(self.variant, Value::Array(self.items)))
    }
}

impl Members {
    fn new(variant: Option<&'static str>, len: usize) -> Result<Members, Error> {
        Ok(Members { variant, key: Text::default(), members: Map::with_capacity(len) })
    }

    fn put<T: Serialize + ?Sized>(&mut self, key: Text, value: &T) -> Result<(), Error> {
        self.members.insert(key, value.serialize(ToValue)?);
        Ok(())
    }

    fn done(self) -> Result<Value, Error> {
        Ok(under(self.variant, Value::Object(self.members)))
    }
}

macro_rules! by_into {
    ($($method:ident: $of:ty;)*) => {$(
        fn $method(self, value: $of) -> Result<Value, Error> {
            Ok(value.into())
        }
    )*};
}

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    by_into! {
        serialize_bool: bool;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_f32: f32;
        serialize_f64: f64;
        serialize_str: &str;
        serialize_bytes: &[u8];
    }

    fn serialize_char(self, value: char) -> Result<Value, Error> {
        Ok(Value::String(Text::from(value)))
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _at: u32, variant: &'static str) -> Result<Value, Error> {
        Ok(Value::String(Text::new_static(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(under(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items, Error> {
        Items::new(None, len.unwrap_or_default())
    }

    fn serialize_tuple(self, len: usize) -> Result<Items, Error> {
        Items::new(None, len)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Items, Error> {
        Items::new(None, len)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items, Error> {
        Items::new(Some(variant), len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Members, Error> {
        Members::new(None, len.unwrap_or_default())
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Members, Error> {
        Members::new(None, len)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Members, Error> {
        Members::new(Some(variant), len)
    }
}

macro_rules! item_by_item {
    ($($of:ident $method:ident;)*) => {$(
        impl ser::$of for Items {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
                self.push(item)
            }

            fn end(self) -> Result<Value, Error> {
                self.done()
            }
        }
    )*};
}

item_by_item! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! member_by_member {
    ($($of:ident)*) => {$(
        impl ser::$of for Members {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.put(Text::new_static(key), value)
            }

            fn end(self) -> Result<Value, Error> {
                self.done()
            }
        }
    )*};
}

member_by_member!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Members {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = key_of(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.put(key, value)
    }

    fn end(self) -> Result<Value, Error> {
        self.done()
    }
}
