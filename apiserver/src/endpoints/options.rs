//! GetOptions, ListOptions, CreateOptions, UpdateOptions, PatchOptions and DeleteOptions, from the query or a body, validated.
//! Upstream: metav1's conversions from url.Values, metainternalversion validation and metav1/validation.

use api::decode::FieldValidation;
use api::field::{self, ErrorList, Path};
use api::meta::GroupKind;
use api::selector::{field as field_selector, label as label_selector};
use api::status::Status;
use json::{Map, Value, json};

use super::query::Query;

/// Longest `fieldManager`. Upstream: FieldManagerMaxLength.
const FIELD_MANAGER_MAX_LENGTH: usize = 128;

/// `resourceVersionMatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// Exactly the revision given.
    Exact,
    /// That or a newer one.
    NotOlderThan,
}

/// Options of list, watch and deletecollection. Upstream: metainternalversion.ListOptions.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Empty selects all.
    pub label_selector: label_selector::Selector,
    /// Empty selects all.
    pub field_selector: field_selector::Selector,
    /// As given; "" is unset.
    pub resource_version: String,
    /// Unset in most requests.
    pub resource_version_match: Option<VersionMatch>,
    /// 0 is no limit.
    pub limit: i64,
    /// Continue token or "".
    pub continue_token: String,
    /// Of a watch.
    pub timeout_seconds: Option<u64>,
    /// May bookmarks be sent?
    pub allow_watch_bookmarks: bool,
    /// Watch: begin with all objects as they are.
    pub send_initial_events: Option<bool>,
}

