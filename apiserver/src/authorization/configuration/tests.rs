use super::*;

const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n";

fn refusal(text: &str) -> String {
    parse(text, &[]).expect_err("this is refused").to_string()
}

/// What kube-apiserver v1.37 says of the same files.
#[test]
fn what_is_no_configuration_is_refused_in_upstreams_words() {
    let undecodable = |why: &str| format!("failed to load AuthorizationConfiguration from file: {why}");
    let table = [
        (String::new(), "authorizers: Required value: at least one authorization mode must be defined".to_owned()),
        (HEAD.to_owned(), "authorizers: Required value: at least one authorization mode must be defined".to_owned()),
        (
            "kind: AuthorizationConfiguration".to_owned(),
            undecodable("Object 'apiVersion' is missing in 'kind: AuthorizationConfiguration'"),
        ),
        (
            "apiVersion: apiserver.config.k8s.io/v1".to_owned(),
            undecodable("Object 'Kind' is missing in 'apiVersion: apiserver.config.k8s.io/v1'"),
        ),
        (
            "apiVersion: v1\nkind: Pod".to_owned(),
            undecodable("no kind \"Pod\" is registered for version \"v1\" in scheme \"pkg/runtime/scheme.go:111\""),
        ),
        (
            HEAD.replace("Authorization", "Admission"),
            undecodable("expected AuthorizationConfiguration, got *apiserver.AdmissionConfiguration"),
        ),
        (
            format!("{HEAD}authorizers: [{{type: Node, name: x, foo: 1}}, {{type: Nope}}]\nbar: 2"),
            undecodable("strict decoding error: unknown field \"authorizers[0].foo\", unknown field \"bar\""),
        ),
        (
            format!("{HEAD}authorizers: [{{type: Node, name: 5}}]"),
            undecodable(
                "json: cannot unmarshal number into Go struct field AuthorizerConfiguration.authorizers.name of type string",
            ),
        ),
        (
            format!("{HEAD}authorizers: [{{type: Node, name: node, webhook: {{timeout: 5}}}}]"),
            undecodable(
                "json: cannot unmarshal number into Go struct field WebhookConfiguration.authorizers.webhook.timeout of type string",
            ),
        ),
        (
            format!("{HEAD}authorizers: [{{type: Node, name: node, webhook: {{timeout: x}}}}]"),
            undecodable("time: invalid duration \"x\""),
        ),
        (
            format!("{HEAD}authorizers: [{{type: Node, name: nn}}]"),
            "expected name node for authorizer Node instead of nn".to_owned(),
        ),
    ];
    for (text, why) in table {
        assert_eq!(refusal(&text), why, "{text}");
    }
    let nonsense = refusal("nonsense");
    assert!(
        nonsense.contains("couldn't get version/kind; json parse error: json: cannot unmarshal string"),
        "{nonsense}"
    );
}

