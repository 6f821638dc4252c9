use json::json;

use super::*;

fn source() -> Source {
    let store = Arc::new(store::embedded::memory(store::Window::default(), crate::transform()).unwrap());
    let resources = Resources::builtin(api::scheme::Scheme::builtin());
    Source { store, resources, metrics: Arc::default() }
}

#[test]
fn webhooks_are_shown_what_a_file_with_an_absolute_path_says() {
    let kind = "WebhookAdmissionConfiguration";
    let own = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": kind, "kubeConfigFile": "here"});
    let configurations = Configurations::only("MutatingAdmissionWebhook", own);
    let refusal = Hooks::new(source(), "MutatingAdmissionWebhook", &configurations).unwrap_err();
    assert_eq!(refusal, "kubeConfigFile: Invalid value: \"here\": must be an absolute file path");
    assert!(Hooks::new(source(), "ValidatingAdmissionWebhook", &configurations).is_ok());
}

#[test]
fn a_plugin_is_known_by_one_name() {
    let (loopback, configurations) = (Loopback::default(), Configurations::default());
    let parts =
        Parts { source: source(), loopback: &loopback, configurations: &configurations, toleration_seconds: [0; 2] };
    for plugin in &PLUGINS {
        // What wants a configuration is made in its own tests.
        let Ok(made) = (plugin.make)(&parts) else { continue };
        assert!(made.mutating.is_none_or(|own| own.name() == plugin.name), "{}", plugin.name);
        assert!(made.validating.is_none_or(|own| own.name() == plugin.name), "{}", plugin.name);
    }
}