impl ListOptions {
    /// Decodes and validates; `watch` says which rules hold.
    pub fn decode(query: &Query, watch: bool) -> Result<ListOptions, Status> {
        let text = |key: &str| query.get(key).unwrap_or_default().to_string();
        let label_selector = label_selector::Selector::parse(query.get("labelSelector").unwrap_or_default())
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let field_selector = field_selector::Selector::parse(query.get("fieldSelector").unwrap_or_default())
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let mut given_match = text("resourceVersionMatch");
        let mut send_initial_events = bool_of(query, "sendInitialEvents");
        let from_anywhere = matches!(query.get("resourceVersion"), None | Some("" | "0"));
        // Such a watch begins with all there is, also when it does not ask for it. Upstream: SetListOptionsDefaults.
        if watch && from_anywhere && send_initial_events.is_none() && given_match.is_empty() {
            send_initial_events = Some(true);
            given_match = "NotOlderThan".to_string();
        }
        let options = ListOptions {
            label_selector,
            field_selector,
            resource_version: text("resourceVersion"),
            resource_version_match: match given_match.as_str() {
                "Exact" => Some(VersionMatch::Exact),
                "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                _ => None,
            },
            limit: int(query, "limit")?.unwrap_or(0).max(0),
            continue_token: text("continue"),
            timeout_seconds: int(query, "timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()),
            allow_watch_bookmarks: bool_of(query, "allowWatchBookmarks").unwrap_or(false),
            send_initial_events,
        };
        let errors = if watch { options.validate_watch(&given_match) } else { options.validate_list(&given_match) };
        invalid("ListOptions", errors)?;
        Ok(options)
    }

    fn validate_list(&self, given_match: &str) -> ErrorList {
        let mut errors = ErrorList::new();
        let path = Path::new("resourceVersionMatch");
        if !given_match.is_empty() {
            if self.resource_version.is_empty() {
                errors.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if !self.continue_token.is_empty() {
                errors.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if self.resource_version_match.is_none() {
                errors.push(field::Error::not_supported(&path, given_match, ["Exact", "NotOlderThan", ""]));
            }
            if self.resource_version_match == Some(VersionMatch::Exact) && self.resource_version == "0" {
                let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(field::Error::forbidden(&path, detail));
            }
        }
        if self.send_initial_events.is_some() {
            let path = Path::new("sendInitialEvents");
            errors.push(field::Error::forbidden(&path, "sendInitialEvents is forbidden for list"));
        }
        errors
    }

    fn validate_watch(&self, given_match: &str) -> ErrorList {
        let mut errors = ErrorList::new();
        let path = Path::new("resourceVersionMatch");
        if self.send_initial_events.is_some() && given_match != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(field::Error::forbidden(&path, detail));
        }
        if !given_match.is_empty() {
            if self.send_initial_events.is_none() {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(field::Error::forbidden(&path, detail));
            }
            if given_match != "NotOlderThan" {
                errors.push(field::Error::not_supported(&path, given_match, ["NotOlderThan"]));
            }
            if !self.continue_token.is_empty() {
                let detail = "resourceVersionMatch is forbidden when continue is provided";
                errors.push(field::Error::forbidden(&path, detail));
            }
        }
        errors
    }
}

/// Options of create, update and patch, in one: what differs is which are allowed.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// `?dryRun=All`.
    pub dry_run: bool,
    /// `?fieldManager=`.
    pub field_manager: String,
    /// `?fieldValidation=`.
    pub field_validation: FieldValidation,
    /// The same as it was given; admission shows it.
    pub given_validation: String,
    /// `?force=` of an apply.
    pub force: bool,
    /// Which of the three, for messages and admission: `CreateOptions`...
    pub kind: &'static str,
}

impl WriteOptions {
    /// Decodes and validates; `kind` is CreateOptions, UpdateOptions or PatchOptions.
    pub fn decode(query: &Query, kind: &'static str) -> Result<WriteOptions, Status> {
        let mut errors = ErrorList::new();
        if kind == "PatchOptions" && bool_of(query, "force").is_some() {
            errors.push(field::Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
        }
        WriteOptions::validated(query, kind, errors)
    }

    /// Decodes and validates the PatchOptions of an apply, which needs a manager and may be forced.
    pub fn decode_apply(query: &Query) -> Result<WriteOptions, Status> {
        let mut errors = ErrorList::new();
        if query.get("fieldManager").unwrap_or_default().is_empty() {
            errors.push(field::Error::required(&Path::new("fieldManager"), "is required for apply patch"));
        }
        let options = WriteOptions::validated(query, "PatchOptions", errors)?;
        Ok(WriteOptions { force: bool_of(query, "force").unwrap_or_default(), ..options })
    }

    fn validated(query: &Query, kind: &'static str, mut errors: ErrorList) -> Result<WriteOptions, Status> {
        let field_manager = query.get("fieldManager").unwrap_or_default().to_string();
        if field_manager.len() > FIELD_MANAGER_MAX_LENGTH {
            errors.push(field::Error::too_long(&Path::new("fieldManager"), FIELD_MANAGER_MAX_LENGTH));
        }
        if let Some((at, bad)) = field_manager.char_indices().find(|(_, c)| c.is_control()) {
            let detail = format!("invalid character {} (at position {at})", format_args!("U+{:04X}", u32::from(bad)));
            errors.push(field::Error::invalid(&Path::new("fieldManager"), field_manager.as_str(), detail));
        }
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        validate_dry_run(&dry_run, &mut errors);
        let given = query.get("fieldValidation").unwrap_or_default();
        let field_validation = match given {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                errors.push(field::Error::not_supported(&Path::new("fieldValidation"), given, supported));
                FieldValidation::Warn
            }
        };
        invalid(kind, errors)?;
        Ok(WriteOptions {
            dry_run: !dry_run.is_empty(),
            field_manager,
            field_validation,
            given_validation: given.to_string(),
            force: false,
            kind,
        })
    }

    /// As admission sees them.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("kind", self.kind.into());
        fields.insert("apiVersion", "meta.k8s.io/v1".into());
        if self.dry_run {
            fields.insert("dryRun", json!(["All"]));
        }
        if self.force {
            fields.insert("force", true.into());
        }
        if !self.field_manager.is_empty() {
            fields.insert("fieldManager", self.field_manager.as_str().into());
        }
        if !self.given_validation.is_empty() {
            fields.insert("fieldValidation", self.given_validation.as_str().into());
        }
        Value::Object(fields)
    }
}

/// The manager of a request that names none: what its agent is called. Upstream: handlers.prefixFromUserAgent.
pub(super) fn manager_of_agent(agent: &str) -> String {
    let mut manager = String::new();
    for c in agent.split('/').next().unwrap_or_default().chars().filter(|c| api::go_text::is_print(*c)) {
        if manager.len() + c.len_utf8() > FIELD_MANAGER_MAX_LENGTH {
            break;
        }
        manager.push(c);
    }
    manager
}

/// What becomes of the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They keep living.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

