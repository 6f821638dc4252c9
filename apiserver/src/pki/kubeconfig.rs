//! Kubeconfig files of one cluster, one user, one context.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Error, files};

/// A kubeconfig with everything embedded, so that it can be copied to another machine as it is.
#[derive(Clone)]
pub struct Kubeconfig {
    /// Names the cluster and the context.
    pub cluster: String,
    /// `https://host:port`
    pub server: String,
    pub ca_pem: String,
    pub user: String,
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubeconfig").field("server", &self.server).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// The file's text. JSON strings are YAML strings, which is how the names are quoted.
    pub fn to_yaml(&self) -> String {
        let quoted = |text: &str| json::Value::from(text).to_string();
        let (cluster, user) = (quoted(&self.cluster), quoted(&self.user));
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: {cluster}\n\
             \x20 cluster:\n\
             \x20   server: {server}\n\
             \x20   certificate-authority-data: {ca}\n\
             contexts:\n\
             - name: {cluster}\n\
             \x20 context:\n\
             \x20   cluster: {cluster}\n\
             \x20   user: {user}\n\
             current-context: {cluster}\n\
             users:\n\
             - name: {user}\n\
             \x20 user:\n\
             \x20   client-certificate-data: {certificate}\n\
             \x20   client-key-data: {key}\n",
            server = quoted(&self.server),
            ca = STANDARD.encode(&self.ca_pem),
            certificate = STANDARD.encode(&self.certificate_pem),
            key = STANDARD.encode(&self.key_pem),
        )
    }

    /// Writes the file with mode 0600; rewriting the same content is a no-op.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_yaml();
        if files::read(path)?.as_deref() == Some(text.as_str()) {
            return Ok(());
        }
        files::write_private(path, text.as_bytes())
    }
}
