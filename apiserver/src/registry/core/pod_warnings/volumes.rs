//! Warnings about volumes: plugins that are gone, and files of one volume that lie in each other's way.

use super::super::super::fields::At;
use super::super::persistent_volume_claim;

/// Plugins that are gone: their field, the name it has in the warning, what is said of it.
const GONE: [(&str, &str, &str); 6] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
];
const GONE_LATER: [(&str, &str, &str); 3] = [
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

pub(super) fn warn(volumes: &At<'_>, warnings: &mut Vec<String>) {
    for volume in volumes.items() {
        let is_gone = |(field, shown, why): &(&str, &'static str, &str)| {
            volume.has(field).then(|| format!("{}: {why}", volume.path.child(*shown)))
        };
        warnings.extend(GONE.iter().filter_map(is_gone));
        let template = volume.field("ephemeral").field("volumeClaimTemplate");
        if template.is_set() {
            warnings.extend(persistent_volume_claim::spec_warnings(&template.field("spec")));
        }
        warnings.extend(GONE_LATER.iter().filter_map(is_gone));
    }
    for volume in volumes.items() {
        overlaps(&volume, warnings);
    }
}

/// A file of a volume, and which source makes it where there are several.
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: impl Into<String>) -> File {
        File { path: path.trim_end_matches('/').to_owned(), source: source.into() }
    }

    /// Is one of them the other, or a folder on the way to it?
    fn meets(&self, other: &File) -> bool {
        let (own, its) = (format!("{}/", self.path), format!("{}/", other.path));
        !self.path.is_empty() && !other.path.is_empty() && (own.starts_with(&its) || its.starts_with(&own))
    }

    fn shown(&self) -> String {
        if self.source.is_empty() { format!("{:?}", self.path) } else { format!("{:?} ({})", self.path, self.source) }
    }
}

/// Files of one volume of which one would be written over another. Upstream: warningsForOverlappingVirtualPaths.
fn overlaps(volume: &At<'_>, warnings: &mut Vec<String>) {
    let name = volume.text("name");
    let add = |what: &str, seen: &mut Vec<File>, file: File, warnings: &mut Vec<String>| {
        for other in seen.iter().filter(|other| other.meets(&file)) {
            let (one, two) = (file.shown(), other.shown());
            warnings.push(format!("volume {name:?} ({what}): overlapping paths: {one} with {two}"));
        }
        seen.push(file);
    };
    for source in SOURCES {
        let own = volume.field(source.field);
        let what = source.described(&own);
        let mut seen = Vec::new();
        for item in own.field("items").items() {
            add(&what, &mut seen, File::new(item.text("path"), ""), warnings);
        }
    }
    let mut seen = Vec::new();
    for source in volume.field("projected").field("sources").items() {
        if source.is_empty() {
            warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
        }
        for file in projected(&source) {
            add("Projected", &mut seen, file, warnings);
        }
    }
}

/// A source of files that a volume lists.
struct Source {
    field: &'static str,
    kind: &'static str,
    /// The field of its name as a volume, "" if it has none. In a projected volume it is `name`.
    name: &'static str,
}

const SOURCES: [Source; 3] = [
    Source { field: "configMap", kind: "ConfigMap", name: "name" },
    Source { field: "secret", kind: "Secret", name: "secretName" },
    Source { field: "downwardAPI", kind: "DownwardAPI", name: "" },
];

impl Source {
    fn described(&self, own: &At<'_>) -> String {
        self.named(own, self.name)
    }

    fn named(&self, own: &At<'_>, name: &str) -> String {
        if self.name.is_empty() { self.kind.to_owned() } else { format!("{} {:?}", self.kind, own.text(name)) }
    }
}

/// The files of one source of a projected volume.
fn projected(source: &At<'_>) -> Vec<File> {
    if let Some(listed) = SOURCES.iter().find(|listed| source.field(listed.field).has("items")) {
        let own = source.field(listed.field);
        let what = listed.named(&own, "name");
        return own.field("items").items().map(|item| File::new(item.text("path"), what.clone())).collect();
    }
    let (token, bundle) = (source.field("serviceAccountToken"), source.field("clusterTrustBundle"));
    if token.is_set() {
        return vec![File::new(token.text("path"), "ServiceAccountToken")];
    }
    if bundle.is_set() {
        let name = bundle.text(if bundle.has("name") { "name" } else { "signerName" });
        return vec![File::new(bundle.text("path"), format!("ClusterTrustBundle {name:?}"))];
    }
    let certificate = source.field("podCertificate");
    [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ]
    .into_iter()
    .map(|(field, what)| File::new(certificate.text(field), what))
    .filter(|file| !file.path.is_empty())
    .collect()
}
