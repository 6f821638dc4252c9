//! Images: present or pulled, by policy, with back-off. Upstream: `images.ImageManager`.

pub(crate) mod pause;
mod secrets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cri::api;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};

use crate::events::Recorder;
use crate::kuberuntime::backoff::Backoff;
use crate::pod::PodExt;

/// Why a container has no image. The names are its waiting reasons.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("ErrImagePull")]
    Pull(String),
    #[error("ImagePullBackOff")]
    BackOff(String, Duration),
    #[error("ErrImageNeverPull")]
    NeverPull(String),
    #[error("InvalidImageName")]
    InvalidName(String),
    #[error("ImageInspectError")]
    Inspect(String),
}

impl Error {
    /// For the container's waiting message.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Pull(text)
            | Self::BackOff(text, _)
            | Self::NeverPull(text)
            | Self::InvalidName(text)
            | Self::Inspect(text) => text,
        }
    }
}

/// Finds and pulls images.
#[derive(Debug)]
pub(crate) struct ImageManager {
    cri: cri::Client,
    recorder: Recorder,
    pulls: Mutex<Pulls>,
    /// Upstream pulls one image at a time by default (`serializeImagePulls`); two pods that want the same one wait for one pull.
    serial: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Pulls {
    backoff: Backoff,
    last_error: HashMap<String, String>,
}

impl ImageManager {
    pub(crate) fn new(cri: cri::Client, recorder: Recorder) -> Self {
        Self { cri, recorder, pulls: Mutex::default(), serial: tokio::sync::Mutex::default() }
    }

    fn pulls(&self) -> std::sync::MutexGuard<'_, Pulls> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the container's image is there; answers it.
    pub(crate) async fn ensure(
        &self,
        pod: &Pod,
        container: &Container,
        secrets: &[Arc<Secret>],
        sandbox: &api::PodSandboxConfig,
    ) -> Result<api::Image, Error> {
        let requested = container.image.as_deref().unwrap_or_default();
        let about = self.recorder.container(pod, &container.name);
        let image = with_default_tag(requested);
        if !is_reference(&image) {
            let message = format!(
                "Failed to apply default image tag \"{requested}\": couldn't parse image name \"{requested}\": invalid reference format"
            );
            self.recorder.warning(&about, "InspectFailed", &message);
            return Err(Error::InvalidName(message));
        }
        let present = self.cri.image_status(&image).await.map_err(|error| {
            let message = format!("Failed to inspect image \"{image}\": {error}");
            self.recorder.warning(&about, "InspectFailed", &message);
            Error::Inspect(message)
        })?;
        let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        match (present, policy) {
            (Some(found), "IfNotPresent" | "Never") => {
                let message = format!(
                    "Container image \"{requested}\" already present on machine and can be accessed by the pod"
                );
                self.recorder.normal(&about, "Pulled", &message);
                Ok(found)
            }
            (None, "Never") => {
                let message = format!("Container image \"{requested}\" is not present with pull policy of Never");
                self.recorder.warning(&about, "ErrImageNeverPull", &message);
                Err(Error::NeverPull(message))
            }
            _ => self.pull(pod, &about, requested, &image, secrets, sandbox).await,
        }
    }

