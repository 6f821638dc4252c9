//! EventRateLimit: so many events a second, for the server, a namespace, a user, or what they are about.
//! Upstream: plugin/pkg/admission/eventratelimit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use api::status::{Reason, Status};
use jiff::Timestamp;
use json::Value;
use serde::Deserialize;

use super::configuration::Configurations;
use super::limit_ranger::joined;
use super::{Attributes, Operation, Validating};
use crate::configuration_file::shape::{Struct, Type};
use crate::registry::fields::text;

const NAME: &str = "EventRateLimit";
const VERSIONS: [&str; 1] = ["eventratelimit.admission.k8s.io/v1alpha1"];
const DEFAULT_CACHE: usize = 4096;

/// What events are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    Server,
    Namespace,
    User,
    SourceAndObject,
}

const FILE: Struct = Struct {
    name: "Configuration",
    fields: &[("apiVersion", Type::Text), ("kind", Type::Text), ("limits", Type::List(&Type::One(&LIMIT)))],
};
const LIMIT: Struct = Struct {
    name: "Limit",
    fields: &[
        ("type", Type::Named("LimitType")),
        ("qps", Type::Int32),
        ("burst", Type::Int32),
        ("cacheSize", Type::Int32),
    ],
};

#[derive(Debug, Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    limits: Vec<LimitText>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LimitText {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    qps: i32,
    #[serde(default)]
    burst: i32,
    #[serde(default)]
    cache_size: i32,
}

#[derive(Debug)]
pub(super) struct EventRateLimit(Vec<Limit>);

/// One limit, and how much of it each key has left.
#[derive(Debug)]
struct Limit {
    kind: Kind,
    rate: f64,
    burst: f64,
    /// How many keys are known at a time; the one longest not asked for is forgotten.
    most: usize,
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// Tokens, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl EventRateLimit {
    pub(super) fn new(configurations: &Configurations) -> Result<EventRateLimit, String> {
        let own: Configuration = configurations.versioned(NAME, &VERSIONS, "Configuration", &FILE)?.unwrap_or_default();
        let mut faults = Vec::new();
        if own.limits.is_empty() {
            faults.push("limits: Invalid value: null: must not be empty".to_owned());
        }
        let limits =
            own.limits.iter().enumerate().filter_map(|(index, limit)| limit.read(index, &mut faults)).collect();
        joined(faults).map_or(Ok(EventRateLimit(limits)), Err)
    }

    fn check(&self, attributes: Attributes<'_>, event: &Value) -> Result<(), Status> {
        if attributes.kind != "Event" || !attributes.ctx.target.group.is_empty() || attributes.ctx.dry_run {
            return Ok(());
        }
        // Each limit counts the event, whatever the others say.
        let refused = self.0.iter().filter_map(|limit| limit.refused(attributes, event)).collect();
        joined(refused).map_or(Ok(()), |why| {
            Err(Status::failure(429, Reason::TooManyRequests, format!("Too many requests: {why}")))
        })
    }
}

impl LimitText {
    fn read(&self, index: usize, faults: &mut Vec<String>) -> Option<Limit> {
        let kind = json::from_value(Value::from(self.r#type.as_str())).ok();
        if kind.is_none() {
            let known = r#""Namespace", "Server", "SourceAndObject", "User""#;
            faults
                .push(format!("limits[{index}].type: Unsupported value: {:?}: supported values: {known}", self.r#type));
        }
        for (field, value) in [("burst", self.burst), ("qps", self.qps)] {
            if value <= 0 {
                faults.push(format!("limits[{index}].{field}: Invalid value: {value}: must be positive"));
            }
        }
        if kind != Some(Kind::Server) && self.cache_size < 0 {
            faults.push(format!("limits[{index}].cacheSize: Invalid value: {}: must not be negative", self.cache_size));
        }
        let most = usize::try_from(self.cache_size).ok().filter(|size| *size > 0).unwrap_or(DEFAULT_CACHE);
        let (rate, burst) = (f64::from(self.qps), f64::from(self.burst));
        Some(Limit { kind: kind?, rate, burst, most, buckets: Mutex::default() })
    }
}

impl Limit {
    fn refused(&self, attributes: Attributes<'_>, event: &Value) -> Option<String> {
        let key = self.key(attributes, event);
        (!self.accepts(&key, attributes.ctx.now))
            .then(|| format!("limit reached on type {:?} for key {key}", self.kind))
    }

    fn key(&self, attributes: Attributes<'_>, event: &Value) -> String {
        match self.kind {
            Kind::Server => String::new(),
            Kind::Namespace => attributes.ctx.target.namespace.clone(),
            Kind::User => attributes.ctx.user.name.clone(),
            Kind::SourceAndObject => {
                let (source, object) = (&event["source"], &event["involvedObject"]);
                let own = ["component", "host"].map(|field| text(source, field));
                let about = ["kind", "namespace", "name", "uid", "apiVersion"].map(|field| text(object, field));
                own.into_iter().chain(about).collect()
            }
        }
    }

    /// Takes a token if there is one.
    fn accepts(&self, key: &str, now: Timestamp) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(key)
            && buckets.len() >= self.most
            && let Some(oldest) = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone())
        {
            buckets.remove(&oldest);
        }
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { tokens: self.burst, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed * self.rate).min(self.burst);
        bucket.at = bucket.at.max(now);
        let accepts = bucket.tokens >= 1.0;
        if accepts {
            bucket.tokens -= 1.0;
        }
        accepts
    }
}

impl Validating for EventRateLimit {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, event: &Value) -> Result<(), Status> {
        self.check(attributes, event)
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    fn configured(limits: Value) -> Result<EventRateLimit, String> {
        let own = json!({"apiVersion": VERSIONS[0], "kind": "Configuration", "limits": limits});
        EventRateLimit::new(&Configurations::only(NAME, own))
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_with_time() {
        let limits = configured(json!([{"type": "Namespace", "qps": 2, "burst": 3, "cacheSize": 2}])).unwrap();
        let limit = &limits.0[0];
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).unwrap();
        let taken = |key: &str, millis: i64| (0..5).filter(|_| limit.accepts(key, at(millis))).count();
        assert_eq!(taken("a", 0), 3);
        assert_eq!(taken("a", 400), 0);
        assert_eq!(taken("a", 500), 1);
        assert_eq!(taken("a", 60_000), 3, "no more than the burst is kept");
        assert_eq!(taken("b", 60_001), 3, "each key has its own");
        assert_eq!(taken("c", 60_002), 3);
        assert_eq!(taken("a", 60_003), 3, "who was forgotten begins anew");
    }

    #[test]
    fn a_configuration_that_makes_no_sense_is_refused_in_upstreams_words() {
        assert_eq!(
            EventRateLimit::new(&Configurations::default()).unwrap_err(),
            "limits: Invalid value: null: must not be empty"
        );
        let why = configured(json!([{"type": "Odd", "qps": 0, "burst": 1}])).unwrap_err();
        assert!(why.starts_with("[limits[0].type: Unsupported value: \"Odd\""), "{why}");
        assert!(why.ends_with("limits[0].qps: Invalid value: 0: must be positive]"), "{why}");
    }
}
