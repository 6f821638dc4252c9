use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}

fn names() -> ServingNames {
    ServingNames {
        dns: vec!["Node1".to_owned()],
        ips: vec![IpAddr::from([10, 96, 0, 1])],
        cluster_domain: "cluster.local".to_owned(),
    }
}

#[test]
fn opening_again_keeps_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let first = Pki::open(dir.path(), &names(), now()).unwrap();
    let second = Pki::open(dir.path(), &names(), now() + days(200)).unwrap();
    assert_eq!(first.ca.certificate_pem(), second.ca.certificate_pem());
    assert_eq!(first.apiserver.certificate_pem, second.apiserver.certificate_pem);
    assert_eq!(first.service_account_key, second.service_account_key);
}

#[test]
fn a_certificate_near_its_end_or_with_other_names_is_issued_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = Pki::open(dir.path(), &names(), now()).unwrap();
    let renamed = Pki::open(dir.path(), &ServingNames { dns: vec!["other".to_owned()], ..names() }, now()).unwrap();
    assert_ne!(first.apiserver.certificate_pem, renamed.apiserver.certificate_pem);
    assert_eq!(first.admin.certificate_pem, renamed.admin.certificate_pem);
    let later = Pki::open(dir.path(), &names(), now() + days(300)).unwrap();
    assert_ne!(first.admin.certificate_pem, later.admin.certificate_pem);
    assert_eq!(first.ca.certificate_pem(), later.ca.certificate_pem());
}

#[test]
fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(&dir.path().join("pki"), &names(), now()).unwrap();
    pki.kubelet_client("node1", now()).unwrap();
    let mut found: Vec<String> = Vec::new();
    for file in std::fs::read_dir(dir.path().join("pki")).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        found.push(file.file_name().into_string().unwrap());
    }
    found.sort();
    expect_test::expect![[r#"admin.crt admin.key apiserver-kubelet-client.crt apiserver-kubelet-client.key apiserver.crt apiserver.key ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key front-proxy-client.crt front-proxy-client.key kubelet-client.crt kubelet-client.key sa.key sa.pub"#]]
        .assert_eq(&found.join(" "));
}

#[test]
fn a_damaged_authority_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(dir.path(), &names(), now()).unwrap();
    std::fs::write(dir.path().join("ca.crt"), "nonsense").unwrap();
    let error = Pki::open(dir.path(), &names(), now()).unwrap_err().to_string();
    assert!(error.contains("ca.crt: not a usable certificate"), "{error}");
}

#[test]
fn a_kubeconfig_has_everything_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(dir.path(), &names(), now()).unwrap();
    let text = pki.kubeconfig("https://127.0.0.1:6443", "kubernetes-admin", &pki.admin).to_yaml();
    assert!(text.starts_with("apiVersion: v1\nkind: Config\nclusters:\n- name: \"krab\"\n  cluster:\n    server: \"https://127.0.0.1:6443\"\n"));
    assert!(text.contains("    client-key-data: "));
}