    async fn pull(
        &self,
        pod: &Pod,
        about: &k8s_openapi::api::core::v1::ObjectReference,
        requested: &str,
        image: &str,
        secrets: &[Arc<Secret>],
        sandbox: &api::PodSandboxConfig,
    ) -> Result<api::Image, Error> {
        let key = format!("{}_{image}", pod.uid());
        let now = now_nanos();
        {
            let pulls = self.pulls();
            if let Some((remaining, _)) = pulls.backoff.since_count(&key, now) {
                let mut message = format!("Back-off pulling image \"{requested}\"");
                self.recorder.normal(about, "BackOff", &message);
                if let Some(last) = pulls.last_error.get(&key) {
                    message = format!("{message}: {last}");
                }
                return Err(Error::BackOff(message, remaining));
            }
        }
        self.recorder.normal(about, "Pulling", &format!("Pulling image \"{requested}\""));
        let asked = Instant::now();
        let one_at_a_time = self.serial.lock().await;
        let began = Instant::now();
        let mut answer = Err(cri::Error::NotFound { message: String::new() });
        for auth in secrets::credentials(image, secrets) {
            answer = self.cri.pull_image(image, auth, Some(sandbox.clone())).await;
            if answer.is_ok() {
                break;
            }
        }
        drop(one_at_a_time);
        let pulled = match answer {
            Ok(_) => self.cri.image_status(image).await.map(|image| image.unwrap_or_default()),
            Err(error) => Err(error),
        };
        match pulled {
            Ok(found) => {
                let mut pulls = self.pulls();
                pulls.backoff.forget(&key);
                pulls.last_error.remove(&key);
                let message = format!(
                    "Successfully pulled image \"{requested}\" in {} ({} including waiting). Image size: {} bytes.",
                    go_seconds(began.elapsed()),
                    go_seconds(asked.elapsed()),
                    found.size
                );
                self.recorder.normal(about, "Pulled", &message);
                Ok(found)
            }
            Err(error) => {
                self.recorder.warning(about, "Failed", &format!("Failed to pull image \"{requested}\": {error}"));
                let mut pulls = self.pulls();
                pulls.backoff.count(&key, now_nanos());
                pulls.last_error.insert(key, format!("ErrImagePull: {error}"));
                Err(Error::Pull(error.to_string()))
            }
        }
    }

    /// Forgets a pod's failures.
    pub(crate) fn forget_pod(&self, uid: &str) {
        let mut pulls = self.pulls();
        let prefix = format!("{uid}_");
        pulls.last_error.retain(|key, _| !key.starts_with(&prefix));
        pulls.backoff.forget_prefix(&prefix);
    }
}

fn now_nanos() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// As Go prints a duration cut to milliseconds: `1.203s`, `45ms`.
fn go_seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let text = format!("{}.{:03}", millis / 1000 % 60, millis % 1000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if millis < 60_000 { format!("{text}s") } else { format!("{}m{text}s", millis / 60_000) }
}

/// Adds `:latest` where there is neither tag nor digest.
pub(crate) fn with_default_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if image.is_empty() || last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// Whether this can name an image at all: what `docker/reference` accepts, closely enough to tell a typing error.
fn is_reference(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[slash..].rfind(':') {
        Some(at) => (&name[..slash + at], Some(&name[slash + at + 1..])),
        None => (name, None),
    };
    let valid_tag = |tag: &str| {
        !tag.is_empty()
            && tag.len() <= 128
            && !tag.starts_with(['.', '-'])
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let mut parts = path.split('/').enumerate();
    let several = path.contains('/');
    let valid_part = |index: usize, part: &str| {
        // The first part may be a registry, with capitals and a port.
        let registry = index == 0 && several;
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| {
                c.is_ascii_lowercase()
                    || c.is_ascii_digit()
                    || "._-".contains(c)
                    || (registry && (c == ':' || c.is_ascii_uppercase()))
            })
    };
    parts.all(|(index, part)| valid_part(index, part))
        && tag.is_none_or(valid_tag)
        && digest.is_none_or(|digest| digest.contains(':') && digest.len() > 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_typing_errors() {
        for good in ["busybox:latest", "registry.k8s.io/e2e-test-images/agnhost:2.66.1", "localhost:5000/a/b_c:V1"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "FAILED_IMAGE:latest", "a b:latest", "some/:latest", "$(X):latest"] {
            assert!(!is_reference(bad), "{bad}");
        }
        assert_eq!(with_default_tag("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(with_default_tag("a:1"), "a:1");
    }

    #[test]
    fn durations_print_as_in_go() {
        assert_eq!(go_seconds(Duration::from_millis(45)), "45ms");
        assert_eq!(go_seconds(Duration::from_millis(1200)), "1.2s");
        assert_eq!(go_seconds(Duration::from_millis(61_000)), "1m1s");
    }
}
