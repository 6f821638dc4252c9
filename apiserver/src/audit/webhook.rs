//! A server that is posted events: an `EventList` of `audit.k8s.io/v1`, again with growing pauses until it takes it or there were
//! enough attempts. Whatever the failure is, the next attempt may go well.
//! Upstream: k8s.io/apiserver/plugin/pkg/audit/webhook.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::event::Event;
use crate::context::Objects;
use crate::webhook::{Backoff, Error, Webhook, kubeconfig};

/// How long one attempt may take. Upstream: webhook.defaultRequestTimeout.
const LIMIT: Duration = Duration::from_secs(30);

/// See the module header.
pub(super) struct EventWebhook {
    webhook: Webhook,
    /// `--audit-webhook-initial-backoff`
    pause: Duration,
    objects: Arc<dyn Objects>,
}

impl std::fmt::Debug for EventWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventWebhook").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

impl EventWebhook {
    pub(super) fn open(
        kubeconfig: &Path,
        pause: Duration,
        objects: Arc<dyn Objects>,
    ) -> Result<EventWebhook, kubeconfig::Error> {
        Ok(EventWebhook { webhook: Webhook::of_kubeconfig(kubeconfig)?, pause, objects })
    }

    pub(super) async fn send(&self, events: &[Event]) -> Result<(), Error> {
        let items: Vec<&str> = events.iter().map(Event::text).collect();
        let list = format!(
            r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{}]}}"#,
            items.join(",")
        );
        let body = Bytes::from(list);
        let mut backoff = Backoff::of(self.pause);
        loop {
            let error = match self.webhook.post(self.objects.as_ref(), body.clone(), LIMIT).await {
                // Who is told something has nothing to say to it.
                Ok(_) | Err(Error::Empty { .. }) => return Ok(()),
                Err(error) => error,
            };
            let Some(pause) = backoff.next() else { return Err(error) };
            tracing::debug!(%error, "the audit webhook did not take events");
            tokio::time::sleep(pause).await;
        }
    }
}
