//! Which names a definition gets, and what is said about it: plans, as values.
//! Upstream: apiextensions-apiserver/pkg/controller/{status,establish,apiapproval}.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use api::meta;
use json::{Map, Value, json};

use super::definition::condition;
use super::validation;
use crate::webhook::check_bundle;

/// Annotation that lets a definition into a group of Kubernetes' own.
pub(super) const APPROVAL: &str = "api-approved.kubernetes.io";

/// Names that other definitions of a group hold.
#[derive(Debug, Default)]
struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Taken {
    /// What the definitions of a group hold, by their status. One's own names are among them, and no obstacle.
    fn of<'a>(definitions: impl IntoIterator<Item = &'a Value>, group: &str) -> Taken {
        let mut taken = Taken::default();
        for definition in definitions.into_iter().filter(|definition| definition["spec"]["group"] == group) {
            taken.add(&definition["status"]);
        }
        taken
    }

    /// The names a status accepts are held from now on.
    fn add(&mut self, status: &Value) {
        for field in ["plural", "singular", "shortNames", "kind", "listKind"] {
            let values = match &status["acceptedNames"][field] {
                Value::Array(names) => names.as_slice(),
                name => std::slice::from_ref(name),
            };
            let set = if matches!(field, "kind" | "listKind") { &mut self.kinds } else { &mut self.resources };
            set.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
}

/// The statuses that definitions are to have, by their positions; those that have theirs are left out. Who comes first gets a name.
pub(super) fn plan_all(definitions: &[impl Borrow<Value>], now: &str) -> Vec<(usize, Value)> {
    let mut taken: HashMap<&str, Taken> = HashMap::new();
    let mut plans = Vec::new();
    for (index, definition) in definitions.iter().map(Borrow::borrow).enumerate() {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let taken = taken.entry(group).or_insert_with(|| Taken::of(definitions.iter().map(Borrow::borrow), group));
        if let Some(status) = plan(definition, taken, now) {
            taken.add(&status);
            plans.push((index, status));
        }
    }
    plans
}

/// The status a definition is to have; None if it has it.
fn plan(definition: &Value, taken: &Taken, now: &str) -> Option<Value> {
    let mut status = definition["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    accept(definition, taken, &mut status, now);
    approve(definition, &mut status, now);
    judge_schemas(definition, &mut status, now);
    (status != definition["status"]).then_some(status)
}

/// Names are had as soon as nobody else has them, and kept.
fn accept(definition: &Value, taken: &Taken, status: &mut Value, now: &str) {
    let wanted = &definition["spec"]["names"];
    let had = definition["status"]["acceptedNames"].clone();
    if *wanted == had {
        return establish(definition, status, now);
    }
    let mut names = had.as_object().cloned().unwrap_or_default();
    let mut refusal: Option<(&str, String)> = None;
    let single = [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("shortNames", "ShortNamesConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ];
    for (field, reason, used) in single {
        let conflicts = conflicts(&wanted[field], &had[field], used);
        if conflicts.is_empty() {
            take(&mut names, wanted, field);
        } else {
            let all = if conflicts.len() > 1 { format!("[{}]", conflicts.join(", ")) } else { conflicts.concat() };
            refusal = Some((reason, all));
        }
    }
    take(&mut names, wanted, "categories");
    let fits = refusal.is_none();
    let (reason, message) = refusal.unwrap_or(("NoConflicts", "no conflicts found".to_owned()));
    status["acceptedNames"] = Value::Object(names);
    set_condition(status, "NamesAccepted", fits, reason, &message, now);
    if condition(definition, "Established").is_none_or(|known| known["status"] != "True") {
        let (reason, message) = if fits {
            ("Installing", "the initial names have been accepted")
        } else {
            ("NotAccepted", "not all names are accepted")
        };
        set_condition(status, "Established", false, reason, message, now);
    }
}

/// What has its names, and is served by now, says so.
fn establish(definition: &Value, status: &mut Value, now: &str) {
    let is = |name: &str| condition(definition, name).is_some_and(|known| known["status"] == "True");
    if !is("NamesAccepted") || is("Established") {
        return;
    }
    let bundle = &definition["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"];
    if check_bundle(bundle).is_err() {
        let message = "The conversion webhook CABundle is invalid";
        return set_condition(status, "Established", false, "InvalidCABundle", message, now);
    }
    set_condition(status, "Established", true, "InitialNamesAccepted", "the initial names have been accepted", now);
}

/// Definitions of before v1 may keep unknown fields, and have schemas that are not structural: it is told how.
/// Upstream: nonstructuralschema.calculateCondition.
fn judge_schemas(definition: &Value, status: &mut Value, now: &str) {
    const NAME: &str = "NonStructuralSchema";
    if definition["spec"]["preserveUnknownFields"] == true {
        let (reason, message) = validation::structural_faults(definition);
        let state = if reason == "Violations" { State::True } else { State::Unknown };
        set_state(status, NAME, state, reason, &message, now);
    } else if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|condition| condition["type"] != NAME);
    }
}

fn conflicts(wanted: &Value, had: &Value, used: &HashSet<String>) -> Vec<String> {
    let list = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(name) => vec![name.to_string()],
            _ => Vec::new(),
        }
    };
    let had = list(had);
    let taken = |name: &String| !had.contains(name) && used.contains(name);
    let message = |name: String| format!("{} is already in use", api::go_text::quote(&name));
    list(wanted).into_iter().filter(taken).map(message).collect()
}

