//! JSON values of the API server's hot paths, under the names and with the behaviour of `serde_json`'s.
//!
//! A [`Value`] is 32 bytes; strings and keys of up to 23 bytes lie in it, longer ones are shared by its copies; an object is
//! a vector in the order of its members, so that copies cost a quarter of what they cost with `serde_json::Value`
//! (docs/decisions has the figures). Bytes are read and written by `serde_json` itself, so syntax,
//! limits, positions and texts of errors are its own.
//!
//! Never here: facts about the API, I/O, comments or any other JSON dialect.

mod access;
mod compare;
mod convert;
mod macros;
mod map;
mod read;
mod source;
mod to_value;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use access::Index;
pub use map::{Entry, Iter, IterMut, Map};
pub use serde_json::value::RawValue;
pub use serde_json::{
    Deserializer, Error, Number, Serializer, from_reader, from_slice, from_str, to_string, to_string_pretty, to_vec,
    to_vec_pretty, to_writer,
};
pub use smol_str::SmolStr as Text;
pub use source::from_value;
pub use to_value::to_value;
pub use value::Value;

#[doc(hidden)]
pub use macros::{interpolated, no_items};
