//! Follows the file of `--authentication-config`: what it says now takes the place of what it said, once all its issuers have
//! answered. What cannot be used changes nothing, and what it says of anonymous users must not change.
//! Upstream: BuiltInAuthenticationOptions.ApplyTo, authenticator.authenticationConfigUpdater.

use std::sync::Arc;
use std::time::Duration;

use api::field::{Error as FieldError, ErrorList, Path as FieldPath};
use component::file_watch::FileWatch;

use super::configuration::Configuration;
use super::{Authenticator, File, Issuers};

/// How long new issuers have to answer. Upstream: UpdateAuthenticationConfigTimeout.
const LIMIT: Duration = Duration::from_secs(60);

/// Why what the file says is not used.
#[derive(Debug)]
enum Refusal {
    /// It may be, later: it is tried again with the next look at the file.
    ForNow(String),
    /// It never will be.
    ForGood(String),
}

impl Issuers {
    /// Never ends: stop polling it.
    pub async fn follow(self: Arc<Self>, mut file: File) {
        let mut watch = FileWatch::new([file.path.as_path()]);
        loop {
            watch.changed().await;
            self.read_again(&mut file, LIMIT).await;
        }
    }

    /// Looks at the file once more.
    pub(super) async fn read_again(&self, file: &mut File, limit: Duration) {
        let path = file.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let outcome = match read.map_err(std::io::Error::other).and_then(|read| read) {
            Ok(text) if text == file.text => return,
            Ok(text) => {
                let outcome = self.apply(&text, file, limit).await;
                if !matches!(outcome, Err(Refusal::ForNow(_))) {
                    file.text = text;
                }
                outcome
            }
            Err(error) => Err(Refusal::ForNow(error.to_string())),
        };
        match &outcome {
            Ok(()) => {
                tracing::info!("reloaded authentication config");
                self.metrics.uses(&file.text);
            }
            Err(Refusal::ForNow(why) | Refusal::ForGood(why)) => {
                tracing::error!(error = why, file = %file.path.display(), "the changed authentication config is not used");
            }
        }
        self.metrics.reloaded(outcome.is_ok());
    }

    async fn apply(&self, text: &str, file: &File, limit: Duration) -> Result<(), Refusal> {
        let configuration = Configuration::parse(text).map_err(Refusal::ForGood)?;
        let mut errors = ErrorList::new();
        if configuration.anonymous != file.anonymous {
            let at = FieldPath::new("anonymous");
            errors.push(FieldError::forbidden(&at, "changed from initial configuration file"));
        }
        let new = self.authenticators(&configuration, errors).map_err(|error| Refusal::ForGood(error.to_string()))?;
        let present = futures::future::join_all(new.iter().map(|own| own.provider.present()));
        if tokio::time::timeout(limit, present).await.is_err() {
            let troubles: Vec<String> = new.iter().filter_map(|own| own.provider.trouble()).collect();
            return Err(Refusal::ForNow(troubles.join(", ")));
        }
        self.believe(new);
        Ok(())
    }

    fn believe(&self, new: Vec<Arc<Authenticator>>) {
        let new = Arc::new(new);
        let before = self.current.swap(Arc::clone(&new));
        let url = |own: &Arc<Authenticator>| own.settings.issuer.url.clone();
        for gone in before.iter().map(url).filter(|gone| !new.iter().any(|own| own.settings.issuer.url == *gone)) {
            self.metrics.forget(&gone);
        }
    }
}
