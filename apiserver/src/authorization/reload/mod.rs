//! The file of `--authorization-config` while the server runs: what it says now is in force, if it is valid. Webhooks come, go
//! and change; the other authorizers change their places only, and none of them may go.
//! Upstream: pkg/kubeapiserver/authorizer.reloadableAuthorizerResolver, authorizationconfig/metrics.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use component::file_watch::FileWatch;

use super::configuration::{self, Configuration, Mode, Source};
use super::{Authorization, Error};
use crate::configuration_file::hash;

/// Why a changed file is not in force.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    #[error("{0}")]
    Configuration(#[from] configuration::Error),
    #[error("{0}")]
    Authorizers(#[from] Error),
}

/// Follows the file of a configuration, on the server of this name. Never ends: stop polling it.
pub(crate) async fn follow(
    authorization: Arc<Authorization>,
    configuration: Configuration,
    source: Source,
    server: String,
) {
    let mut reload = Reload::of(authorization, configuration, source, &server);
    let mut watch = FileWatch::new([reload.source.path.clone()].iter().map(|path| path.as_path()));
    loop {
        watch.changed().await;
        let looked = tokio::task::spawn_blocking(move || {
            reload.look();
            reload
        });
        match looked.await {
            Ok(looked) => reload = looked,
            // It panicked, which was logged.
            Err(_) => return std::future::pending().await,
        }
    }
}

/// What was read last, and what is in force.
struct Reload {
    authorization: Arc<Authorization>,
    configuration: Configuration,
    source: Source,
    /// The types that were there at the start and stay.
    required: Vec<&'static str>,
    server_hash: String,
}

impl Reload {
    fn of(authorization: Arc<Authorization>, configuration: Configuration, source: Source, server: &str) -> Reload {
        let kept = configuration.authorizers.iter().filter(|own| !matches!(own.mode, Mode::Webhook(_)));
        let mut required: Vec<&'static str> = kept.map(|own| own.mode.as_str()).collect();
        required.sort_unstable();
        let server_hash = hash(server);
        authorization.metrics().reloads().applied(&server_hash, &source.text);
        Reload { authorization, configuration, source, required, server_hash }
    }

    /// Looks at the file, and puts into force what it says.
    fn look(&mut self) {
        let changed = self.changed();
        let reloads = self.authorization.metrics().reloads();
        match changed {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(file = %self.source.path.display(), "the changed authorization configuration is in force");
                reloads.count(true, &self.server_hash);
                reloads.applied(&self.server_hash, &self.source.text);
            }
            Err(error) => {
                tracing::error!(%error, "the changed authorization configuration cannot be used, what was before it is");
                reloads.count(false, &self.server_hash);
            }
        }
    }

    fn changed(&mut self) -> Result<bool, Refused> {
        let text = std::fs::read_to_string(&self.source.path)?;
        if text == self.source.text {
            return Ok(false);
        }
        // One that is refused is refused once.
        self.source.text = text;
        let authorizers = configuration::parse(&self.source.text, &self.required)?;
        if authorizers == self.configuration.authorizers {
            return Ok(false);
        }
        self.configuration.authorizers = authorizers;
        self.authorization.reconfigure(&self.configuration)?;
        Ok(true)
    }
}
