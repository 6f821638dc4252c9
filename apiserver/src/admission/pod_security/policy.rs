//! The pod security standards: what a pod must not do at each level, in upstream's words and order.
//!
//! A rule that changed between versions is there once a version; a namespace may ask for an older one.
//! Upstream: k8s.io/pod-security-admission/policy.

use std::collections::BTreeSet;

use api::go_text::quote;
use json::Value;

use super::levels::{Level, LevelVersion};
use crate::registry::fields::{at, items, text};

/// One rule broken: why, and what exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: String,
    pub(super) detail: String,
}

/// From the pod's metadata and spec.
type Check = fn(&Value, &Value) -> Option<Violation>;

/// A check in the versions `1.since` up to and without `1.until`.
struct Rule {
    since: u32,
    until: u32,
    check: Check,
}

const fn always(check: Check) -> Rule {
    Rule { since: 0, until: u32::MAX, check }
}

const fn from(since: u32, check: Check) -> Rule {
    Rule { since, until: u32::MAX, check }
}

const fn between(since: u32, until: u32, check: Check) -> Rule {
    Rule { since, until, check }
}

const SYSCTL_RULES: [Rule; 5] = [
    between(0, 27, sysctls::<5>),
    between(27, 29, sysctls::<6>),
    between(29, 32, sysctls::<10>),
    between(32, 37, sysctls::<12>),
    from(37, sysctls::<14>),
];

const BASELINE: [&[Rule]; 12] = [
    &[always(app_armor)],
    &[always(capabilities_baseline)],
    &[always(host_namespaces)],
    &[always(host_paths)],
    &[always(host_ports)],
    &[from(34, probe_hosts)],
    &[always(privileged)],
    &[between(0, 35, proc_mount), from(35, proc_mount_baseline)],
    &[between(0, 31, selinux::<4>), from(31, selinux::<5>)],
    &[between(0, 19, seccomp_annotations), from(19, seccomp_baseline)],
    &SYSCTL_RULES,
    &[always(windows_host_process)],
];

/// Those of the baseline that are not made stricter, then its own.
const RESTRICTED: [&[Rule]; 18] = [
    &[always(app_armor)],
    &[between(0, 22, capabilities_baseline)],
    &[always(host_namespaces)],
    &[always(host_ports)],
    &[from(34, probe_hosts)],
    &[always(privileged)],
    &[between(0, 35, proc_mount)],
    &[between(0, 31, selinux::<4>), from(31, selinux::<5>)],
    &[between(0, 19, seccomp_annotations)],
    &SYSCTL_RULES,
    &[always(windows_host_process)],
    &[between(8, 25, privilege_escalation::<false>), from(25, privilege_escalation::<true>)],
    &[between(22, 25, capabilities_restricted::<false>), from(25, capabilities_restricted::<true>)],
    &[from(35, proc_mount)],
    &[always(restricted_volumes)],
    &[between(0, 35, run_as_non_root::<false>), from(35, run_as_non_root::<true>)],
    &[between(23, 35, run_as_user::<false>), from(35, run_as_user::<true>)],
    &[between(19, 25, seccomp_restricted::<false>), from(25, seccomp_restricted::<true>)],
];

const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// As many of them as a version knows.
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// As many of them as a version knows.
const SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];
const RESTRICTED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// All that forbid the pod at a level, by the rules of its version.
pub(super) fn violations(level: &LevelVersion, metadata: &Value, spec: &Value) -> Vec<Violation> {
    let rules: &[&[Rule]] = match level.level {
        Level::Privileged => &[],
        Level::Baseline => &BASELINE,
        Level::Restricted => &RESTRICTED,
    };
    let minor = level.minor();
    let holds = |rule: &&Rule| rule.since <= minor && minor < rule.until;
    let rules = rules.iter().flat_map(|versions| versions.iter().find(holds));
    rules.filter_map(|rule| (rule.check)(metadata, spec)).collect()
}

fn violation(reason: impl Into<String>, detail: String) -> Option<Violation> {
    Some(Violation { reason: reason.into(), detail })
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| items(spec, list))
}

fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

