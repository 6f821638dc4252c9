//! Events, in the fields of `v1` or of `events.k8s.io/v1`.

use super::*;

pub(in super::super) fn event_last_seen(event: &Value, context: &Context<'_>) -> Value {
    if let Some(series) = series(event) {
        return since(series.get("lastObservedTime"), context.now).into();
    }
    match time(event, "lastTimestamp", "deprecatedLastTimestamp") {
        Some(last) => since(Some(last), context.now).into(),
        None => event_first_seen(event, context),
    }
}

pub(in super::super) fn event_first_seen(event: &Value, context: &Context<'_>) -> Value {
    let first = time(event, "firstTimestamp", "deprecatedFirstTimestamp").or_else(|| event.get("eventTime"));
    since(first, context.now).into()
}

pub(in super::super) fn event_object(event: &Value, _: &Context<'_>) -> Value {
    let (kind, name) = (object(event, "kind").to_lowercase(), object(event, "name"));
    if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
}

pub(in super::super) fn event_subobject(event: &Value, _: &Context<'_>) -> Value {
    object(event, "fieldPath").into()
}

pub(in super::super) fn event_source(event: &Value, _: &Context<'_>) -> Value {
    let component = first_text(
        event,
        &["source.component", "deprecatedSource.component", "reportingComponent", "reportingController"],
    );
    match first_text(event, &["source.host", "deprecatedSource.host", "reportingInstance"]) {
        "" => component.into(),
        instance => format!("{component}, {instance}").into(),
    }
}

pub(in super::super) fn event_message(event: &Value, _: &Context<'_>) -> Value {
    first_text(event, &["message", "note"]).trim().into()
}

pub(in super::super) fn event_count(event: &Value, _: &Context<'_>) -> Value {
    if let Some(series) = series(event) {
        return integer_at(series, "count").into();
    }
    integer_at(event, "count").max(integer_at(event, "deprecatedCount")).max(1).into()
}

fn series(event: &Value) -> Option<&Value> {
    event.get("series").filter(|series| series.is_object())
}

/// A time under its name in either version, if it is set.
fn time<'a>(event: &'a Value, core: &str, events: &str) -> Option<&'a Value> {
    event.get(core).or_else(|| event.get(events)).filter(|time| time.is_string())
}

/// A field of the object the event is about.
fn object<'a>(event: &'a Value, field: &str) -> &'a str {
    let about = event.get("involvedObject").or_else(|| event.get("regarding"));
    about.map(|about| str_at(about, field)).unwrap_or_default()
}

fn first_text<'a>(event: &'a Value, paths: &[&str]) -> &'a str {
    paths.iter().map(|path| str_at(event, path)).find(|text| !text.is_empty()).unwrap_or_default()
}
