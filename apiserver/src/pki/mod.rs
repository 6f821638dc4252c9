//! The cluster's keys and certificates, kept in `DATA-DIR/pki` under the file names kubeadm uses.
//!
//! [`Pki::open`] creates what is missing, loads what is there, and re-issues a leaf certificate whose names changed, whose
//! authority is another one, or of which less than 30 % of the validity is left. An authority is never replaced: a cluster whose
//! `ca.crt` changes loses every client, so a damaged one is an error that names the file.
//!
//! Every file is written whole (temporary file, fsync, rename) with mode 0600, so a crash leaves the old or the new one.
//!
//! Upstream: cmd/kubeadm/app/phases/certs (names, subjects, usages).

mod authority;
mod files;
mod kubeconfig;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use authority::{Authority, Issued, Request, Usage};
pub use files::write_private;
pub use kubeconfig::Kubeconfig;

/// Why keys or certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}", path = path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: not a usable {what}: {reason}; remove the file to have a new one made", path = path.display())]
    Unusable { path: PathBuf, what: &'static str, reason: String },
    #[error("cannot make the certificate of {subject:?}: {source}")]
    Issue {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
}

/// What the API server's serving certificate has to be valid for, beyond the fixed in-cluster names.
#[derive(Debug, Clone, Default)]
pub struct ServingNames {
    /// Host names: the machine's, and names of `--tls-sni`-like options.
    pub dns: Vec<String>,
    /// The first address of each service range, the bind address unless unspecified, the advertised address.
    pub ips: Vec<IpAddr>,
    /// `cluster.local` unless configured otherwise.
    pub cluster_domain: String,
}

/// All identities a control plane needs. PEM text throughout: it goes to files, kubeconfigs and rustls alike.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    /// Signs serving and client certificates; also the `--client-ca-file`.
    pub ca: Authority,
    /// Signs what the aggregation layer presents to extension API servers.
    pub front_proxy_ca: Authority,
    pub apiserver: Issued,
    pub apiserver_kubelet_client: Issued,
    pub front_proxy_client: Issued,
    pub admin: Issued,
    /// PKCS#8 PEM of the key that signs service-account tokens.
    pub service_account_key: String,
    /// PEM of the keys that verify them; the first is the signing key's.
    pub service_account_public_keys: Vec<String>,
}

impl Pki {
    /// Creates or loads everything below `dir`. Runs on the caller's thread: call it at start, before serving.
    pub fn open(dir: &Path, names: &ServingNames, now: SystemTime) -> Result<Pki, Error> {
        files::create_private_dir(dir)?;
        let ca = Authority::open(dir, "ca", "kubernetes", now)?;
        let front_proxy_ca = Authority::open(dir, "front-proxy-ca", "front-proxy-ca", now)?;
        let apiserver = ca.ensure(dir, "apiserver", &serving_request(names), now)?;
        let apiserver_kubelet_client =
            ca.ensure(dir, "apiserver-kubelet-client", &Request::client("kube-apiserver-kubelet-client", &[]), now)?;
        let front_proxy_client =
            front_proxy_ca.ensure(dir, "front-proxy-client", &Request::client("front-proxy-client", &[]), now)?;
        let admin = ca.ensure(dir, "admin", &Request::client("kubernetes-admin", &["system:masters"]), now)?;
        let (service_account_key, public) = authority::service_account_key(dir)?;
        Ok(Pki {
            dir: dir.to_path_buf(),
            ca,
            front_proxy_ca,
            apiserver,
            apiserver_kubelet_client,
            front_proxy_client,
            admin,
            service_account_key,
            service_account_public_keys: vec![public],
        })
    }

    /// A client certificate for a component, kept as `NAME.crt`/`NAME.key` (for example `system:kube-scheduler`).
    pub fn client(&self, file: &str, user: &str, groups: &[&str], now: SystemTime) -> Result<Issued, Error> {
        self.ca.ensure(&self.dir, file, &Request::client(user, groups), now)
    }

    /// What a kubelet proves itself with to the API server: user `system:node:NAME`, group `system:nodes`.
    pub fn kubelet_client(&self, node: &str, now: SystemTime) -> Result<Issued, Error> {
        self.ca.ensure(&self.dir, "kubelet-client", &Request::kubelet_client(node), now)
    }

    /// What a kubelet serves port 10250 with.
    pub fn kubelet_serving(&self, node: &str, ips: &[IpAddr], now: SystemTime) -> Result<Issued, Error> {
        self.ca.ensure(&self.dir, "kubelet", &Request::kubelet_serving(node, ips), now)
    }

    /// A kubeconfig for `identity` against `server`, to be written with [`Kubeconfig::write`].
    pub fn kubeconfig(&self, server: &str, user: &str, identity: &Issued) -> Kubeconfig {
        Kubeconfig {
            cluster: "krab".to_owned(),
            server: server.to_owned(),
            ca_pem: self.ca.certificate_pem().to_owned(),
            user: user.to_owned(),
            certificate_pem: identity.certificate_pem.clone(),
            key_pem: identity.key_pem.clone(),
        }
    }
}

/// What an API server without a certificate of its owner's serves with, kept in `dir` as `apiserver.crt` and `.key`.
/// Upstream: SecureServingOptions.MaybeDefaultWithSelfSignedCerts.
pub fn self_signed_serving(dir: &Path, names: &ServingNames, now: SystemTime) -> Result<Issued, Error> {
    authority::self_signed(dir, "apiserver", &serving_request(names), now)
}

fn serving_request(names: &ServingNames) -> Request {
    let domain = if names.cluster_domain.is_empty() { "cluster.local" } else { &names.cluster_domain };
    let mut dns: Vec<String> = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned).into();
    dns.push(format!("kubernetes.default.svc.{domain}"));
    dns.push("localhost".to_owned());
    dns.extend(names.dns.iter().filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase()));
    let mut ips = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16])];
    ips.extend(names.ips.iter().filter(|ip| !ip.is_unspecified()));
    Request {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        dns,
        ips,
        usages: vec![Usage::Server],
    }
}
