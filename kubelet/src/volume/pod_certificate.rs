//! Certificates of pods: a key made here, a PodCertificateRequest for it, and the chain that a signer issues. Upstream: `podcertificate`.
//!
//! Keys live in memory and in the pod's volume only. After a restart of the kubelet a pod gets a new key and certificate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use client::Informer;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, PodCertificateProjection, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt, watcher};

use super::Error;
use crate::pod::PodExt;

/// How long a signer may take before the request is made anew.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
struct Kept {
    key: String,
    chain: String,
    refresh_at: Timestamp,
}

/// Pod uid, volume, place among the volume's sources.
type CertificateKey = (String, String, usize);

/// The certificates in use.
pub(super) struct Certificates {
    client: kube::Client,
    node: Informer<Node>,
    node_name: String,
    kept: Mutex<HashMap<CertificateKey, Kept>>,
}

impl Certificates {
    pub(super) fn new(client: kube::Client, node: Informer<Node>, node_name: &str) -> Self {
        Self { client, node, node_name: node_name.to_owned(), kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<CertificateKey, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Private key and certificate chain as PEM; the ones in use until their time to be renewed has come.
    pub(super) async fn get(
        &self,
        pod: &Pod,
        volume: &str,
        index: usize,
        source: &PodCertificateProjection,
    ) -> Result<(String, String), Error> {
        let place = (pod.uid().to_owned(), volume.to_owned(), index);
        let present = self.kept().get(&place).cloned();
        if let Some(present) = &present
            && Timestamp::now() < present.refresh_at
        {
            return Ok((present.key.clone(), present.chain.clone()));
        }
        match self.request(pod, source).await {
            Ok(fresh) => {
                let pair = (fresh.key.clone(), fresh.chain.clone());
                self.kept().insert(place, fresh);
                Ok(pair)
            }
            Err(error) => match present {
                Some(present) => {
                    tracing::warn!(%error, pod = pod.name(), "certificate is not renewed yet");
                    Ok((present.key, present.chain))
                }
                None => Err(error),
            },
        }
    }

    async fn request(&self, pod: &Pod, source: &PodCertificateProjection) -> Result<Kept, Error> {
        let (key, stub) = key_and_request(&source.key_type)?;
        let account = pod.spec().service_account_name.clone().unwrap_or_else(|| "default".into());
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), pod.namespace());
        let account_uid = accounts.get(&account).await?.metadata.uid.unwrap_or_default();
        let node = self.node.get("", &self.node_name);
        let request = PodCertificateRequest {
            metadata: ObjectMeta {
                generate_name: Some("req-".into()),
                namespace: Some(pod.namespace().into()),
                ..ObjectMeta::default()
            },
            spec: PodCertificateRequestSpec {
                max_expiration_seconds: source.max_expiration_seconds,
                node_name: self.node_name.clone(),
                node_uid: node.and_then(|node| node.metadata.uid.clone()).unwrap_or_default(),
                pod_name: pod.name().into(),
                pod_uid: pod.uid().into(),
                service_account_name: account,
                service_account_uid: account_uid,
                signer_name: source.signer_name.clone(),
                stub_pkc_s10_request: ByteString(stub),
                unverified_user_annotations: source.user_annotations.clone(),
            },
            ..PodCertificateRequest::default()
        };
        let api: Api<PodCertificateRequest> = Api::namespaced(self.client.clone(), pod.namespace());
        let name = api.create(&PostParams::default(), &request).await?.metadata.name.unwrap_or_default();
        match tokio::time::timeout(PATIENCE, self.answer(&api, &name, key)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Certificate(format!("signer {} has not answered yet", source.signer_name))),
        }
    }

    /// Waits for the signer. A node may only watch what is meant for it.
    async fn answer(&self, api: &Api<PodCertificateRequest>, name: &str, key: String) -> Result<Kept, Error> {
        let fields = format!("metadata.name={name},spec.nodeName={}", self.node_name);
        let config = watcher::Config::default().fields(&fields);
        let mut changes = std::pin::pin!(watcher(api.clone(), config).default_backoff().applied_objects());
        while let Some(change) = changes.next().await {
            let Ok(request) = change else { continue };
            let status = request.status.unwrap_or_default();
            let holds = |name: &str| {
                status
                    .conditions
                    .iter()
                    .flatten()
                    .find(|condition| condition.type_ == name && condition.status == "True")
            };
            for refusal in ["Denied", "Failed"] {
                if let Some(condition) = holds(refusal) {
                    let text = format!("request was {}: {}", refusal.to_lowercase(), condition.message);
                    return Err(Error::Certificate(text));
                }
            }
            if holds("Issued").is_some() {
                let soon = Timestamp::now() + SignedDuration::from_hours(1);
                return Ok(Kept {
                    key,
                    chain: status.certificate_chain.unwrap_or_default(),
                    refresh_at: status.begin_refresh_at.map_or(soon, |at| at.0),
                });
            }
        }
        Err(Error::Certificate("watch ended".into()))
    }

    pub(super) fn next_refresh(&self, uid: &str) -> Option<Timestamp> {
        self.kept().iter().filter(|((pod, ..), _)| pod == uid).map(|(_, kept)| kept.refresh_at).min()
    }

    pub(super) fn forget(&self, uid: &str) {
        self.kept().retain(|(pod, ..), _| pod != uid);
    }
}

/// A new private key (PEM) and a request signed with it (DER).
fn key_and_request(key_type: &str) -> Result<(String, Vec<u8>), Error> {
    let algorithm = match key_type {
        "ECDSAP256" => &rcgen::PKCS_ECDSA_P256_SHA256,
        "ECDSAP384" => &rcgen::PKCS_ECDSA_P384_SHA384,
        "ED25519" => &rcgen::PKCS_ED25519,
        other => return Err(Error::Certificate(format!("key type {other:?} is not supported by this node"))),
    };
    let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
    let key = rcgen::KeyPair::generate_for(algorithm).map_err(failed)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(failed)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_for_the_types_a_node_can_make() {
        for key_type in ["ECDSAP256", "ECDSAP384", "ED25519"] {
            let (key, request) = key_and_request(key_type).unwrap();
            assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && !request.is_empty());
        }
        assert!(key_and_request("RSA3072").is_err());
    }
}
