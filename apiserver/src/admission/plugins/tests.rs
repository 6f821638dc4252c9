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
fn plugins_stand_in_the_chain_in_the_order_of_the_table_under_its_names() {
    let Source { store, resources, .. } = source();
    let loopback = Loopback::default();
    let surroundings = Surroundings { rbac: None, store: &store, resources: &resources, loopback: &loopback };
    let chain = chain(&Selection::of(&["AlwaysPullImages", "AlwaysDeny"], &["Priority"]), surroundings).unwrap();
    let names = |half: &[&'static str]| {
        let place = |name: &&str| PLUGINS.iter().position(|plugin| plugin.name == *name);
        let places: Vec<Option<usize>> = half.iter().map(place).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{half:?}");
        half.to_vec()
    };
    let admits = names(&chain.mutating.iter().map(|own| own.name).collect::<Vec<_>>());
    let validates = names(&chain.validating.iter().map(|own| own.name).collect::<Vec<_>>());
    for name in ["ServiceAccount", "AlwaysPullImages", "LimitRanger"] {
        assert!(admits.contains(&name) && validates.contains(&name), "{name} is in both halves");
    }
    assert!(admits.contains(&"AlwaysDeny") && !admits.contains(&"Priority") && !validates.contains(&"Priority"));
}
