//! What becomes a [`Value`] by `into` and `collect`.

use std::borrow::Cow;

use crate::{Map, Number, Text, Value};

macro_rules! from_integers {
    ($($of:ty)*) => {$(
        impl From<$of> for Value {
            fn from(number: $of) -> Value {
                Value::Number(number.into())
            }
        }
    )*};
}

from_integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

macro_rules! from_texts {
    ($($of:ty),*) => {$(
        impl From<$of> for Value {
            fn from(text: $of) -> Value {
                Value::String(text.into())
            }
        }
    )*};
}

from_texts!(&str, String, Cow<'_, str>);

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::String(text)
    }
}

/// `null` for what JSON cannot write: infinities and what is no number.
impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Value {
        f64::from(number).into()
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        Value::Number(number)
    }
}

impl From<Map> for Value {
    fn from(members: Map) -> Value {
        Value::Object(members)
    }
}

impl From<()> for Value {
    fn from((): ()) -> Value {
        Value::Null
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Value {
        items.into_iter().collect()
    }
}

impl<T: Clone + Into<Value>> From<&[T]> for Value {
    fn from(items: &[T]) -> Value {
        items.iter().cloned().collect()
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Value {
        Value::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect())
    }
}

impl std::str::FromStr for Value {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Value, crate::Error> {
        crate::from_str(text)
    }
}
