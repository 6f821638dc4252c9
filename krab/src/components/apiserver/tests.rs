use apiserver::audit::{Batching, Mode};
use apiserver::authorization::configuration::{self, Configuration, ReviewVersion};
use component::flags::FlagSet;

use super::*;

fn flagset(line: &[&str]) -> FlagSet {
    let words = line.iter().map(|word| (*word).to_owned());
    FlagSet::resolve(&flags(), words, |_| None).expect("the flags are known")
}

fn refusal(line: &[&str]) -> String {
    let flags = flagset(line);
    let refused = super::flags::refuse(&flags).and_then(|()| options(&flags).map(|_| ()));
    format!("{:#}", refused.expect_err("this is refused"))
}

/// A folder with a signing key, and the flags that every server needs.
fn folder() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let names = apiserver::pki::ServingNames::default();
    let pki =
        apiserver::pki::Pki::open(&folder.path().join("pki"), &names, std::time::SystemTime::now()).expect("keys");
    let key = folder.path().join("sa.key");
    std::fs::write(&key, &pki.service_account_key).expect("a file");
    let line = vec![
        format!("--cert-dir={}", folder.path().join("made").display()),
        format!("--service-account-signing-key-file={}", key.display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
    ];
    (folder, line)
}

#[test]
fn upstreams_defaults_hold() {
    let (_folder, line) = folder();
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let options = options(&flagset(&line)).unwrap();
    assert_eq!(options.listen.to_string(), "0.0.0.0:6443");
    assert_eq!(options.service_ranges, ["10.0.0.0/24".parse::<IpNet>().unwrap()]);
    assert_eq!(options.authorization, Configuration::of([configuration::Mode::AlwaysAllow]));
    assert!(!options.anonymous.enabled, "nobody may do everything without a name");
    assert!(!options.admission.runs("NodeRestriction") && options.admission.runs("ServiceAccount"));
    assert!(options.credentials.serving.certificate_pem.contains("BEGIN CERTIFICATE"));
    let again = super::options(&flagset(&line)).unwrap();
    assert_eq!(again.credentials.serving.certificate_pem, options.credentials.serving.certificate_pem);
}

#[test]
fn modes_and_plugins_are_chosen() {
    let (_folder, line) = folder();
    let own = [
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--disable-admission-plugins=ServiceAccount",
    ];
    let line: Vec<&str> = line.iter().map(String::as_str).chain(own).collect();
    let options = options(&flagset(&line)).unwrap();
    assert_eq!(options.authorization, Configuration::of([configuration::Mode::Node, configuration::Mode::Rbac]));
    assert!(options.anonymous.enabled);
    assert!(options.admission.runs("NodeRestriction") && !options.admission.runs("ServiceAccount"));
}

#[test]
fn what_nobody_should_believe_to_hold_is_refused() {
    assert!(refusal(&["--encryption-provider-config=/e"]).contains("stored as they are"));
    assert!(refusal(&["--tls-cert-file=/nope"]).contains("--tls-cert-file: cannot read /nope"));
    let (_folder, line) = folder();
    let without_issuer: Vec<&str> = line.iter().take(2).map(String::as_str).collect();
    assert!(refusal(&without_issuer).contains("--service-account-issuer is needed"));
}

#[test]
fn authorizers_are_configured_in_their_order() {
    let (_folder, line) = folder();
    let own = [
        "--authorization-mode=Webhook,RBAC,ABAC",
        "--authorization-policy-file=/p",
        "--authorization-webhook-config-file=/w",
        "--authorization-webhook-version=v1",
        "--authorization-webhook-cache-authorized-ttl=0",
    ];
    let line: Vec<&str> = line.iter().map(String::as_str).chain(own).collect();
    let authorization = options(&flagset(&line)).unwrap().authorization;
    assert_eq!(authorization.policy_file.as_deref(), Some(std::path::Path::new("/p")));
    let names: Vec<_> = authorization.authorizers.iter().map(|own| (own.mode.as_str(), own.name.as_str())).collect();
    assert_eq!(names, [("Webhook", "default"), ("RBAC", "rbac"), ("ABAC", "abac")]);
    let configuration::Mode::Webhook(settings) = &authorization.authorizers[0].mode else {
        panic!("the first is a webhook")
    };
    assert_eq!((settings.version, settings.authorized_ttl), (ReviewVersion::V1, Duration::ZERO));
    assert_eq!(settings.unauthorized_ttl, Duration::from_secs(30));
}

