//! `value["name"]`, `value[3]` and what they mean where nothing is.

use std::ops;

use crate::{Map, Text, Value};

/// What a [`Value`] is asked by: the name of a member or the position of an item.
pub trait Index {
    /// The place, if it exists.
    fn place_in<'a>(&self, value: &'a Value) -> Option<&'a Value>;
    /// The place to change, if it exists.
    fn place_in_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value>;
    /// The place to change; a missing member is made, `null` becomes an object.
    ///
    /// # Panics
    /// Where the value is of another kind, or the position beyond its end.
    fn make_in<'a>(&self, value: &'a mut Value) -> &'a mut Value;
}

impl Index for usize {
    fn place_in<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_array()?.get(*self)
    }

    fn place_in_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_array_mut()?.get_mut(*self)
    }

    fn make_in<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        match value {
            Value::Array(items) => {
                let length = items.len();
                items.get_mut(*self).unwrap_or_else(|| panic!("no item {self} in a JSON array of {length}"))
            }
            other => panic!("no item {self} in {}", kind(other)),
        }
    }
}

impl Index for str {
    fn place_in<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_object()?.get(self)
    }

    fn place_in_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_object_mut()?.get_mut(self)
    }

    fn make_in<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(members) => members.entry(self).or_insert(Value::Null),
            other => panic!("no member {self:?} in {}", kind(other)),
        }
    }
}

macro_rules! index_as_str {
    ($($of:ty),*) => {$(
        impl Index for $of {
            fn place_in<'a>(&self, value: &'a Value) -> Option<&'a Value> {
                self.as_str().place_in(value)
            }

            fn place_in_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
                self.as_str().place_in_mut(value)
            }

            fn make_in<'a>(&self, value: &'a mut Value) -> &'a mut Value {
                self.as_str().make_in(value)
            }
        }
    )*};
}

index_as_str!(String, Text);

impl<T: ?Sized + Index> Index for &T {
    fn place_in<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        (**self).place_in(value)
    }

    fn place_in_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        (**self).place_in_mut(value)
    }

    fn make_in<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        (**self).make_in(value)
    }
}

/// `Null` where nothing is.
impl<I: Index> ops::Index<I> for Value {
    type Output = Value;

    fn index(&self, index: I) -> &Value {
        const NOTHING: &Value = &Value::Null;
        index.place_in(self).unwrap_or(NOTHING)
    }
}

impl<I: Index> ops::IndexMut<I> for Value {
    fn index_mut(&mut self, index: I) -> &mut Value {
        index.make_in(self)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a JSON boolean",
        Value::Number(_) => "a JSON number",
        Value::String(_) => "a JSON string",
        Value::Array(_) => "a JSON array",
        Value::Object(_) => "a JSON object",
    }
}
