//! What the status of a policy should say, from the types it is for.

use expressions::admission::{Declared, declare, environment};
use expressions::{Environment, Schema, Type};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, Variable};
use serde_json::{Value, json};

use crate::engine::{PatchKind, Plan, Write};

/// A type a policy is for.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) schema: Schema,
}

/// All types a policy has to do with.
#[derive(Debug, Default)]
pub(super) struct Types {
    pub(super) objects: Vec<Checked>,
    pub(super) params: Option<Schema>,
}

/// Was the policy changed since its status was written?
pub(super) fn is_due(policy: &ValidatingAdmissionPolicy) -> bool {
    let observed = policy.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
    policy.metadata.generation.unwrap_or(0) > observed
}

/// Group, version and plural of what a policy is for. Wildcards and subresources have no one type.
pub(super) fn wanted(policy: &ValidatingAdmissionPolicy) -> Vec<(String, String, String)> {
    let constraints = policy.spec.as_ref().and_then(|spec| spec.match_constraints.as_ref());
    let rules = constraints.and_then(|constraints| constraints.resource_rules.as_ref());
    let plain = |list: &Option<Vec<String>>| -> Vec<String> {
        let mut plain: Vec<String> = list.iter().flatten().filter(|own| !own.contains(['*', '/'])).cloned().collect();
        plain.sort();
        plain
    };
    let mut wanted = Vec::new();
    for rule in rules.into_iter().flatten() {
        for group in plain(&rule.api_groups) {
            for version in plain(&rule.api_versions) {
                for resource in plain(&rule.resources) {
                    wanted.push((group.clone(), version.clone(), resource));
                }
            }
        }
    }
    wanted
}

/// The schema of a kind in an OpenAPI v3 document.
pub(super) fn schema(document: &json::Value, group: &str, version: &str, kind: &str) -> Option<Schema> {
    let schemas = document["components"]["schemas"].as_object()?;
    let is = |schema: &&json::Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|own| own["group"] == group && own["version"] == version && own["kind"] == kind)
    };
    let own = schemas.values().find(is)?;
    let resolve = |reference: &str| schemas.get(reference.strip_prefix("#/components/schemas/")?);
    Some(Schema::compile_with(own, kind, true, &resolve))
}

/// The write that brings the status up to date.
pub(super) fn plan(policy: &ValidatingAdmissionPolicy, types: &Types) -> Plan {
    let mut plan = Plan::default();
    let warnings = warnings(policy, types);
    let checking = if warnings.is_empty() { json!({}) } else { json!({"expressionWarnings": warnings}) };
    let status = json!({"status": {"observedGeneration": policy.metadata.generation, "typeChecking": checking}});
    plan.push(Write::patch_status::<ValidatingAdmissionPolicy>(&policy.metadata, PatchKind::Merge, status));
    plan
}

fn warnings(policy: &ValidatingAdmissionPolicy, types: &Types) -> Vec<Value> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let has_params = spec.param_kind.is_some();
    let variables = spec.variables.as_deref().unwrap_or_default();
    let mut warnings = Vec::new();
    for (index, validation) in spec.validations.iter().flatten().enumerate() {
        let texts = [
            ("expression", Some(&validation.expression)),
            ("messageExpression", validation.message_expression.as_ref()),
        ];
        for (field, text) in texts {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let results: Vec<String> = types
                .objects
                .iter()
                .filter_map(|checked| warning(checked, types, has_params, variables, text))
                .collect();
            if !results.is_empty() {
                warnings.push(json!({
                    "fieldRef": format!("spec.validations[{index}].{field}"),
                    "warning": results.join("\n"),
                }));
            }
        }
    }
    warnings
}

/// What an expression gets wrong about a type.
fn warning(checked: &Checked, types: &Types, has_params: bool, variables: &[Variable], text: &str) -> Option<String> {
    let mut environment = environment_of(checked, types, has_params);
    for variable in variables {
        let of = environment.check(&variable.expression).map_or(Type::Dyn, |checked| checked.output().clone());
        declare(&mut environment, &variable.name, of);
    }
    let why = environment.check(text).err()?;
    let Checked { group, version, kind, .. } = checked;
    Some(format!("{group}/{version}, Kind={kind}: compilation failed: {why}\n"))
}

fn environment_of(checked: &Checked, types: &Types, has_params: bool) -> Environment {
    let params = has_params.then(|| types.params.as_ref().map_or(Type::Dyn, Schema::cel_type));
    let declared = Declared {
        object: checked.schema.cel_type(),
        params,
        authorizer: true,
        variables: true,
        ..Declared::default()
    };
    let environment = environment(&declared, true).schema(&checked.schema);
    match &types.params {
        Some(params) => environment.schema(params),
        None => environment,
    }
}
