//! Bodies that are no text: protobuf, typed by its envelope, and CBOR, which is JSON in another writing.
//! Upstream: runtime/serializer/{protobuf,cbor}.

use json::json;

use super::node::Node;
use super::{Decoded, Error, Expected, FieldValidation, error, normalize};
use crate::cbor;
use crate::protobuf::{self, Envelope};
use crate::scheme::Scheme;

/// Decodes an object of a built-in kind from protobuf. What its envelope does not say, the target does.
pub fn decode_protobuf<'a>(
    body: &[u8],
    target: impl Into<Expected<'a>>,
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    let target = match target.into() {
        Expected::Typed(target) => target,
        custom @ Expected::Custom(_) => {
            return Err(Error::unrecognized("custom resources have no messages".to_owned(), custom, body));
        }
    };
    let envelope = Envelope::read(body).map_err(|reason| Error::unrecognized(reason.to_string(), target, body))?;
    let named = json!({"apiVersion": envelope.api_version, "kind": envelope.kind});
    let named = error::named_kind(&Node::of(&named), target);
    let named = named.map_err(|reason| Error::unrecognized(reason, target, body))?;
    let schema = if named.is(target) {
        target.schema
    } else {
        let known = Scheme::builtin().kind(&named.group, &named.version, &named.kind);
        known.ok_or_else(|| named.unknown_to(target, "pkg/runtime/scheme.go:111"))?
    };
    let decoded = protobuf::decode(envelope.raw, schema);
    let mut object = decoded.map_err(|reason| named.malformed(target, reason.to_string()))?;
    named.write(&mut object);
    normalize(&object, target, validation)
}

/// Decodes an object from CBOR.
pub fn decode_cbor<'a>(
    body: &[u8],
    target: impl Into<Expected<'a>>,
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    let target = target.into();
    let object = cbor::decode(body).map_err(|reason| Error::unrecognized(reason.to_string(), target, body))?;
    normalize(&object, target, validation)
}
