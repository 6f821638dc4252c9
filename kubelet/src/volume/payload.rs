//! What the files of a volume hold: gathered from ConfigMaps, Secrets, the pod itself and token requests.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod};

use super::Error;
use super::plan::Part;
use super::pod_certificate::Certificates;
use super::token::Tokens;
use crate::pod::PodExt;
use crate::pod::fields::{self, NodeFacts};
use crate::pod::objects::Objects;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
    /// Owner, where it is not root.
    pub(crate) user: Option<u32>,
}

/// Relative path to file.
pub(crate) type Payload = BTreeMap<String, File>;

/// Where a volume's contents come from.
pub(super) struct Gather<'a> {
    pub(super) pod: &'a Pod,
    pub(super) objects: &'a Objects,
    pub(super) tokens: &'a Tokens,
    pub(super) certificates: &'a Certificates,
    pub(super) volume: &'a str,
    pub(super) node: &'a NodeFacts,
    pub(super) pod_ips: &'a [String],
    pub(super) default_mode: u32,
}

impl Gather<'_> {
    /// All parts, the later ones over the earlier ones.
    pub(super) async fn all(&self, parts: &[Part]) -> Result<Payload, Error> {
        let mut payload = Payload::new();
        for part in parts {
            payload.append(&mut self.one(part).await?);
        }
        for path in payload.keys() {
            if !is_safe(path) {
                return Err(Error::BadPath(path.clone()));
            }
        }
        Ok(payload)
    }

    async fn one(&self, part: &Part) -> Result<Payload, Error> {
        let namespace = self.pod.namespace();
        match part {
            Part::ConfigMap { name, items, optional } => {
                let found = self.objects.config_map(namespace, name).await?;
                let Some(found) = found else {
                    return missing(*optional, "configmap", name);
                };
                let text = found.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
                let binary = found.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
                project(text.chain(binary).collect(), items.as_deref(), *optional, self.default_mode, "config")
            }
            Part::Secret { name, items, optional } => {
                let found = self.objects.secret(namespace, name).await?;
                let Some(found) = found else {
                    return missing(*optional, "secret", name);
                };
                let data = found.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
                project(data, items.as_deref(), *optional, self.default_mode, "secret")
            }
            Part::DownwardApi { items } => items.iter().map(|item| self.downward(item)).collect(),
            Part::Token { path, audience, expiration_seconds } => {
                let token = self.tokens.get(self.pod, audience.as_deref(), *expiration_seconds).await?;
                Ok([(path.clone(), self.private(token))].into())
            }
            Part::Certificate(index, source) => {
                let (key, chain) = self.certificates.get(self.pod, self.volume, *index, source).await?;
                let files = [
                    (&source.credential_bundle_path, format!("{key}{chain}")),
                    (&source.key_path, key),
                    (&source.certificate_chain_path, chain),
                ];
                let named = files.into_iter().filter_map(|(path, data)| {
                    let path = path.clone().filter(|path| !path.is_empty())?;
                    Some((path, self.private(data)))
                });
                Ok(named.collect())
            }
            Part::TrustBundle(source) => {
                let bundle = self.objects.trust_bundle(source).await?;
                match bundle {
                    Some(pem) => {
                        let file = File { data: pem.into_bytes(), mode: self.default_mode, user: None };
                        Ok([(source.path.clone(), file)].into())
                    }
                    None if source.optional == Some(true) => {
                        let file = File { data: Vec::new(), mode: self.default_mode, user: None };
                        Ok([(source.path.clone(), file)].into())
                    }
                    None => Err(Error::NoObject {
                        kind: "clustertrustbundle",
                        name: source.name.clone().or_else(|| source.signer_name.clone()).unwrap_or_default(),
                    }),
                }
            }
        }
    }

    /// A file for the pod's own user, where it has one, or its group.
    fn private(&self, data: String) -> File {
        let user = common_user(self.pod);
        let group = self.pod.spec().security_context.as_ref().and_then(|context| context.fs_group);
        let mode = if user.is_some() || group.is_some() { 0o600 } else { self.default_mode };
        File { data: data.into_bytes(), mode, user }
    }

    fn downward(&self, item: &DownwardAPIVolumeFile) -> Result<(String, File), Error> {
        let text = if let Some(reference) = &item.field_ref {
            fields::field(self.pod, &reference.field_path, self.node, self.pod_ips)?
        } else if let Some(reference) = &item.resource_field_ref {
            fields::resource(self.pod, None, reference, self.node)?
        } else {
            String::new()
        };
        let mode = item.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(self.default_mode);
        Ok((item.path.clone(), File { data: text.into_bytes(), mode, user: user(item.user) }))
    }
}

fn user(id: Option<i64>) -> Option<u32> {
    id.and_then(|id| u32::try_from(id).ok())
}

fn missing(optional: bool, kind: &'static str, name: &str) -> Result<Payload, Error> {
    if optional { Ok(Payload::new()) } else { Err(Error::NoObject { kind, name: name.to_owned() }) }
}

/// Picks the keys that `items` name, or all.
fn project(
    mut data: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: bool,
    default_mode: u32,
    kind: &'static str,
) -> Result<Payload, Error> {
    let items = items.unwrap_or_default();
    if items.is_empty() {
        return Ok(data.into_iter().map(|(key, data)| (key, File { data, mode: default_mode, user: None })).collect());
    }
    let mut payload = Payload::new();
    for item in items {
        let Some(data) = data.get_mut(&item.key) else {
            if optional {
                continue;
            }
            return Err(Error::NoKey { kind, key: item.key.clone() });
        };
        let mode = item.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default_mode);
        payload.insert(item.path.clone(), File { data: data.clone(), mode, user: user(item.user) });
    }
    Ok(payload)
}

/// The user all containers run as, if it is one. Upstream: `volumeutil.FsUserFrom`.
fn common_user(pod: &Pod) -> Option<u32> {
    let of_pod = pod.spec().security_context.as_ref().and_then(|context| context.run_as_user);
    let mut users = pod
        .containers()
        .iter()
        .chain(pod.init_containers())
        .map(|container| container.security_context.as_ref().and_then(|context| context.run_as_user).or(of_pod));
    let first = users.next().flatten()?;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

/// No way out of the volume, and no name that the writer itself uses.
fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.starts_with("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_volume() {
        for good in ["a", "a/b", "a..b", ".hidden"] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["", "/a", "../a", "a/../b", "..data", "a//b"] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn items_choose_and_rename_keys() {
        let data: BTreeMap<_, _> = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())].into();
        let items = [KeyToPath { key: "b".into(), path: "x/y".into(), mode: Some(0o400), ..KeyToPath::default() }];
        let payload = project(data.clone(), Some(&items), false, 0o644, "config").unwrap();
        assert_eq!(payload["x/y"], File { data: b"2".to_vec(), mode: 0o400, user: None });
        let items = [KeyToPath { key: "c".into(), path: "c".into(), ..KeyToPath::default() }];
        let error = project(data.clone(), Some(&items), false, 0o644, "config").unwrap_err();
        assert_eq!(error.to_string(), "references non-existent config key: c");
        assert!(project(data, Some(&items), true, 0o644, "config").unwrap().is_empty());
    }
}
