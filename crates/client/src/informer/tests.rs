use k8s_openapi::api::core::v1::ConfigMap;

use super::*;

fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.namespace = Some("ns".to_owned());
    map.metadata.name = Some(name.to_owned());
    map.metadata.uid = Some(uid.to_owned());
    map.metadata.resource_version = Some(version.to_owned());
    map.metadata.labels = Some([("app".to_owned(), uid.to_owned())].into());
    map
}

fn feed(informer: &Informer<ConfigMap>, events: impl IntoIterator<Item = Event<ConfigMap>>) {
    let mut listed = None;
    for event in events {
        informer.handle(event, &mut listed);
    }
}

fn list(objects: Vec<ConfigMap>) -> Vec<Event<ConfigMap>> {
    let mut events = vec![Event::Init];
    events.extend(objects.into_iter().map(Event::InitApply));
    events.push(Event::InitDone);
    events
}

async fn changes(subscription: &mut Subscription<ConfigMap>) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(Some(change)) = futures::FutureExt::now_or_never(subscription.next()) {
        let name = change.object().name_any();
        texts.push(match change {
            Change::Applied { old: None, .. } => format!("+{name}"),
            Change::Applied { old: Some(_), .. } => format!("~{name}"),
            Change::Deleted(_) => format!("-{name}"),
        });
    }
    texts
}

#[tokio::test]
async fn a_second_list_reports_only_the_difference() {
    let informer = Informer::empty();
    let mut subscription = informer.subscribe();
    feed(&informer, list(vec![object("a", "1", "1"), object("b", "2", "2")]));
    assert_eq!(changes(&mut subscription).await, ["+a", "+b"]);
    feed(&informer, list(vec![object("b", "2", "5"), object("c", "3", "3")]));
    assert_eq!(changes(&mut subscription).await, ["~b", "+c", "-a"]);
    feed(&informer, list(vec![object("b", "2", "5"), object("c", "3", "3")]));
    assert!(changes(&mut subscription).await.is_empty());
}

#[tokio::test]
async fn an_object_recreated_under_its_name_is_a_deletion_and_an_addition() {
    let informer = Informer::empty();
    feed(&informer, list(vec![object("a", "1", "1")]));
    let mut subscription = informer.subscribe();
    feed(&informer, [Event::Apply(object("a", "2", "9"))]);
    assert_eq!(changes(&mut subscription).await, ["+a", "-a", "+a"]);
}

#[tokio::test]
async fn indexes_follow_changes() {
    let informer = Informer::empty();
    feed(&informer, list(vec![object("a", "1", "1"), object("b", "1", "2")]));
    informer.add_index("app", |map: &ConfigMap| map.metadata.labels.iter().flat_map(|l| l.values().cloned()).collect());
    assert_eq!(informer.by_index("app", "1").len(), 2);
    feed(&informer, [Event::Apply(object("a", "1", "3")), Event::Delete(object("b", "1", "4"))]);
    let found: Vec<_> = informer.by_index("app", "1").iter().map(|map| map.name_any()).collect();
    assert_eq!(found, ["a"]);
    assert!(informer.by_index("nope", "1").is_empty());
}

#[tokio::test]
async fn list_in_gives_one_namespace_only() {
    let informer = Informer::empty();
    let mut other = object("z", "9", "9");
    other.metadata.namespace = Some("ns-other".to_owned());
    feed(&informer, list(vec![object("a", "1", "1"), other]));
    assert_eq!(informer.list_in("ns").len(), 1);
    assert_eq!(informer.list_in("n").len(), 0);
    assert!(informer.has_synced());
}