#[test]
fn flags_of_authorization_that_contradict_one_another_are_refused() {
    let table: [(&[&str], &str); 8] = [
        (
            &["--authorization-config=/c", "--authorization-webhook-version=v1"],
            "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags",
        ),
        (&["--authorization-mode=Nope"], "authorization-mode \"Nope\" is not a valid mode"),
        (&["--authorization-mode=RBAC,RBAC"], "has mode specified more than once"),
        (&["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy file not passed"),
        (&["--authorization-mode=Webhook"], "authorization-mode Webhook's authorization config file not passed"),
        (&["--authorization-policy-file=/p"], "cannot specify --authorization-policy-file without mode ABAC"),
        (
            &["--authorization-webhook-config-file=/w"],
            "cannot specify --authorization-webhook-config-file without mode Webhook",
        ),
        (
            &[
                "--authorization-mode=Webhook",
                "--authorization-webhook-config-file=/w",
                "--authorization-webhook-version=v2",
            ],
            "unsupported webhook authorizer version \"v2\", supported versions are \"v1\", \"v1beta1\"",
        ),
    ];
    for (line, why) in table {
        let refused = refusal(line);
        assert!(refused.contains(why), "{line:?}: {refused}");
    }
}

#[test]
fn audit_events_go_where_flags_say() {
    let (folder, line) = folder();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "x").unwrap();
    let policy = format!("--audit-policy-file={}", policy.display());
    let config = |own: &[&str]| {
        let line = line.iter().map(String::as_str).chain(own.iter().copied()).collect::<Vec<_>>();
        options(&flagset(&line)).map(|options| options.audit)
    };
    assert!(config(&["--audit-webhook-config-file=/w"]).unwrap().is_none(), "there is no policy");
    let both = ["--audit-webhook-config-file=/w", "--audit-log-path=/l", "--audit-webhook-batch-initial-backoff=1s"];
    let both = config(&[&[policy.as_str()], both.as_slice()].concat()).unwrap().unwrap();
    let (log, webhook) = (both.log.unwrap(), both.webhook.unwrap());
    assert_eq!((log.mode, log.max_event_size), (Mode::Blocking, None));
    let max_wait = Duration::from_secs(30);
    let batching = Batching { buffer_size: 10000, max_size: 400, max_wait, throttle: Some((10.0, 15)) };
    assert_eq!((webhook.mode, webhook.initial_backoff), (Mode::Batch(batching), Duration::from_secs(1)));
    let table = [
        ("--audit-log-mode=x", "invalid audit log mode x, allowed modes are \"batch,blocking,blocking-strict\""),
        ("--audit-log-version=v2", "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]"),
        ("--audit-log-format=x", "invalid audit log format x, allowed formats are \"legacy,json\""),
        (
            "--audit-log-truncate-max-event-size=0",
            "invalid audit truncate log max event size 0, must be a positive number",
        ),
        (
            "--audit-log-truncate-max-batch-size=1",
            "invalid audit truncate log max batch size 1, must be greater than max event size (102400)",
        ),
        ("--audit-log-batch-buffer-size=0", "invalid audit batch log buffer size 0, must be a positive number"),
    ];
    for (flag, why) in table {
        let line = ["--audit-log-path=/l", "--audit-log-mode=batch", flag];
        assert_eq!(config(&line).unwrap_err().to_string(), why);
    }
}

#[test]
fn every_flag_is_named_once() {
    let mut names: Vec<_> = flags().iter().map(|flag| flag.name).collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!(twice, Vec::<&[&str]>::new());
}