/// Upstream: metav1.DeleteOptions.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`.
    pub grace_period_seconds: Option<i64>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// The old form of `propagationPolicy`.
    pub orphan_dependents: Option<bool>,
    /// `propagationPolicy`.
    pub propagation: Option<Propagation>,
    /// `dryRun: [All]`.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// From the query, used when there is no body.
    pub fn from_query(query: &Query) -> Result<DeleteOptions, Status> {
        let mut fields = Map::new();
        if let Some(seconds) = int(query, "gracePeriodSeconds")? {
            fields.insert("gracePeriodSeconds", seconds.into());
        }
        if let Some(orphan) = bool_of(query, "orphanDependents") {
            fields.insert("orphanDependents", orphan.into());
        }
        if let Some(policy) = query.get("propagationPolicy") {
            fields.insert("propagationPolicy", policy.into());
        }
        if query.has("dryRun") {
            fields.insert("dryRun", query.all("dryRun").collect());
        }
        DeleteOptions::from_value(&Value::Object(fields))
    }

    /// From a decoded DeleteOptions.
    pub fn from_value(value: &Value) -> Result<DeleteOptions, Status> {
        let mut errors = ErrorList::new();
        let orphan_dependents = value.get("orphanDependents").and_then(Value::as_bool);
        let policy = value.get("propagationPolicy").and_then(Value::as_str);
        let path = Path::new("propagationPolicy");
        if let (Some(policy), Some(_)) = (policy, orphan_dependents) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(field::Error::invalid(&path, policy, detail));
        }
        let propagation = match policy {
            None => None,
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(field::Error::not_supported(&path, other, supported));
                None
            }
        };
        let dry_run: Vec<&str> =
            value.get("dryRun").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        validate_dry_run(&dry_run, &mut errors);
        invalid("DeleteOptions", errors)?;
        let precondition = |key: &str| {
            value.get("preconditions").and_then(|all| all.get(key)).and_then(Value::as_str).map(str::to_string)
        };
        Ok(DeleteOptions {
            grace_period_seconds: value
                .get("gracePeriodSeconds")
                .and_then(Value::as_i64)
                .map(|seconds| if seconds < 0 { 1 } else { seconds }),
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            orphan_dependents,
            propagation,
            dry_run: !dry_run.is_empty(),
        })
    }

    /// As admission sees them.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("kind", "DeleteOptions".into());
        fields.insert("apiVersion", "meta.k8s.io/v1".into());
        if let Some(seconds) = self.grace_period_seconds {
            fields.insert("gracePeriodSeconds", seconds.into());
        }
        let preconditions: Map = [("uid", &self.uid), ("resourceVersion", &self.resource_version)]
            .into_iter()
            .filter_map(|(key, given)| Some((key.to_string(), given.as_deref()?.into())))
            .collect();
        if !preconditions.is_empty() {
            fields.insert("preconditions", preconditions.into());
        }
        if let Some(orphan) = self.orphan_dependents {
            fields.insert("orphanDependents", orphan.into());
        }
        if let Some(propagation) = self.propagation {
            fields.insert("propagationPolicy", format!("{propagation:?}").into());
        }
        if self.dry_run {
            fields.insert("dryRun", json!(["All"]));
        }
        Value::Object(fields)
    }
}

fn validate_dry_run(given: &[&str], errors: &mut ErrorList) {
    if given.iter().any(|value| *value != "All") {
        let shown: Value = given.iter().copied().collect();
        errors.push(field::Error::not_supported(&Path::new("dryRun"), shown, ["All"]));
    }
}

fn invalid(kind: &str, errors: ErrorList) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&GroupKind::new("meta.k8s.io", kind), "", &errors))
}

fn int(query: &Query, key: &str) -> Result<Option<i64>, Status> {
    let Some(text) = query.get(key) else { return Ok(None) };
    text.parse::<i64>().map(Some).map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let why =
            if matches!(error.kind(), PosOverflow | NegOverflow) { "value out of range" } else { "invalid syntax" };
        Status::bad_request(format!("strconv.ParseInt: parsing {}: {why}", api::go_text::quote(text)))
    })
}

/// Anything but `false` and `0` is true, also nothing after the `=`.
fn bool_of(query: &Query, key: &str) -> Option<bool> {
    query.get(key).map(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0"))
}
