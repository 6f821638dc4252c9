//! Selecting objects by label and by field: what `?labelSelector=` and `?fieldSelector=` say, and `LabelSelector` objects.
//!
//! [`label::Selector`] and [`field::Selector`] are parsed once per request and matched against many objects, without copying
//! them. Error texts are upstream's; a request answers them as 400.

pub mod field;
pub mod label;

#[cfg(test)]
mod tests;