fn joined<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("\"{}\"", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`.
fn named(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), joined(names))
}

/// The containers whose security context is bad.
fn bad_containers<'a>(spec: &'a Value, mut bad: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
    containers(spec)
        .filter(|container| bad(&container["securityContext"]))
        .map(|container| text(container, "name"))
        .collect()
}

/// `pod and container "a"`: whoever's security context is bad, if any is.
fn setters<'a>(spec: &'a Value, mut bad: impl FnMut(&'a Value) -> bool) -> Option<String> {
    let mut setters: Vec<String> = bad(&spec["securityContext"]).then(|| "pod".to_owned()).into_iter().collect();
    let containers = bad_containers(spec, bad);
    if !containers.is_empty() {
        setters.push(named(&containers));
    }
    (!setters.is_empty()).then(|| setters.join(" and "))
}

fn is_windows(spec: &Value) -> bool {
    at(spec, &["os", "name"]) == "windows"
}

/// Root in a user namespace is nobody outside.
fn has_user_namespace(spec: &Value) -> bool {
    spec["hostUsers"] == false
}

fn app_armor(metadata: &Value, spec: &Value) -> Option<Violation> {
    let mut values = BTreeSet::new();
    let mut set_by = setters(spec, |context| {
        let kind = at(context, &["appArmorProfile", "type"]).as_str();
        let bad = kind.filter(|kind| !matches!(*kind, "RuntimeDefault" | "Localhost"));
        values.extend(bad);
        bad.is_some()
    })
    .into_iter()
    .collect::<Vec<_>>();
    let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
    let allowed =
        |profile: &str| profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    let own = annotations.filter_map(|(key, value)| {
        Some((key, value.as_str()?)).filter(|(key, _)| key.starts_with(APP_ARMOR_ANNOTATION))
    });
    let bad: Vec<String> =
        own.filter(|(_, value)| !allowed(value)).map(|(key, value)| format!("{key}={}", quote(value))).collect();
    if !bad.is_empty() {
        set_by.push(plural("annotation", "annotations", bad.len()).to_owned());
        values.extend(bad);
    }
    if set_by.is_empty() {
        return None;
    }
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    violation(reason, format!("{} must not set AppArmor profile type to {}", set_by.join(" and "), joined(values)))
}

fn forbidden_capabilities(spec: &Value, allowed: &[&str]) -> Option<String> {
    let mut forbidden = BTreeSet::new();
    let bad = bad_containers(spec, |context| {
        let added = items(&context["capabilities"], "add").iter().filter_map(Value::as_str);
        let bad: Vec<&str> = added.filter(|capability| !allowed.contains(capability)).collect();
        forbidden.extend(bad.iter().copied());
        !bad.is_empty()
    });
    let detail =
        || format!("{} must not include {} in securityContext.capabilities.add", named(&bad), joined(&forbidden));
    (!bad.is_empty()).then(detail)
}

fn capabilities_baseline(_: &Value, spec: &Value) -> Option<Violation> {
    violation("non-default capabilities", forbidden_capabilities(spec, &BASELINE_CAPABILITIES)?)
}

fn capabilities_restricted<const EXEMPTS_WINDOWS: bool>(_: &Value, spec: &Value) -> Option<Violation> {
    if EXEMPTS_WINDOWS && is_windows(spec) {
        return None;
    }
    let keeping = bad_containers(spec, |context| {
        !items(&context["capabilities"], "drop").iter().any(|capability| capability == "ALL")
    });
    let kept = (!keeping.is_empty())
        .then(|| format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&keeping)));
    let details: Vec<String> = kept.into_iter().chain(forbidden_capabilities(spec, &["NET_BIND_SERVICE"])).collect();
    if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
}

fn host_namespaces(_: &Value, spec: &Value) -> Option<Violation> {
    let used: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| spec[*field] == true)
        .map(|field| format!("{field}=true"))
        .collect();
    if used.is_empty() { None } else { violation("host namespaces", used.join(", ")) }
}

fn host_paths(_: &Value, spec: &Value) -> Option<Violation> {
    let paths = items(spec, "volumes").iter().filter(|volume| !volume["hostPath"].is_null());
    let names: Vec<&str> = paths.map(|volume| text(volume, "name")).collect();
    if names.is_empty() {
        return None;
    }
    violation("hostPath volumes", format!("{} {}", plural("volume", "volumes", names.len()), joined(&names)))
}

fn host_ports(_: &Value, spec: &Value) -> Option<Violation> {
    let mut ports = BTreeSet::new();
    let mut bad = Vec::new();
    for container in containers(spec) {
        let own: Vec<i64> = items(container, "ports")
            .iter()
            .filter_map(|port| port["hostPort"].as_i64())
            .filter(|port| *port != 0)
            .collect();
        if !own.is_empty() {
            bad.push(text(container, "name"));
            ports.extend(own.into_iter().map(|port| port.to_string()));
        }
    }
    if bad.is_empty() {
        return None;
    }
    let list = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (uses, word) = (plural("uses", "use", bad.len()), plural("hostPort", "hostPorts", ports.len()));
    violation("hostPort", format!("{} {uses} {word} {list}", named(&bad)))
}

fn probe_hosts(_: &Value, spec: &Value) -> Option<Violation> {
    const HANDLERS: [&[&str]; 5] = [
        &["livenessProbe"],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ];
    let (mut bad, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for container in containers(spec) {
        let handlers = HANDLERS.iter().map(|path| at(container, path));
        let own = handlers.flat_map(|handler| ["httpGet", "tcpSocket"].map(|kind| text(&handler[kind], "host")));
        let own: Vec<&str> = own.filter(|host| !host.is_empty()).collect();
        if !own.is_empty() {
            bad.insert(text(container, "name"));
            hosts.extend(own);
        }
    }
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<&str> = bad.into_iter().collect();
    let word = plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len());
    violation(
        "probe or lifecycle host",
        format!("{} {} {word} {}", named(&bad), plural("uses", "use", bad.len()), joined(hosts)),
    )
}

fn privileged(_: &Value, spec: &Value) -> Option<Violation> {
    let bad = bad_containers(spec, |context| context["privileged"] == true);
    if bad.is_empty() {
        None
    } else {
        violation("privileged", format!("{} must not set securityContext.privileged=true", named(&bad)))
    }
}

fn proc_mount_baseline(metadata: &Value, spec: &Value) -> Option<Violation> {
    if has_user_namespace(spec) { None } else { proc_mount(metadata, spec) }
}

fn proc_mount(_: &Value, spec: &Value) -> Option<Violation> {
    let mut kinds = BTreeSet::new();
    let bad = bad_containers(spec, |context| {
        let kind = context["procMount"].as_str().filter(|kind| *kind != "Default");
        kinds.extend(kind);
        kind.is_some()
    });
    if bad.is_empty() {
        return None;
    }
    violation("procMount", format!("{} must not set securityContext.procMount to {}", named(&bad), joined(kinds)))
}

fn selinux<const TYPES: usize>(_: &Value, spec: &Value) -> Option<Violation> {
    let (mut types, mut user, mut role) = (BTreeSet::new(), false, false);
    let set_by = setters(spec, |context| {
        let options = &context["seLinuxOptions"];
        let kind = text(options, "type");
        let bad_type = !SELINUX_TYPES[..TYPES].contains(&kind);
        if bad_type {
            types.insert(kind);
        }
        let (has_user, has_role) = (!text(options, "user").is_empty(), !text(options, "role").is_empty());
        user |= has_user;
        role |= has_role;
        bad_type || has_user || has_role
    })?;
    let mut details = Vec::new();
    if !types.is_empty() {
        details.push(format!("{} {}", plural("type", "types", types.len()), joined(types)));
    }
    details.extend(user.then(|| "user may not be set".to_owned()));
    details.extend(role.then(|| "role may not be set".to_owned()));
    violation(
        "seLinuxOptions",
        format!("{set_by} set forbidden securityContext.seLinuxOptions: {}", details.join("; ")),
    )
}

fn seccomp_type(context: &Value) -> Option<&str> {
    at(context, &["seccompProfile", "type"]).as_str()
}

fn is_seccomp(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}

fn seccomp_baseline(_: &Value, spec: &Value) -> Option<Violation> {
    let mut kinds = BTreeSet::new();
    let set_by = setters(spec, |context| {
        let kind = seccomp_type(context).filter(|kind| !is_seccomp(kind));
        kinds.extend(kind);
        kind.is_some()
    })?;
    violation(
        "seccompProfile",
        format!("{set_by} must not set securityContext.seccompProfile.type to {}", joined(kinds)),
    )
}

/// How profiles were said before there were fields for them.
fn seccomp_annotations(metadata: &Value, spec: &Value) -> Option<Violation> {
    const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    let of_containers = containers(spec)
        .map(|container| format!("container.seccomp.security.alpha.kubernetes.io/{}", text(container, "name")));
    let allowed =
        |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let forbidden: BTreeSet<String> = std::iter::once(POD.to_owned())
        .chain(of_containers)
        .filter_map(|key| {
            let value = metadata["annotations"][key.as_str()].as_str().filter(|value| !allowed(value))?;
            Some(format!("{key}={}", quote(value)))
        })
        .collect();
    if forbidden.is_empty() {
        return None;
    }
    let list = forbidden.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    violation("seccompProfile", format!("forbidden {} {list}", plural("annotation", "annotations", forbidden.len())))
}

fn seccomp_restricted<const EXEMPTS_WINDOWS: bool>(metadata: &Value, spec: &Value) -> Option<Violation> {
    if EXEMPTS_WINDOWS && is_windows(spec) {
        return None;
    }
    let explicit = seccomp_baseline(metadata, spec);
    if explicit.is_some() || seccomp_type(&spec["securityContext"]).is_some_and(is_seccomp) {
        return explicit;
    }
    let without = bad_containers(spec, |context| context["seccompProfile"].is_null());
    if without.is_empty() {
        return None;
    }
    let wanted = "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
    violation("seccompProfile", format!("pod or {} {wanted}", named(&without)))
}

fn sysctls<const KNOWN: usize>(_: &Value, spec: &Value) -> Option<Violation> {
    let own = items(&spec["securityContext"], "sysctls").iter().map(|sysctl| text(sysctl, "name"));
    let bad: Vec<&str> = own.filter(|name| !SYSCTLS[..KNOWN].contains(name)).collect();
    if bad.is_empty() { None } else { violation("forbidden sysctls", bad.join(", ")) }
}

fn windows_host_process(_: &Value, spec: &Value) -> Option<Violation> {
    let set_by = setters(spec, |context| at(context, &["windowsOptions", "hostProcess"]) == true)?;
    violation("hostProcess", format!("{set_by} must not set securityContext.windowsOptions.hostProcess=true"))
}

fn privilege_escalation<const EXEMPTS_WINDOWS: bool>(_: &Value, spec: &Value) -> Option<Violation> {
    let bad = bad_containers(spec, |context| context["allowPrivilegeEscalation"] != false);
    if bad.is_empty() || EXEMPTS_WINDOWS && is_windows(spec) {
        return None;
    }
    violation(
        "allowPrivilegeEscalation != false",
        format!("{} must set securityContext.allowPrivilegeEscalation=false", named(&bad)),
    )
}

fn restricted_volumes(_: &Value, spec: &Value) -> Option<Violation> {
    let (mut names, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in items(spec, "volumes") {
        if RESTRICTED_VOLUMES.iter().any(|kind| !volume[*kind].is_null()) {
            continue;
        }
        names.push(text(volume, "name"));
        let mut own =
            volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && !value.is_null());
        kinds.insert(own.next().map_or("unknown", |(key, _)| key));
    }
    if names.is_empty() {
        return None;
    }
    let (volumes, uses) = (plural("volume", "volumes", names.len()), plural("uses", "use", names.len()));
    let word = plural("restricted volume type", "restricted volume types", kinds.len());
    violation("restricted volume types", format!("{volumes} {} {uses} {word} {}", joined(&names), joined(kinds)))
}

fn run_as_non_root<const EXEMPTS_NAMESPACES: bool>(_: &Value, spec: &Value) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    if EXEMPTS_NAMESPACES && has_user_namespace(spec) {
        return None;
    }
    if let Some(set_by) = setters(spec, |context| context["runAsNonRoot"] == false) {
        return violation(REASON, format!("{set_by} must not set securityContext.runAsNonRoot=false"));
    }
    let without = bad_containers(spec, |context| context["runAsNonRoot"].is_null());
    if without.is_empty() || at(spec, &["securityContext", "runAsNonRoot"]) == true {
        return None;
    }
    violation(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", named(&without)))
}

fn run_as_user<const EXEMPTS_NAMESPACES: bool>(_: &Value, spec: &Value) -> Option<Violation> {
    if EXEMPTS_NAMESPACES && has_user_namespace(spec) {
        return None;
    }
    let set_by = setters(spec, |context| context["runAsUser"] == 0)?;
    violation("runAsUser=0", format!("{set_by} must not set runAsUser=0"))
}
