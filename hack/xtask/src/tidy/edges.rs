//! Which crate may depend on which (ARCHITECTURE.md, "Direction").

use super::File;

/// Components: they meet at the API only, so none may depend on another.
const COMPONENTS: [&str; 6] = ["apiserver", "controller-manager", "scheduler", "kubelet", "kube-proxy", "dns"];

/// A crate and those that alone may depend on it.
const ONLY: [(&str, &[&str]); 2] = [("cri", &["kubelet"]), ("store", &["apiserver", "krab"])];

pub(super) fn check(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let text = file.text.as_deref().unwrap_or_default();
        let Some(name) = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) else {
            continue;
        };
        for dependency in product_dependencies(text) {
            if let Some(reason) = forbidden(name, dependency) {
                complaints.push(format!("{}: {name} may not depend on {dependency}: {reason}", file.path));
            }
        }
    }
    for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let owner = file.path.split('/').next().unwrap_or_default();
        let names_backend = file.text.as_deref().is_some_and(|text| text.contains(concat!("store::", "embedded")));
        if names_backend && owner != "krab" && !file.path.starts_with("crates/store/") {
            complaints.push(format!("{}: only krab names a store backend", file.path));
        }
    }
    complaints
}

fn forbidden(name: &str, dependency: &str) -> Option<&'static str> {
    if COMPONENTS.contains(&name) && COMPONENTS.contains(&dependency) {
        return Some("components meet at the API only");
    }
    if name == "api" && ["store", "client", "component", "cri", "k8s-openapi", "kube", "tokio"].contains(&dependency) {
        return Some("api is vocabulary: no I/O, no typed objects");
    }
    if ["store", "client", "component", "cri"].contains(&name) && COMPONENTS.contains(&dependency) {
        return Some("libraries know no component");
    }
    ONLY.iter()
        .any(|(library, users)| *library == dependency && !users.contains(&name))
        .then_some("another crate is the only one that may")
}

/// The names under `[dependencies]`.
fn product_dependencies(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}