fn take(names: &mut Map, wanted: &Value, field: &str) {
    match wanted.get(field) {
        Some(value) => drop(names.insert(field.to_owned(), value.clone())),
        None => drop(names.shift_remove(field)),
    }
}

/// Groups of Kubernetes' own are let in by an annotation; what it says is shown.
fn approve(definition: &Value, status: &mut Value, now: &str) {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    if !is_protected(group) {
        return;
    }
    let (approval, message) = approval(definition);
    let (state, reason) = match approval {
        Approval::Invalid => ("False", "InvalidAnnotation"),
        Approval::Missing => ("False", "MissingAnnotation"),
        Approval::Approved => ("True", "ApprovedAnnotation"),
        Approval::Bypassed => ("False", "UnapprovedAnnotation"),
    };
    let name = "KubernetesAPIApprovalPolicyConformant";
    set_condition(status, name, state == "True", reason, &message, now);
}

/// Is a group one of Kubernetes' own? Upstream: apihelpers.IsProtectedCommunityGroup.
pub(super) fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|own| group == *own || group.ends_with(&format!(".{own}")))
}

/// What the annotation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    /// There is none.
    Missing,
    /// It is neither a link nor a refusal.
    Invalid,
    /// It links to the approval.
    Approved,
    /// It says that there is no approval.
    Bypassed,
}

/// Reads the annotation. Upstream: apihelpers.GetAPIApprovalState.
pub(super) fn approval(definition: &Value) -> (Approval, String) {
    let help = "see https://github.com/kubernetes/enhancements/pull/1111";
    let Some(text) = meta::annotations(definition).and_then(|all| all.get(APPROVAL)?.as_str()) else {
        let message =
            format!("protected groups must have approval annotation {}, {help}", api::go_text::quote(APPROVAL));
        return (Approval::Missing, message);
    };
    let has_host = text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.split(['/', '?', '#']).next().unwrap_or_default().is_empty()
    });
    if has_host {
        return (Approval::Approved, format!("approved in {text}"));
    }
    if text.starts_with("unapproved") {
        return (Approval::Bypassed, format!("not approved: {}", api::go_text::quote(text)));
    }
    let message = format!(
        "protected groups must have approval annotation {} with either a URL or a reason starting with \"unapproved\", {help}",
        api::go_text::quote(APPROVAL)
    );
    (Approval::Invalid, message)
}

