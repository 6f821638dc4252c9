//! Documents that somebody publishes, by their URL: the configuration and the keys of those who issue tokens.
//!
//! Unlike webhooks they may be elsewhere: redirects are followed, to plain HTTP too, as Go's client does. Nothing is repeated; time
//! and size are bounded. Documents are fetched rarely, so no connection is kept.
//! Upstream: net/http.Client.

use std::time::Duration;

use ::http::response::Parts;
use ::http::{Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::time::Instant;
use url::Url;

use super::{Cause, Error, Trust, client_config, collected, http};

/// How often is asked before the document is taken to be nowhere. Upstream: net/http.defaultCheckRedirect.
const REQUESTS: usize = 10;

type Answer = ::http::Response<hyper::body::Incoming>;

/// Whom to believe when documents are fetched.
#[derive(Debug)]
pub(crate) struct Fetcher(ClientConfig);

impl Fetcher {
    /// Servers are believed that these authorities know.
    pub(crate) fn new(trust: Trust<'_>) -> Result<Fetcher, Error> {
        client_config(trust, None).map(Fetcher)
    }

    /// Head and body of the answer, whatever its code; `bearer` is shown to the server.
    ///
    /// Who says that the document is elsewhere is believed, and asked nothing more; in all, so often is asked as Go does.
    pub(crate) async fn get(&self, url: &str, bearer: Option<&str>, limit: Duration) -> Result<(Parts, Bytes), Error> {
        let deadline = Instant::now() + limit;
        let failed = |url: &str, cause| Error::Get { url: url.to_owned(), cause };
        let mut target = Target::first(url, bearer).map_err(|cause| failed(url, cause))?;
        for _ in 0..REQUESTS {
            let asking = tokio::time::timeout_at(deadline, self.ask(&target));
            let response =
                asking.await.unwrap_or(Err(Cause::Deadline)).map_err(|cause| failed(&target.shown, cause))?;
            let Some(elsewhere) = location(&response) else {
                let (head, body) = response.into_parts();
                return Ok((head, collected(body, deadline).await?));
            };
            target = target.follow(elsewhere).map_err(|cause| failed(&target.shown, cause))?;
        }
        Err(failed(&target.from, Cause::Other(format!("stopped after {REQUESTS} redirects"))))
    }

    async fn ask(&self, target: &Target) -> Result<Answer, Cause> {
        let invalid = || Cause::Other(format!("invalid URL {:?}", target.shown));
        let host = target.url.host_str().ok_or_else(invalid)?.trim_start_matches('[').trim_end_matches(']');
        let client = match target.url.scheme() {
            "http" => http::Client::in_the_clear(),
            "https" => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid())?;
                http::Client::new(self.0.clone(), name)
            }
            other => return Err(Cause::Other(format!("unsupported protocol scheme {other:?}"))),
        };
        let uri: Uri = target.url.as_str().parse().map_err(|_| invalid())?;
        let mut request = Request::get(&uri)
            .header(header::HOST, uri.authority().map(|authority| authority.as_str()).unwrap_or_default())
            .header(header::USER_AGENT, "kube-apiserver");
        if let Some(token) = &target.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let is_overheard = target.from.starts_with("https:") && target.url.scheme() == "http";
        if !target.from.is_empty() && !is_overheard {
            request = request.header(header::REFERER, &target.from);
        }
        let request = request
            .body(Empty::new().map_err(|never| match never {}).boxed())
            .map_err(|error| Cause::Other(error.to_string()))?;
        client.request(request).await
    }
}

/// What is asked next.
#[derive(Debug)]
struct Target {
    /// Without a fragment, which is not sent.
    url: Url,
    /// As errors show it.
    shown: String,
    bearer: Option<String>,
    /// Who led here.
    from: String,
}

