//! Documents that somebody publishes, by their URL: the configuration and the keys of those who issue tokens.
//!
//! As every call of this folder: no redirect is followed, nothing is repeated, time and size are bounded. Documents are fetched
//! rarely, so no connection is kept.

use std::time::Duration;

use ::http::response::Parts;
use ::http::{Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::time::Instant;

use super::{Cause, Error, Trust, client_config, collected, http};

/// Whom to believe when documents are fetched.
#[derive(Debug)]
pub(crate) struct Fetcher(ClientConfig);

impl Fetcher {
    /// Servers are believed that these authorities know.
    pub(crate) fn new(trust: Trust<'_>) -> Result<Fetcher, Error> {
        client_config(trust, None).map(Fetcher)
    }

    /// Head and body of the answer, whatever its code; `bearer` is shown to the server.
    pub(crate) async fn get(&self, url: &str, bearer: Option<&str>, limit: Duration) -> Result<(Parts, Bytes), Error> {
        let deadline = Instant::now() + limit;
        let failed = |cause| Error::Get { url: url.to_owned(), cause };
        let asking = tokio::time::timeout_at(deadline, self.ask(url, bearer));
        let response = asking.await.unwrap_or(Err(Cause::Deadline)).map_err(failed)?;
        let (head, body) = response.into_parts();
        Ok((head, collected(body, deadline).await?))
    }

    async fn ask(&self, url: &str, bearer: Option<&str>) -> Result<::http::Response<hyper::body::Incoming>, Cause> {
        let invalid = || Cause::Other(format!("invalid URL {url:?}"));
        // A fragment is not sent.
        let uri: Uri = url.split('#').next().unwrap_or_default().parse().map_err(|_| invalid())?;
        if uri.scheme_str() != Some("https") {
            return Err(Cause::Other(format!(
                "unsupported protocol scheme {:?}",
                uri.scheme_str().unwrap_or_default()
            )));
        }
        let host = uri.host().ok_or_else(invalid)?.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid())?;
        let mut request = Request::get(&uri)
            .header(header::HOST, uri.authority().map(|authority| authority.as_str()).unwrap_or_default())
            .header(header::USER_AGENT, "kube-apiserver");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Empty::new().map_err(|never| match never {}).boxed())
            .map_err(|error| Cause::Other(error.to_string()))?;
        http::Client::new(self.0.clone(), name).request(request).await
    }
}
