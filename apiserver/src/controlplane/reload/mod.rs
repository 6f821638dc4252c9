//! Certificates, keys, authorities and tokens that change while the server runs: what their files say now takes the place of
//! what they said before, part by part, without a restart.
//!
//! A part that does not fit (a certificate whose key is not there yet) is left as it is until the files change again.
//! Upstream: apiserver/pkg/server/dynamiccertificates, pkg/controlplane/controller/clusterauthenticationtrust.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use component::file_watch::FileWatch;

use super::documents::Documents;
use super::{Credentials, Error};
use crate::authentication::Union;
use crate::authentication::service_account::{ServiceAccountTokens, SigningKeys};
use crate::authentication::tokens::TokenFile;
use crate::server::tls::Tls;

/// Reads all credentials again; what cannot be read is as in those given.
pub type Read = Arc<dyn Fn(&Credentials) -> Credentials + Send + Sync>;

/// Where credentials come from that may change.
#[derive(Clone)]
pub struct Reload {
    /// The files that are followed.
    pub files: Vec<PathBuf>,
    /// See [`Read`].
    pub read: Read,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What works with the credentials.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) tls: Arc<Tls>,
    pub(super) authenticator: Arc<Union>,
    pub(super) accounts: Arc<ServiceAccountTokens>,
    pub(super) signing: Arc<SigningKeys>,
    pub(super) documents: Arc<Documents>,
    pub(super) token_file: Option<Arc<TokenFile>>,
}

/// Follows the files. Never ends: stop polling it.
pub(super) async fn run(reload: Reload, mut current: Credentials, live: Live) {
    let mut watch = FileWatch::new(reload.files.iter().map(PathBuf::as_path));
    loop {
        watch.changed().await;
        let (read, known) = (Arc::clone(&reload.read), current.clone());
        let Ok(new) = tokio::task::spawn_blocking(move || read(&known)).await else { continue };
        live.apply(&mut current, new);
    }
}

impl Live {
    /// Puts into effect what is different, and remembers it in `current` where that went well.
    pub(super) fn apply(&self, current: &mut Credentials, new: Credentials) {
        if (&new.serving, &new.named, &new.client_ca) != (&current.serving, &current.named, &current.client_ca) {
            let shown = new.identities().and_then(|identities| Ok(self.tls.show(identities)?));
            if told("serving certificates", shown) {
                (current.serving, current.named) = (new.serving.clone(), new.named.clone());
            }
        }
        if let (Some(authorities), Some(certificates)) = (&new.client_ca, &self.authenticator.certificates)
            && new.client_ca != current.client_ca
            && told("client CA", certificates.trust(authorities))
        {
            current.client_ca.clone_from(&new.client_ca);
        }
        if let (Some(settings), Some(front)) = (&new.request_header, &self.authenticator.front_proxy)
            && new.request_header != current.request_header
            && told("requestheader client CA", front.certificates.trust(&settings.client_ca))
        {
            current.request_header.clone_from(&new.request_header);
        }
        let (accounts, known) = (&new.service_accounts, &current.service_accounts);
        if accounts.verifying_keys != known.verifying_keys {
            let keys = accounts.verifying_keys().map(|keys| {
                self.documents.publish(&keys);
                self.accounts.verify_with(keys);
            });
            if told("service account keys", keys) {
                current.service_accounts.verifying_keys.clone_from(&accounts.verifying_keys);
            }
        }
        let known = &current.service_accounts;
        if accounts.signing_key != known.signing_key {
            let key = accounts.signing_key().map(|key| self.signing.sign_with(key));
            if told("the service account signing key", key) {
                current.service_accounts.signing_key.clone_from(&accounts.signing_key);
            }
        }
        if let Some(file) = &self.token_file
            && let Some(changed) = file.read_again().transpose()
        {
            told("static tokens", changed);
        }
    }
}

/// Logs how it went; true if it went well.
fn told<E: Into<Error>>(what: &str, outcome: Result<(), E>) -> bool {
    match outcome.map_err(Into::into) {
        Ok(()) => {
            tracing::info!("{what}: the changed files are in use");
            true
        }
        Err(error) => {
            tracing::error!(%error, "{what}: the changed files cannot be used, what was there before is");
            false
        }
    }
}

#[cfg(test)]
mod tests;
