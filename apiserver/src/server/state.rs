//! What all requests share.

use std::sync::Arc;

use component::metrics::Registries;
use tokio_util::sync::CancellationToken;

use super::Documents;
use super::health::Health;
use super::metrics::Metrics;
use super::settings::Settings;
use super::zpages::Pages;
use crate::aggregator::Aggregator;
use crate::audit::Audit;
use crate::authentication::Authenticator;
use crate::authorization::Authorizer;
use crate::discovery::Discovery;
use crate::endpoints::negotiation::Formats;
use crate::filters::priority_and_fairness::Limiter;
use crate::openapi::OpenApi;
use crate::registry::computed::Computations;
use crate::registry::store::Engine;
use crate::streaming::Kubelets;

pub(crate) struct State {
    pub(crate) engine: Arc<Engine>,
    pub(crate) audit: Option<Arc<Audit>>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) computed: Computations,
    pub(crate) formats: Formats,
    /// `HOST:PORT` by which clients know this server.
    pub(crate) address: String,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) health: Health,
    pub(crate) kubelets: Kubelets,
    /// Group-versions other servers serve.
    pub(crate) aggregator: Aggregator,
    pub(crate) limiter: Limiter,
    /// Small documents at fixed paths (`/openid/v1/jwks`): bytes and media type.
    pub(crate) documents: Documents,
    pub(crate) metrics: Metrics,
    /// All that `/metrics` shows.
    pub(crate) registries: Registries,
    /// `/flagz`, `/statusz`
    pub(crate) pages: Pages,
    pub(crate) settings: Settings,
    pub(crate) shutdown: CancellationToken,
}
