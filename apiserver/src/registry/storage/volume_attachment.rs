//! VolumeAttachments: the wish that a driver attach a volume to a node. Upstream: ValidateVolumeAttachment.

use api::field::{Error, ErrorList};
use api::names;
use json::{Value, json};

use crate::context::RequestContext;
use crate::registry::core::persistent_volume;
use crate::registry::fields::{At, set};
use crate::registry::strategy::Strategy;
use crate::registry::validation::{immutable_declared, map_size, named, same, volume};

const MAX_METADATA: usize = 256 * 1024;
const MAX_MESSAGE: usize = 1024;

/// The semantics of attachments.
#[derive(Debug, Clone, Copy)]
pub struct VolumeAttachment;

impl Strategy for VolumeAttachment {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({"attached": false}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = rules(new);
        volume::driver_name_declared(&At::root(new).field("spec").field("attacher"), &mut errors);
        errors
    }

    /// The spec stays: its declared rules are not asked when it does not.
    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = rules(new);
        let spec = At::root(new).field("spec");
        immutable_declared(&spec, &old["spec"], &mut errors);
        if !same(spec.value, &old["spec"]) {
            volume::driver_name(&spec.field("attacher"), &mut errors);
        }
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        rules(new)
    }
}

/// All but the name of the driver, whose words depend on the occasion.
fn rules(object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(object).field("spec");
    let node = spec.field("nodeName");
    named(&node, names::name_is_dns_subdomain(node.str(), false), &mut errors);
    source(&spec.field("source"), &mut errors);
    let status = At::root(object).field("status");
    map_size(&status.field("attachmentMetadata"), MAX_METADATA, &mut errors);
    volume_error(&status.field("attachError"), &mut errors);
    volume_error(&status.field("detachError"), &mut errors);
    errors
}

fn source(at: &At<'_>, errors: &mut ErrorList) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (inline, name) = (at.field("inlineVolumeSpec"), at.field("persistentVolumeName"));
    match (inline.is_set(), name.is_set()) {
        (false, false) => errors.push(at.required(ONE)),
        (true, true) => errors.push(at.forbidden(ONE)),
        (false, true) if name.str().is_empty() => {
            errors.push(name.required("must specify non empty persistentVolumeName"));
        }
        (false, true) => {}
        (true, false) => persistent_volume::spec(&inline, true, errors),
    }
    if name.is_set() {
        named(&name, names::name_is_dns_subdomain(name.str(), false), errors);
    }
}

fn volume_error(at: &At<'_>, errors: &mut ErrorList) {
    if at.text("message").len() > MAX_MESSAGE {
        errors.push(Error::too_long(&at.field("message").path, MAX_MESSAGE));
    }
    let code = at.field("errorCode");
    if code.int() < 0 {
        errors.push(code.invalid_int(names::inclusive_range_error(0, i32::MAX.into())));
    }
}
