use std::net::IpAddr;

use super::*;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

fn apply(body: &str) -> Result<(Config, Vec<String>), Error> {
    let mut config = Config::default();
    let without_effect = config.apply_file(&format!("{HEAD}{body}"))?;
    Ok((config, without_effect))
}

#[test]
fn a_file_as_kubeadm_writes_it_is_applied() {
    let (config, without_effect) = apply(
        "authentication:\n  anonymous: {enabled: false}\n  webhook: {enabled: true, cacheTTL: 0s}\n  x509: {clientCAFile: /ca.crt}\n\
         authorization: {mode: Webhook}\ncgroupDriver: cgroupfs\nclusterDNS: [10.96.0.10]\nclusterDomain: example.local\n\
         maxPods: 50\nnodeStatusUpdateFrequency: 1m30s\nevictionHard: {memory.available: 200Mi, nodefs.available: 5%}\n\
         systemReserved: {cpu: 100m, memory: 1Gi}\nkubeReserved: {cpu: 200m}\nrotateCertificates: true\nsyncFrequency: 0s\n",
    )
    .unwrap();
    assert_eq!(config.cluster_dns, ["10.96.0.10".parse::<IpAddr>().unwrap()]);
    assert_eq!((config.cluster_domain.as_str(), config.max_pods), ("example.local", 50));
    assert_eq!(config.node_status_update_frequency, Duration::from_secs(90));
    assert_eq!(config.sync_frequency, Config::default().sync_frequency);
    assert_eq!(
        (config.eviction_hard_memory, config.eviction_hard_nodefs),
        (Threshold::Amount(200 << 20), Threshold::Share(0.05))
    );
    assert_eq!(config.reserved["cpu"], "300m");
    assert_eq!(config.client_ca_file.as_deref(), Some(std::path::Path::new("/ca.crt")));
    assert_eq!(without_effect, ["rotateCertificates"]);
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(apply("maxPod: 3\n").unwrap_err(), Error::Unknown("maxPod".into()));
    assert!(matches!(apply("maxPods: many\n").unwrap_err(), Error::Value { field, .. } if field == "maxPods"));
    assert!(matches!(apply("cgroupDriver: systemd\n").unwrap_err(), Error::Value { .. }));
    assert!(matches!(apply("authentication: {anonymous: {enabled: true}}\n").unwrap_err(), Error::Value { .. }));
    assert!(matches!(Config::default().apply_file("kind: Pod\n").unwrap_err(), Error::Kind { .. }));
}

#[test]
fn thresholds_that_are_not_named_are_off_unless_defaults_are_merged() {
    let (config, _) = apply("evictionHard: {memory.available: 1%}\n").unwrap();
    assert_eq!((config.eviction_hard_memory, config.eviction_hard_nodefs), (Threshold::Share(0.01), Threshold::NONE));
    let (config, _) = apply("evictionHard: {memory.available: 1%}\nmergeDefaultEvictionSettings: true\n").unwrap();
    assert_eq!(config.eviction_hard_nodefs, Threshold::Share(0.1));
    assert!(apply("evictionHard: {memory.avail: 1%}\n").is_err());
}

#[test]
fn no_field_is_in_two_tables() {
    let mut names = WITHOUT_EFFECT.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), WITHOUT_EFFECT.len());
    for name in names {
        let field = Field { name, value: &Value::Null };
        assert!(matches!(Config::default().apply(&field), Ok(false)), "{name} is applied");
    }
}
