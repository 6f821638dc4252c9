//! Security contexts of pods and containers. Upstream: ValidateSecurityContext, validatePodSpecSecurityContext.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::mount::local_path;
use super::{one_of, optional_one_of};

const SYSCTL_REGEX: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const SYSCTL_MAX_LENGTH: usize = 253;

fn id(at: &At<'_>, rule: fn(i64) -> Vec<String>, errors: &mut ErrorList) {
    if at.is_set() {
        errors.extend(rule(at.int()).into_iter().map(|complaint| at.invalid_int(complaint)));
    }
}

pub(super) fn container(at: &At<'_>, host_users: bool, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    id(&at.field("runAsUser"), names::is_valid_user_id, errors);
    id(&at.field("runAsGroup"), names::is_valid_group_id, errors);
    let proc_mount = at.field("procMount");
    if proc_mount.is_set() {
        one_of(&proc_mount, &["Default", "Unmasked"], errors);
        if host_users && proc_mount.str() == "Unmasked" {
            errors.push(proc_mount.invalid_str("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&at.field("seccompProfile"), errors);
    if at.get("allowPrivilegeEscalation").as_bool() == Some(false) {
        if at.field("privileged").bool() {
            errors.push(at.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        }
        if at.field("capabilities").field("add").items().any(|capability| capability.str() == "CAP_SYS_ADMIN") {
            errors.push(
                at.invalid("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
            );
        }
    }
    windows(&at.field("windowsOptions"), errors);
    app_armor(&at.field("appArmorProfile"), errors);
}

/// Upstream: validateWindowsSecurityContextOptions.
fn windows(at: &At<'_>, errors: &mut ErrorList) {
    let (name, spec, user) =
        (at.field("gmsaCredentialSpecName"), at.field("gmsaCredentialSpec"), at.field("runAsUserName"));
    if name.is_set() {
        errors.extend(names::is_dns1123_subdomain(name.str()).into_iter().map(|complaint| name.invalid_str(complaint)));
    }
    if spec.is_set() && spec.str().is_empty() {
        errors.push(spec.invalid_str("gmsaCredentialSpec cannot be an empty string"));
    } else if spec.str().len() > 64 << 10 {
        errors.push(spec.invalid_str("gmsaCredentialSpec size must be under 64 KiB"));
    }
    if !user.is_set() {
        return;
    }
    let mut complain = |what: &str| errors.push(user.invalid_str(format!("runAsUserName{what}")));
    if user.str().is_empty() {
        return complain(" cannot be an empty string");
    }
    if user.str().chars().any(|char| char.is_ascii_control()) {
        return complain(" cannot contain control characters");
    }
    if user.str().matches('\\').count() > 1 {
        return complain(" cannot contain more than one backslash");
    }
    let (domain, account) =
        user.str().split_once('\\').map_or((None, user.str()), |(domain, account)| (Some(domain), account));
    if domain.is_some_and(|domain| domain.len() >= 256) {
        complain("'s Domain length must be under 256 characters");
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' '))
    };
    if domain.is_some_and(|domain| !domain.split('.').all(label)) {
        complain("'s Domain doesn't match the NetBios nor the DNS format");
    }
    match account.len() {
        0 => complain("'s User cannot be empty"),
        105.. => complain("'s User length must not be longer than 104 characters"),
        _ => {}
    }
    if !account.is_empty() && account.chars().all(|char| matches!(char, '.' | ' ')) {
        complain("'s User cannot contain only periods or spaces");
    }
    if account.contains(|char| "\"/\\:;|=,+*?<>@[]".contains(char)) {
        complain("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

pub(super) fn pod(spec: &At<'_>, errors: &mut ErrorList) {
    let at = spec.field("securityContext");
    if !at.is_set() {
        return;
    }
    id(&at.field("fsGroup"), names::is_valid_group_id, errors);
    id(&at.field("runAsUser"), names::is_valid_user_id, errors);
    id(&at.field("runAsGroup"), names::is_valid_group_id, errors);
    windows(&at.field("windowsOptions"), errors);
    for group in at.field("supplementalGroups").items() {
        id(&group, names::is_valid_group_id, errors);
    }
    sysctls(&at.field("sysctls"), spec, errors);
    optional_one_of(&at.field("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errors);
    seccomp(&at.field("seccompProfile"), errors);
    app_armor(&at.field("appArmorProfile"), errors);
    optional_one_of(&at.field("supplementalGroupsPolicy"), &["Merge", "Strict"], errors);
    optional_one_of(&at.field("seLinuxChangePolicy"), &["MountOption", "Recursive"], errors);
}

fn seccomp(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let (kind, profile) = (at.field("type"), at.field("localhostProfile"));
    match kind.str() {
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => errors.push(kind.required("type is required when seccompProfile is set")),
        _ => errors.push(kind.not_supported(&["Localhost", "RuntimeDefault", "Unconfined"])),
    }
    if kind.str() == "Localhost" {
        if profile.is_set() {
            local_path(&profile, errors);
        } else {
            errors.push(profile.required("must be set when seccomp type is Localhost"));
        }
    } else if profile.is_set() {
        errors.push(Error::invalid(&profile.path, at.bad(), "can only be set when seccomp type is Localhost"));
    }
}

fn app_armor(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let (kind, profile) = (at.field("type"), at.field("localhostProfile"));
    match kind.str() {
        "Localhost" => {
            let name = profile.str();
            if name.trim() != name {
                errors.push(profile.invalid_str("must not be padded with whitespace"));
            } else if name.is_empty() {
                errors.push(profile.required("must be set when AppArmor type is Localhost"));
            }
            if name.len() > 4095 {
                errors.push(Error::too_long(&profile.path, 4095));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if profile.is_set() {
                errors.push(profile.invalid_str("can only be set when AppArmor type is Localhost"));
            }
        }
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        _ => errors.push(kind.not_supported(&["Localhost", "RuntimeDefault", "Unconfined"])),
    }
}

fn is_sysctl_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let segment = |part: &str| end(part.as_bytes().first()) && end(part.as_bytes().last()) && part.bytes().all(inner);
    name.len() <= SYSCTL_MAX_LENGTH && name.split(['.', '/']).all(segment)
}

fn sysctls(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    let mut seen: Vec<&str> = Vec::new();
    for sysctl in at.items() {
        let name = sysctl.field("name");
        if name.str().is_empty() {
            errors.push(name.required(""));
        } else if !is_sysctl_name(name.str()) {
            errors.push(name.invalid_str(format!(
                "must have at most {SYSCTL_MAX_LENGTH} characters and match regex {SYSCTL_REGEX}"
            )));
        } else if seen.contains(&name.str()) {
            errors.push(name.duplicate());
        }
        let dotted = name.str().replace('/', ".");
        let net = dotted.starts_with("net.");
        let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| dotted.starts_with(prefix))
            || dotted == "kernel.sem";
        if net && spec.field("hostNetwork").bool() {
            errors.push(name.invalid_str("may not be specified when 'hostNetwork' is true"));
        } else if ipc && spec.field("hostIPC").bool() {
            errors.push(name.invalid_str("may not be specified when 'hostIPC' is true"));
        }
        seen.push(name.str());
    }
}