#[test]
fn all_that_is_wrong_is_told_in_upstreams_words() {
    let text = format!(
        "{HEAD}authorizers: [{{type: Webhook, name: w, webhook: {{}}}}, {{type: Node, name: nn, webhook: {{}}}}, \
         {{type: Node, name: nn}}, {{type: Nope, name: nn}}, {{}}, {{type: RBAC}}, {{type: Webhook, name: 'w w'}}, \
         {{type: Webhook, name: w, webhook: {{timeout: 40s, authorizedTTL: -1s, unauthorizedTTL: -1s, \
         subjectAccessReviewVersion: v3, matchConditionSubjectAccessReviewVersion: v2, failurePolicy: x, \
         connectionInfo: {{type: z}}, matchConditions: [{{expression: ''}}, {{expression: 'request.user'}}, \
         {{expression: 'request.user == 5'}}, {{expression: 'true'}}, {{expression: 'true'}}]}}}}]"
    );
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
        start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
        '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let expected = [
        "authorizers[0].timeout: Required value",
        "authorizers[0].subjectAccessReviewVersion: Required value",
        "authorizers[0].failurePolicy: Required value",
        "authorizers[0].connectionInfo.type: Required value",
        "authorizers[1].webhook: Invalid value: \"non-null\": may only be specified when type=Webhook",
        "authorizers[2].type: Duplicate value: \"Node\"",
        "authorizers[3].type: Unsupported value: \"Nope\": supported values: \"ABAC\", \"AlwaysAllow\", \"AlwaysDeny\", \"Node\", \"RBAC\", \"Webhook\"",
        "authorizers[4].type: Required value",
        "authorizers[5].name: Required value",
        &format!("authorizers[6].name: Invalid value: \"w w\": authorizer name is invalid: {subdomain}"),
        "authorizers[6].webhook: Required value: required when type=Webhook",
        "authorizers[7].name: Duplicate value: \"w\"",
        "authorizers[7].timeout: Invalid value: \"40s\": must be > 0s and <= 30s",
        "authorizers[7].authorizedTTL: Invalid value: \"-1s\": must be > 0s",
        "authorizers[7].unauthorizedTTL: Invalid value: \"-1s\": must be > 0s",
        "authorizers[7].subjectAccessReviewVersion: Unsupported value: \"v3\": supported values: \"v1\", \"v1beta1\"",
        "authorizers[7].matchConditionSubjectAccessReviewVersion: Unsupported value: \"v2\": supported values: \"v1\"",
        "authorizers[7].failurePolicy: Unsupported value: \"x\": supported values: \"NoOpinion\", \"Deny\"",
        "authorizers[7].connectionInfo.type: Unsupported value: {\"Type\":\"z\",\"KubeConfigFile\":null}: supported values: \"InClusterConfig\", \"KubeConfigFile\"",
        "authorizers[7].matchConditions[0].expression: Required value",
        "authorizers[7].matchConditions[1].expression: Invalid value: \"request.user\": must evaluate to bool but got string",
        "authorizers[7].matchConditions[2].expression: Invalid value: \"request.user == 5\": compilation failed: ERROR: <input>:1:14: found no matching overload for '_==_' applied to '(string, int)'\n | request.user == 5\n | .............^",
        "authorizers[7].matchConditions[4].expression: Duplicate value: \"true\"",
    ];
    assert_eq!(refusal(&text), format!("[{}]", expected.join(", ")));
}

#[test]
fn a_connection_is_by_a_file_that_is_there() {
    let webhook = |connection: &str| {
        let common = "timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Deny";
        format!(
            "{HEAD}authorizers: [{{type: Webhook, name: w, webhook: {{{common}, connectionInfo: {{{connection}}}}}}}]"
        )
    };
    let at = "authorizers[0].connectionInfo.kubeConfigFile: Invalid value:";
    let table = [
        ("type: InClusterConfig, kubeConfigFile: /x", format!("{at} \"/x\": can only be set when type=KubeConfigFile")),
        ("type: KubeConfigFile, kubeConfigFile: x", format!("{at} \"x\": must be an absolute path")),
        (
            "type: KubeConfigFile, kubeConfigFile: /x/y",
            format!("{at} \"/x/y\": error loading file: stat /x/y: no such file or directory"),
        ),
        ("type: KubeConfigFile, kubeConfigFile: /tmp", format!("{at} \"/tmp\": must be a regular file")),
    ];
    for (connection, why) in table {
        assert_eq!(refusal(&webhook(connection)), why);
    }
}

#[test]
fn a_webhook_is_as_the_file_has_it_and_defaults_are_upstreams() {
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "{HEAD}authorizers:\n- {{type: RBAC, name: rbac}}\n- type: Webhook\n  name: w.example.com\n  webhook:\n    timeout: 3s\n    \
         cacheUnauthorizedRequests: false\n    subjectAccessReviewVersion: v1\n    matchConditionSubjectAccessReviewVersion: v1\n    \
         failurePolicy: Deny\n    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {}}}\n    \
         matchConditions: [{{expression: has(request.resourceAttributes)}}]\n",
        kubeconfig.path().display()
    );
    let settings = WebhookSettings {
        kubeconfig: kubeconfig.path().to_owned(),
        version: ReviewVersion::V1,
        authorized_ttl: Duration::from_secs(300),
        unauthorized_ttl: Duration::ZERO,
        timeout: Duration::from_secs(3),
        fails_closed: true,
        match_conditions: vec!["has(request.resourceAttributes)".to_owned()],
    };
    let webhook = Configured { name: "w.example.com".to_owned(), mode: Mode::Webhook(Box::new(settings)) };
    assert_eq!(parse(&text, &["RBAC"]).unwrap(), [Mode::Rbac.named(), webhook]);
    let missing = parse(&text, &["ABAC", "Node", "RBAC"]).unwrap_err();
    assert_eq!(missing.to_string(), "missing required types: [ABAC Node]");
}
