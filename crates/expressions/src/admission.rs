//! What expressions about requests may name: those of admission policies and of match conditions.
//!
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/cel (BuildRequestType, BuildNamespaceType, createEnvForOpts).

use crate::environment::Environment;
use crate::types::Type;

/// Which variables there are besides those of each request.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Of `object` and `oldObject`.
    pub object: Type,
    /// Of `params`, where there are any.
    pub params: Option<Type>,
    /// `authorizer` and `authorizer.requestResource`
    pub authorizer: bool,
    /// `Object{}` and `JSONPatch{}`.
    pub patches: bool,
    /// `variables`, where there are any.
    pub variables: bool,
}

const VARIABLES: &str = "kubernetes.variables";

/// The environment of expressions in policies; `stored` is told apart in [`Environment::stored`]. All variables have their places,
/// in this order; those that are not declared have no name.
pub fn environment(declared: &Declared, stored: bool) -> Environment {
    let named = |is_declared: bool, name: &'static str| if is_declared { name } else { "" };
    let of = |name: &str| Type::Object(name.into());
    let environment = types(Environment::for_new().stored(stored))
        .object(VARIABLES, [])
        .variable("object", declared.object.clone())
        .variable("oldObject", declared.object.clone())
        .variable("namespaceObject", of("kubernetes.Namespace"))
        .variable("request", of("kubernetes.AdmissionRequest"))
        .variable(named(declared.variables, "variables"), of(VARIABLES))
        .variable(named(declared.authorizer, "authorizer"), Type::opaque("kubernetes.authorization.Authorizer"))
        .variable(
            named(declared.authorizer, "authorizer.requestResource"),
            Type::opaque("kubernetes.authorization.ResourceCheck"),
        )
        .variable(named(declared.params.is_some(), "params"), declared.params.clone().unwrap_or(Type::Dyn));
    if declared.patches { environment.patches() } else { environment }
}

impl Default for Declared {
    fn default() -> Declared {
        Declared { object: Type::Dyn, params: None, authorizer: false, patches: false, variables: false }
    }
}

/// Declares a variable of the policy for the expressions after it.
pub fn declare(environment: &mut Environment, name: &str, of: Type) {
    environment.add_field(VARIABLES, name, of);
}

/// `request` and `namespaceObject`. Upstream: BuildRequestType, BuildNamespaceType.
fn types(environment: Environment) -> Environment {
    let object = |name: &str| Type::Object(name.into());
    let texts = || Type::list(Type::String);
    let labels = || Type::map(Type::String, Type::String);
    environment
        .object(
            "kubernetes.GroupVersionKind",
            [("group", Type::String), ("version", Type::String), ("kind", Type::String)],
        )
        .object(
            "kubernetes.GroupVersionResource",
            [("group", Type::String), ("version", Type::String), ("resource", Type::String)],
        )
        .object(
            "kubernetes.UserInfo",
            [
                ("username", Type::String),
                ("uid", Type::String),
                ("groups", texts()),
                ("extra", Type::map(Type::String, texts())),
            ],
        )
        .object(
            "kubernetes.AdmissionRequest",
            [
                ("kind", object("kubernetes.GroupVersionKind")),
                ("resource", object("kubernetes.GroupVersionResource")),
                ("subResource", Type::String),
                ("requestKind", object("kubernetes.GroupVersionKind")),
                ("requestResource", object("kubernetes.GroupVersionResource")),
                ("requestSubResource", Type::String),
                ("name", Type::String),
                ("namespace", Type::String),
                ("operation", Type::String),
                ("userInfo", object("kubernetes.UserInfo")),
                ("dryRun", Type::Bool),
                ("options", Type::Dyn),
            ],
        )
        .object("kubernetes.NamespaceSpec", [("finalizers", texts())])
        .object(
            "kubernetes.NamespaceCondition",
            [
                ("status", Type::String),
                ("type", Type::String),
                ("lastTransitionTime", Type::Timestamp),
                ("message", Type::String),
                ("reason", Type::String),
            ],
        )
        .object(
            "kubernetes.NamespaceStatus",
            [("conditions", Type::list(object("kubernetes.NamespaceCondition"))), ("phase", Type::String)],
        )
        .object(
            "kubernetes.NamespaceMetadata",
            [
                ("name", Type::String),
                ("generateName", Type::String),
                ("namespace", Type::String),
                ("labels", labels()),
                ("annotations", labels()),
                ("UID", Type::String),
                ("creationTimestamp", Type::Timestamp),
                ("deletionGracePeriodSeconds", Type::Int),
                ("deletionTimestamp", Type::Timestamp),
                ("generation", Type::Int),
                ("resourceVersion", Type::String),
                ("finalizers", texts()),
            ],
        )
        .object(
            "kubernetes.Namespace",
            [
                ("metadata", object("kubernetes.NamespaceMetadata")),
                ("spec", object("kubernetes.NamespaceSpec")),
                ("status", object("kubernetes.NamespaceStatus")),
            ],
        )
}
