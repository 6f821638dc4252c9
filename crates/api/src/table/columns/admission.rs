//! Admission, custom resource definitions and aggregated services.

use super::super::cell::Cell::*;
use super::*;

const GROUP: &str = "admissionregistration.k8s.io";

pub(super) const KINDS: &[Kind] = &[
    kind(GROUP, "MutatingWebhookConfiguration", WEBHOOKS),
    kind(GROUP, "ValidatingWebhookConfiguration", WEBHOOKS),
    kind(
        GROUP,
        "ValidatingAdmissionPolicy",
        &[
            NAME,
            integer("Validations", Count(&["spec.validations"])),
            string("ParamKind", Call(cells::policy_param_kind)),
            AGE,
        ],
    ),
    kind(
        GROUP,
        "MutatingAdmissionPolicy",
        &[
            NAME,
            integer("Mutations", Count(&["spec.mutations"])),
            string("ParamKind", Call(cells::policy_param_kind)),
            AGE,
        ],
    ),
    kind(GROUP, "ValidatingAdmissionPolicyBinding", POLICY_BINDING),
    kind(GROUP, "MutatingAdmissionPolicyBinding", POLICY_BINDING),
    kind(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[
            NAME,
            string("Scope", Text("spec.scope")),
            string("Versions", Call(cells::crd_versions)),
            CREATED_AT,
            wide(string("Group", Text("spec.group"))),
            wide(string("Kind", Text("spec.names.kind"))),
            wide(string("ShortNames", Join("spec.names.shortNames", ""))),
            wide(boolean("Established", Call(cells::crd_established))),
        ],
    ),
    kind(
        "apiregistration.k8s.io",
        "APIService",
        &[
            NAME,
            string("Service", Call(cells::api_service)),
            string("Available", Call(cells::api_service_available)),
            AGE,
        ],
    ),
];

const WEBHOOKS: &[Column] = &[NAME, integer("Webhooks", Count(&["webhooks"])), AGE];

const POLICY_BINDING: &[Column] =
    &[NAME, string("PolicyName", Text("spec.policyName")), string("ParamRef", Call(cells::policy_param_ref)), AGE];
