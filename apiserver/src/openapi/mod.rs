//! `/openapi/v2` and `/openapi/v3`: documents made by `crates/api`, kept compressed in nothing but their bytes, made on first use.
//! Upstream: k8s.io/kube-openapi/pkg/{handler,handler3}.

use http::{HeaderMap, Response};

use crate::endpoints::query::Query;
use crate::server::body::Body;

/// The documents.
#[derive(Debug, Default)]
pub struct OpenApi {}

impl OpenApi {
    /// Answers a path below `/openapi`; None for others.
    pub(crate) fn serve(&self, _path: &str, _headers: &HeaderMap, _query: &Query) -> Option<Response<Body>> {
        None
    }
}
