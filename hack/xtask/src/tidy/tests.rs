use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), size: text.len(), text: Some(text.to_owned()) }
}

#[test]
fn a_component_that_depends_on_another_is_named() {
    let manifest =
        "[package]\nname = \"scheduler\"\n\n[dependencies]\nkubelet.workspace = true\napi.workspace = true\n";
    let complaints = edges::check(&[file("scheduler/Cargo.toml", manifest)]);
    assert_eq!(
        complaints,
        ["scheduler/Cargo.toml: scheduler may not depend on kubelet: components meet at the API only"]
    );
}

#[test]
fn a_test_may_depend_on_anything() {
    let manifest = "[package]\nname = \"scheduler\"\n\n[dependencies]\napi.workspace = true\n\n[dev-dependencies]\nkubelet.workspace = true\n";
    assert!(edges::check(&[file("scheduler/Cargo.toml", manifest)]).is_empty());
}

#[test]
fn long_files_are_named_unless_generated() {
    let text = "//! x\n".repeat(1001);
    assert_eq!(text::sizes(&[file("api/src/a.rs", &text)]).len(), 1);
    assert!(text::sizes(&[file("api/data/a.rs", &text)]).is_empty());
}

#[test]
fn bare_spawns_are_named_outside_tests() {
    let text = format!("//! x\nfn f() {{ tokio{}async {{}}); }}\n", "::spawn(");
    assert_eq!(text::words(&[file("dns/src/a.rs", &text)]).len(), 1);
    assert!(text::words(&[file("dns/src/a/tests.rs", &text)]).is_empty());
}

#[test]
fn a_crate_the_map_does_not_name_is_reported() {
    let complaints = text::documents(&[file("ARCHITECTURE.md", "only `dns/`\n"), file("kubelet/Cargo.toml", "")]);
    assert_eq!(
        complaints,
        ["ARCHITECTURE.md does not mention kubelet", "ARCHITECTURE.md names `dns/`, which does not exist",]
    );
}