impl Target {
    fn first(url: &str, bearer: Option<&str>) -> Result<Target, Cause> {
        let mut parsed = Url::parse(url).map_err(|_| Cause::Other(format!("invalid URL {url:?}")))?;
        parsed.set_fragment(None);
        Ok(Target { url: parsed, shown: url.to_owned(), bearer: bearer.map(str::to_owned), from: String::new() })
    }

    /// A token is shown to the same host and to those below it, and to no one after somebody else.
    /// Upstream: net/http.Client.makeHeadersCopier.
    fn follow(&self, location: &str) -> Result<Target, Cause> {
        let unusable = |why| Cause::Other(format!("failed to parse Location header {location:?}: {why}"));
        let mut url = self.url.join(location).map_err(unusable)?;
        url.set_fragment(None);
        let (new, old) = (url.host_str().unwrap_or_default(), self.url.host_str().unwrap_or_default());
        let is_below = || new.strip_suffix(old).is_some_and(|rest| rest.ends_with('.')) && !old.contains(':');
        let bearer = self.bearer.clone().filter(|_| new == old || is_below());
        Ok(Target { shown: url.to_string(), url, bearer, from: self.url.to_string() })
    }
}

/// Where the answer says the document is.
fn location(answer: &Answer) -> Option<&str> {
    let leads_on = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers().get(header::LOCATION).filter(|_| leads_on)?;
    location.to_str().ok().filter(|location| !location.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::testing::{Reply, Server};
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// What a server of documents comes to, asked for `path`.
    async fn fetched(server: &Server, path: &str) -> Result<Bytes, String> {
        let fetcher = Fetcher::new(Trust::Bundle(server.bundle.as_bytes())).expect("an authority");
        let url = format!("https://{}{path}", server.address);
        fetcher.get(&url, None, LONG).await.map(|(_, body)| body).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_document_is_looked_for_where_it_is_said_to_be() {
        let server = Server::start(|path, _| match path {
            "/a/start" => Reply::Redirect("../b?x=1#part"),
            "/b" => Reply::Redirect("/c"),
            "/c" => Reply::Json(json!({"found": true})),
            _ => Reply::Raw(404, b"nothing here".to_vec()),
        })
        .await;
        assert_eq!(fetched(&server, "/a/start").await.unwrap(), r#"{"found":true}"#);
    }

    #[tokio::test]
    async fn who_is_sent_around_gives_up() {
        let asked = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&asked);
        let server = Server::start(move |_, _| {
            *counter.lock().expect("nobody panics") += 1;
            Reply::Redirect("/again")
        })
        .await;
        let why = fetched(&server, "/").await.unwrap_err();
        assert_eq!(why, format!("Get \"https://{}/again\": stopped after 10 redirects", server.address));
        assert_eq!(*asked.lock().unwrap(), 10);
    }

    #[tokio::test]
    async fn a_token_stays_with_the_host_it_is_for() {
        let first = Target::first("https://issuer.example/a", Some("secret")).unwrap();
        let shown = |location: &str| first.follow(location).unwrap().bearer.is_some();
        assert!(shown("/b") && shown("https://below.issuer.example:444/"));
        assert!(!shown("https://example/") && !shown("https://other-issuer.example/"));
        let back = first.follow("https://other.example/").unwrap().follow("https://issuer.example/").unwrap();
        assert!(back.bearer.is_none(), "who was led astray does not show it any more");
    }

    #[tokio::test]
    async fn plain_http_is_followed_and_told_no_referrer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = component::spawn("plain server", async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("it listens");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let fetcher = Fetcher::new(Trust::System).unwrap();
        let led =
            Target::first("https://issuer.example/", None).unwrap().follow(&format!("http://{address}/x")).unwrap();
        let answer = fetcher.ask(&led).await.unwrap();
        assert_eq!(answer.status(), 200);
        let request = asked.await.unwrap().unwrap().to_lowercase();
        assert!(request.starts_with("get /x http/1.1\r\n") && !request.contains("referer"), "{request}");
    }
}
