use json::json;

use super::*;
use crate::registry::testing::Fixture;

fn config() -> Config {
    Config {
        service_ranges: vec!["10.96.0.0/16".parse().unwrap()],
        secure_port: 6443,
        client_ca: Some("CA".to_owned()),
        request_header: Some(RequestHeader::usual("FRONT".to_owned(), vec!["front-proxy-client".to_owned()])),
        now: "2026-11-21T00:00:00Z".parse().unwrap(),
    }
}

fn created(plan: &[Vec<Write>]) -> Vec<Value> {
    plan.iter()
        .flatten()
        .filter_map(|write| if let Write::Create(object) = write { Some(object.clone()) } else { None })
        .collect()
}

#[test]
fn an_empty_store_gets_everything_once() {
    let first = plan(&config(), &Fixture::default());
    assert_eq!(first.len(), 3);
    let mut objects = created(&first);
    assert_eq!(objects.len(), 4 + 1 + 3 + 19 + 142 + 2);
    for object in &mut objects {
        if meta::kind(object) == "ServiceCIDR" {
            object["status"] = json!({"conditions": [{}]});
        }
    }
    assert_eq!(plan(&config(), &Fixture::new(objects)), Vec::<Vec<Write>>::new());
}

#[test]
fn the_service_follows_the_port() {
    let mut objects = created(&plan(&config(), &Fixture::default()));
    for object in &mut objects {
        if meta::kind(object) == "ServiceCIDR" {
            object["status"] = json!({"conditions": [{}]});
        }
    }
    let moved = Config { secure_port: 7443, ..config() };
    let writes: Vec<Write> = plan(&moved, &Fixture::new(objects)).into_iter().flatten().collect();
    let kinds: Vec<&str> =
        writes.iter().map(|write| if let Write::Update(object) = write { meta::kind(object) } else { "?" }).collect();
    assert_eq!(kinds, ["Service"]);
}

#[test]
fn extension_servers_are_told_only_of_ways_in_that_there_are() {
    let told = |config: &Config| {
        let objects = created(&plan(config, &Fixture::default()));
        let own = |object: &&Value| meta::name(object) == "extension-apiserver-authentication";
        objects.iter().find(own).and_then(|own| own["data"].as_object()).cloned().unwrap_or_default()
    };
    assert_eq!(told(&config())["requestheader-username-headers"], "[\"X-Remote-User\"]");
    assert_eq!(told(&config())["client-ca-file"], "CA");
    assert!(told(&Config { client_ca: None, request_header: None, ..config() }).is_empty());
}