/// Sets a condition in its place, or as the last one. The time is that of the last change of its state.
/// Upstream: apihelpers.SetCRDCondition.
pub(super) fn set_condition(status: &mut Value, name: &str, holds: bool, reason: &str, message: &str, now: &str) {
    set_state(status, name, if holds { State::True } else { State::False }, reason, message, now);
}

/// Does a condition hold?
#[derive(Clone, Copy, Debug)]
enum State {
    True,
    False,
    Unknown,
}

fn set_state(status: &mut Value, name: &str, state: State, reason: &str, message: &str, now: &str) {
    let state = match state {
        State::True => "True",
        State::False => "False",
        State::Unknown => "Unknown",
    };
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let known = conditions.iter_mut().find(|condition| condition["type"] == name);
    let since = match &known {
        Some(known) if known["status"] == state => known["lastTransitionTime"].clone(),
        _ => now.into(),
    };
    let condition = json!({
        "type": name, "status": state, "lastTransitionTime": since, "reason": reason, "message": message,
    });
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str) -> Value {
        let names = json!({"plural": plural, "singular": plural, "kind": kind, "listKind": format!("{kind}List")});
        json!({"metadata": {"name": format!("{plural}.example.com")}, "spec": {"group": "example.com", "names": names}})
    }

    #[test]
    fn of_definitions_that_come_together_the_first_gets_a_name_and_the_others_are_planned_as_well() {
        let definitions = [definition("as", "A"), definition("bs", "A"), definition("cs", "C")];
        let plans = plan_all(&definitions, "2026-11-21T00:00:00Z");
        assert_eq!(plans.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
        let accepted: Vec<&Value> = plans.iter().map(|(_, status)| &status["acceptedNames"]["kind"]).collect();
        assert_eq!(accepted, [&json!("A"), &Value::Null, &json!("C")]);
        assert_eq!(plans[1].1["conditions"][0]["reason"], "ListKindConflict");
    }

    /// The definition once all that is planned for it was written.
    fn settled(mut definition: Value) -> Value {
        for _ in 0..3 {
            for (_, status) in plan_all(std::slice::from_ref(&definition), "2026-11-21T00:00:00Z") {
                definition["status"] = status;
            }
        }
        definition
    }

    #[test]
    fn a_definition_whose_webhook_nobody_could_trust_is_not_established() {
        let mut bad = definition("as", "A");
        bad["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = "bm90IGEgcGVt".into();
        let bad = settled(bad);
        assert_eq!(bad["status"]["conditions"][1]["reason"], "InvalidCABundle");
        let mut mended = bad.clone();
        mended["spec"]["conversion"] = Value::Null;
        assert_eq!(settled(mended)["status"]["conditions"][1]["reason"], "InitialNamesAccepted");
    }

    #[test]
    fn schemas_of_before_v1_are_judged_until_they_are_mended() {
        let mut old = definition("as", "A");
        old["spec"]["preserveUnknownFields"] = true.into();
        old["spec"]["versions"] = json!([{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"a": {}}}}}]);
        let old = settled(old);
        let judged = condition(&old, "NonStructuralSchema").unwrap();
        assert_eq!(judged["status"], "True");
        assert_eq!(
            judged["message"],
            "[spec.preserveUnknownFields: Invalid value: true: must be false, \
             spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object \
             fields, spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root]"
        );
        let mut mended = old.clone();
        mended["spec"]["preserveUnknownFields"] = false.into();
        assert!(condition(&settled(mended), "NonStructuralSchema").is_none());
    }

    #[test]
    fn a_definition_that_has_its_status_is_not_written_again() {
        let mut definitions = [definition("as", "A")];
        for _ in 0..2 {
            let plans = plan_all(&definitions, "2026-11-21T00:00:00Z");
            let (_, status) = plans.into_iter().next().unwrap();
            definitions[0]["status"] = status;
        }
        assert_eq!(definitions[0]["status"]["conditions"][1]["reason"], "InitialNamesAccepted");
        assert!(plan_all(&definitions, "2026-11-21T01:00:00Z").is_empty());
    }
}
