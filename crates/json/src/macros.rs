//! `json!`: a value written as JSON, with expressions where they are wanted.

use serde::Serialize;

use crate::Value;

/// A [`Value`] written as JSON. Any place may hold an expression of a type that serialises; a key may be one that becomes
/// a [`crate::Text`].
///
/// # Panics
/// Where an expression does not serialise: a map whose keys are neither texts nor numbers.
#[macro_export]
macro_rules! json {
    (null) => { $crate::Value::Null };
    ([]) => { $crate::Value::Array(::std::vec::Vec::new()) };
    ([ $($items:tt)+ ]) => {{
        let mut items = $crate::no_items();
        $crate::json_items!(items; $($items)+);
        $crate::Value::Array(items)
    }};
    ({}) => { $crate::Value::Object($crate::Map::new()) };
    ({ $($members:tt)+ }) => {{
        let mut members = $crate::Map::new();
        $crate::json_members!(members; () $($members)+);
        $crate::Value::Object(members)
    }};
    ($value:expr) => { $crate::interpolated(&$value) };
}

/// Pushes the items of an array, one a step.
#[doc(hidden)]
#[macro_export]
macro_rules! json_items {
    ($list:ident;) => {};
    ($list:ident; null $(, $($rest:tt)*)?) => {
        $list.push($crate::Value::Null);
        $crate::json_items!($list; $($($rest)*)?);
    };
    ($list:ident; [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $list.push($crate::json!([ $($inner)* ]));
        $crate::json_items!($list; $($($rest)*)?);
    };
    ($list:ident; { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $list.push($crate::json!({ $($inner)* }));
        $crate::json_items!($list; $($($rest)*)?);
    };
    ($list:ident; $value:expr $(, $($rest:tt)*)?) => {
        $list.push($crate::interpolated(&$value));
        $crate::json_items!($list; $($($rest)*)?);
    };
}

/// Inserts the members of an object, one a step. The tokens of a key gather in the parentheses until its colon.
#[doc(hidden)]
#[macro_export]
macro_rules! json_members {
    ($map:ident; ()) => {};
    ($map:ident; ($($key:tt)+) : null $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::Value::Null);
        $crate::json_members!($map; () $($($rest)*)?);
    };
    ($map:ident; ($($key:tt)+) : [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::json!([ $($inner)* ]));
        $crate::json_members!($map; () $($($rest)*)?);
    };
    ($map:ident; ($($key:tt)+) : { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::json!({ $($inner)* }));
        $crate::json_members!($map; () $($($rest)*)?);
    };
    ($map:ident; ($($key:tt)+) : $value:expr $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::interpolated(&$value));
        $crate::json_members!($map; () $($($rest)*)?);
    };
    ($map:ident; () $key:literal : $($rest:tt)+) => {
        $crate::json_members!($map; ($crate::Text::new_static($key)) : $($rest)+);
    };
    ($map:ident; () ($key:expr) : $($rest:tt)+) => {
        $crate::json_members!($map; ($key) : $($rest)+);
    };
    ($map:ident; ($($key:tt)*) $next:tt $($rest:tt)*) => {
        $crate::json_members!($map; ($($key)* $next) $($rest)*);
    };
}

/// An array to be filled: a macro does not know how long it gets.
#[doc(hidden)]
pub fn no_items() -> Vec<Value> {
    Vec::new()
}

/// An expression within `json!`.
#[doc(hidden)]
pub fn interpolated<T: Serialize + ?Sized>(value: &T) -> Value {
    crate::to_value(value).expect("what json! is given has keys that are texts or numbers")
}
