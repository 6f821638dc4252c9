//! `value == "text"`, `value == 3`: comparison with what is not a [`Value`].

use crate::{Text, Value};

macro_rules! equals_text {
    ($($of:ty),*) => {$(
        impl PartialEq<$of> for Value {
            fn eq(&self, other: &$of) -> bool {
                self.as_str().is_some_and(|text| *text == **other)
            }
        }

        impl PartialEq<Value> for $of {
            fn eq(&self, other: &Value) -> bool {
                other == self
            }
        }
    )*};
}

equals_text!(&str, String, Text);

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<Value> for str {
    fn eq(&self, other: &Value) -> bool {
        other == self
    }
}

macro_rules! equals {
    ($($read:ident as $wide:ty: $($of:ty)*;)*) => {$($(
        impl PartialEq<$of> for Value {
            fn eq(&self, other: &$of) -> bool {
                self.$read() == Some(*other as $wide)
            }
        }

        impl PartialEq<Value> for $of {
            fn eq(&self, other: &Value) -> bool {
                other == self
            }
        }

        impl PartialEq<$of> for &Value {
            fn eq(&self, other: &$of) -> bool {
                **self == *other
            }
        }

        impl PartialEq<$of> for &mut Value {
            fn eq(&self, other: &$of) -> bool {
                **self == *other
            }
        }
    )*)*};
}

equals! {
    as_i64 as i64: i8 i16 i32 i64 isize;
    as_u64 as u64: u8 u16 u32 u64 usize;
    as_f64 as f64: f32 f64;
    as_bool as bool: bool;
}
