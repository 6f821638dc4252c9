//! Upstream's own fixtures: one object of each kind with every field filled, as JSON, YAML and protobuf, read and written
//! (k8s.io/api/testdata/HEAD of the module that `KUBERNETES_API` names; `hack/test` sets it).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;

use crate::decode::{self, FieldValidation, Syntax, Target};
use crate::protobuf::{self, Envelope};
use crate::scheme::Scheme;

/// Kinds that are served and have no fixture there: they are of other modules.
const ELSEWHERE: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

fn target(api_version: &str, kind: &str) -> Option<Target<'static>> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known =
        Scheme::builtin().all_resources().find(|r| r.group == group && r.version == version && r.kind == kind)?;
    Target::builtin(&known.group, &known.version, &known.kind)
}

/// What is wrong with the three forms of one object; nothing when they say the same.
fn differences(folder: &Path, name: &str, target: Target<'static>, published: &Value) -> Vec<String> {
    let read =
        |suffix: &str| std::fs::read(folder.join(format!("{name}.{suffix}"))).expect("each kind has three files");
    let json = decode::decode(&read("json"), Syntax::Json, target, FieldValidation::Strict);
    let yaml = decode::decode(&read("yaml"), Syntax::Yaml, target, FieldValidation::Strict);
    let binary = read("pb");
    let envelope = Envelope::read(&binary).expect("the file is upstream's");
    let mut object = protobuf::decode(envelope.raw, target.schema).expect("the message is upstream's");
    object["apiVersion"] = envelope.api_version.into_owned().into();
    object["kind"] = envelope.kind.into_owned().into();
    let protobuf = decode::normalize(&object, target, FieldValidation::Strict);
    let mut wrong = Vec::new();
    match protobuf::encode(published, target.schema) {
        Ok(ours) if ours == binary => {}
        Ok(ours) => {
            wrong.push(format!("{name} to protobuf\n ours {}\n want {}", ours.escape_ascii(), binary.escape_ascii()))
        }
        Err(error) => wrong.push(format!("{name} to protobuf: {error}")),
    }
    for (form, decoded) in [("json", json), ("yaml", yaml), ("protobuf", protobuf)] {
        match decoded {
            // Byte for byte: the order of fields is Go's, too.
            Ok(decoded) => {
                let (ours, theirs) = (decoded.object.to_string(), published.to_string());
                if ours != theirs {
                    wrong.push(format!("{name} from {form}\n ours {ours}\n want {theirs}"));
                }
            }
            Err(error) => wrong.push(format!("{name} from {form}: {error:?}")),
        }
    }
    wrong
}

#[test]
fn every_kind_upstream_filled_is_the_same_in_json_yaml_and_protobuf() {
    let module = std::env::var_os("KUBERNETES_API").expect("KUBERNETES_API is not set: run ./hack/test");
    let folder = Path::new(&module).join("testdata/HEAD");
    let (mut seen, mut wrong) = (Vec::new(), Vec::new());
    for file in std::fs::read_dir(&folder).expect("the module holds testdata") {
        let name = file.expect("the folder can be read").file_name().into_string().expect("names are ASCII");
        let Some(name) = name.strip_suffix(".json") else { continue };
        let text = std::fs::read(folder.join(format!("{name}.json"))).expect("the file is there");
        let published: Value = json::from_slice(&text).expect("the file is JSON");
        let text = |field: &str| published[field].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let Some(target) = target(&api_version, &kind) else { continue };
        wrong.extend(differences(&folder, name, target, &published));
        seen.push((api_version, kind));
    }
    let missing = Scheme::builtin().all_resources().filter(|resource| {
        let kind = (resource.api_version(), resource.kind.to_string());
        !ELSEWHERE.contains(&resource.group.as_ref()) && !seen.contains(&kind)
    });
    wrong.extend(missing.map(|resource| format!("no fixture of {} {}", resource.api_version(), resource.kind)));
    assert!(wrong.is_empty(), "{} of {} kinds and more:\n{}", wrong.len(), seen.len(), wrong.join("\n"));
}

/// One object of the samples: what upstream writes as JSON and as protobuf.
fn sample(line: &str) -> (Value, Vec<u8>) {
    let (json, binary) = line.split_once('\t').expect("a line is JSON and protobuf");
    let binary = STANDARD.decode(binary).expect("protobuf is in base64");
    (json::from_str(json).expect("the sample is JSON"), binary)
}

#[test]
fn random_objects_of_every_kind_are_written_as_upstream_writes_them_and_read_again() {
    let path = std::env::var_os("WIRE_SAMPLES").expect("WIRE_SAMPLES is not set: run ./hack/test");
    let samples = std::fs::read_to_string(path).expect("hack/schemagen wrote them");
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in samples.lines() {
        let (object, binary) = sample(line);
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap_or_default(), &object["kind"]);
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = kind.as_str().unwrap_or_default();
        let schema = Scheme::builtin().kind(group, version, kind);
        let target = Target { group, version, kind, schema: schema.unwrap_or_else(|| panic!("{api_version} {kind}")) };
        seen += 1;
        match protobuf::encode(&object, target.schema) {
            Ok(ours) if ours == binary => {}
            ours => wrong.push(format!("{object}\n ours {ours:?}\n want {}", binary.escape_ascii())),
        }
        match decode::decode_protobuf(&binary, target, FieldValidation::Strict) {
            Ok(decoded) if decoded.object == object => {}
            decoded => wrong.push(format!("{} {}\n ours {decoded:?}\n want {object}", kind, binary.escape_ascii())),
        }
    }
    assert!(seen > 100, "there are more kinds than {seen}");
    let shown: Vec<String> = wrong.iter().take(12).map(|wrong| wrong.chars().take(3000).collect()).collect();
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), shown.join("\n"));
}
