//! Parameters for drivers, which only they understand. Upstream: validateDeviceConfiguration, validateRawExtension.

use api::field::{Error, ErrorList};

use super::super::fields::At;
use super::super::validation::volume;

/// Largest parameters, and largest data of a device's status.
pub(super) const MAX_RAW: usize = 10 * 1024;

/// `opaque`, the only kind of configuration there is.
pub(super) fn configuration(at: &At<'_>, errors: &mut ErrorList) {
    let opaque = at.field("opaque");
    if !opaque.is_set() {
        errors.push(opaque.required(""));
        return;
    }
    volume::driver_name_declared(&opaque.field("driver"), errors);
    let parameters = opaque.field("parameters");
    if parameters.is_set() { raw_object(&parameters, errors) } else { errors.push(parameters.required("")) }
}

/// An object of unknown content.
pub(super) fn raw_object(at: &At<'_>, errors: &mut ErrorList) {
    if at.value.to_string().len() > MAX_RAW {
        errors.push(Error::too_long(&at.path, MAX_RAW));
    } else if !at.value.is_object() {
        errors.push(Error::invalid(&at.path, "<value omitted>", "must be a valid JSON object"));
    }
}