/// Name and default of each of upstream's flags, as `/flagz` of a kube-apiserver with no other flags has them.
const UPSTREAM: &str = include_str!("flags/upstream.txt");

#[test]
fn upstreams_flags_are_all_known_with_upstreams_defaults() {
    let table = flags();
    let own: std::collections::BTreeMap<String, String> =
        super::flags::shown(&table, &flagset(&[])).into_iter().collect();
    let differs = |line: &&str| {
        let (name, default) = line.split_once(':').expect("NAME:DEFAULT");
        own.get(name).map(String::as_str) != Some(default)
    };
    assert_eq!(UPSTREAM.lines().filter(differs).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// The options of these flags and those that every server needs, or why they are refused.
fn complete(own: &[&str]) -> Result<Options, String> {
    let (_folder, line) = folder();
    let line: Vec<&str> = line.iter().map(String::as_str).chain(own.iter().copied()).collect();
    options(&flagset(&line)).map_err(|error| format!("{error:#}"))
}

#[test]
fn an_issuer_of_flags_is_as_one_of_the_file() {
    let oidc = ["--oidc-issuer-url=https://i.test", "--oidc-client-id=us", "--oidc-groups-claim=g"];
    let issuers = |more: &[&str]| complete(&[&oidc, more].concat()).unwrap().issuers;
    let plain = issuers(&["--oidc-required-claim=hd=example.com"]);
    let settings = &plain.issuers[0];
    assert_eq!(settings.claim_mappings.username.prefix.as_deref(), Some("https://i.test#"));
    assert_eq!(settings.claim_mappings.groups.prefix.as_deref(), Some(""));
    assert_eq!((&settings.issuer.audiences[..], &plain.algorithms[..]), (&["us".into()][..], &["RS256".into()][..]));
    let rule = &settings.claim_validation_rules[0];
    assert_eq!((rule.claim.as_str(), rule.required_value.as_str()), ("hd", "example.com"));
    let prefix = |more: &[&str]| issuers(more).issuers[0].claim_mappings.username.prefix.clone().unwrap();
    assert_eq!(prefix(&["--oidc-username-claim=email"]), "");
    assert_eq!(prefix(&["--oidc-username-prefix=-"]), "");
    assert_eq!(prefix(&["--oidc-username-prefix=x:"]), "x:");
    assert!(complete(&oidc[..1]).unwrap_err().contains("must be specified together"));
    assert!(complete(&["--oidc-signing-algs=RS256"]).unwrap_err().contains("must be specified together"));
    assert!(complete(&[&oidc[..], &["--oidc-required-claim=x"]].concat()).unwrap_err().contains("malformed pair"));
    let both = ["--oidc-issuer-url=https://i.test", "--authentication-config=/x"];
    assert_eq!(complete(&both).unwrap_err(), "authentication-config file and oidc-* flags are mutually exclusive");
}

#[test]
fn who_may_be_anonymous_is_said_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
    std::fs::write(&file, format!("{head}anonymous: {{enabled: true, conditions: [{{path: /livez}}]}}\n")).unwrap();
    let config = format!("--authentication-config={}", file.display());
    let anonymous = complete(&[&config]).unwrap().anonymous;
    assert_eq!((anonymous.enabled, &anonymous.paths[..]), (true, &["/livez".to_owned()][..]));
    assert!(complete(&[&config, "--anonymous-auth=true"]).unwrap_err().contains("--anonymous-auth flag cannot be set"));
    std::fs::write(&file, head).unwrap();
    assert!(!complete(&[&config]).unwrap().anonymous.enabled, "everything is allowed here");
    let asked = [config.as_str(), "--authorization-mode=RBAC", "--anonymous-auth=true"];
    assert!(complete(&asked).unwrap().anonymous.enabled);
    assert!(
        complete(&["--authentication-config=/nope"])
            .unwrap_err()
            .contains("failed to load authentication configuration")
    );
}
