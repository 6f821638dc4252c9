//! Object metadata: owners, references, labels, deadlines. Pure functions over typed objects.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};

use crate::engine::Event;

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// The object's uid, empty before it is created.
pub(crate) fn uid(metadata: &ObjectMeta) -> &str {
    metadata.uid.as_deref().unwrap_or_default()
}

/// The object's name.
pub(crate) fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The object's namespace, empty for cluster-scoped ones.
pub(crate) fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or_default()
}

/// The object's labels.
pub(crate) fn labels(metadata: &ObjectMeta) -> &BTreeMap<String, String> {
    metadata.labels.as_ref().unwrap_or(&NO_LABELS)
}

/// One annotation's value.
pub(crate) fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// True once deletion was asked for.
pub(crate) fn is_deleting(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_some()
}

/// True if `finalizer` is present.
pub(crate) fn has_finalizer(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == finalizer))
}

/// When the object was created; the epoch if unknown.
pub(crate) fn created(metadata: &ObjectMeta) -> Timestamp {
    metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// The owner that manages the object.
pub(crate) fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// True if `owner` manages the object.
pub(crate) fn is_controlled_by(metadata: &ObjectMeta, owner: &ObjectMeta) -> bool {
    controller_of(metadata).is_some_and(|reference| Some(&reference.uid) == owner.uid.as_ref())
}

/// The reference by which `owner` manages other objects.
pub(crate) fn controller_ref<K: k8s_openapi::Resource>(owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: name(owner).to_owned(),
        uid: uid(owner).to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The reference events use.
pub(crate) fn reference<K: k8s_openapi::Resource>(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}

/// A `Normal` event about the object.
pub(crate) fn normal<K: k8s_openapi::Resource>(
    metadata: &ObjectMeta,
    reason: &'static str,
    message: impl Into<String>,
) -> Event {
    Event { regarding: reference::<K>(metadata), warning: false, reason, message: message.into() }
}

/// A `Warning` event about the object.
pub(crate) fn warning<K: k8s_openapi::Resource>(
    metadata: &ObjectMeta,
    reason: &'static str,
    message: impl Into<String>,
) -> Event {
    Event { regarding: reference::<K>(metadata), warning: true, reason, message: message.into() }
}

/// The present moment at the API's resolution of one second, so that comparing what is written with what is read works.
pub(crate) fn time(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Time from `now` until `then`, or `None` if it has come.
pub(crate) fn until(then: Timestamp, now: Timestamp) -> Option<Duration> {
    let span = then.duration_since(now);
    if span.is_positive() { Some(span.unsigned_abs()) } else { None }
}

/// Whole seconds after a moment.
pub(crate) fn after(from: Timestamp, seconds: i64) -> Timestamp {
    from.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// The compiled selector; `None` if it is invalid. An absent selector is the caller's matter: it selects nothing.
pub(crate) fn selector(selector: &LabelSelector) -> Option<Selector> {
    Selector::try_from(selector.clone()).ok()
}

/// True if the object's labels satisfy `selector`.
pub(crate) fn selects(selector: &Selector, metadata: &ObjectMeta) -> bool {
    selector.matches(labels(metadata))
}

/// True if `labels` has every pair of `wanted`.
pub(crate) fn contains_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A number, or a percentage of `total`, rounded up or down. `None` if the string is no percentage.
///
/// Upstream: intstr.GetScaledValueFromIntOrPercent.
pub(crate) fn scaled(value: &IntOrString, total: i32, round_up: bool) -> Option<i32> {
    match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let product = percent * i64::from(total);
            let rounded = if round_up { (product + 99).div_euclid(100) } else { product.div_euclid(100) };
            i32::try_from(rounded).ok()
        }
    }
}

/// `None` for zero: what Go's `omitempty` leaves out.
pub(crate) fn omit_zero(number: i32) -> Option<i32> {
    (number != 0).then_some(number)
}

/// An owner's name with a dash, cut so that a generated suffix still fits.
///
/// Upstream: controller.getPodsPrefix.
pub(crate) fn generate_name(owner: &str) -> String {
    let prefix = format!("{owner}-");
    // A prefix is valid if it is a DNS subdomain once its last dash is masked; only the length can be wrong here.
    if prefix.len() <= 253 { prefix } else { owner.to_owned() }
}
