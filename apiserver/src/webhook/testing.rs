//! A webhook on loopback, with a certificate of an authority of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use json::{Value, json};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::tls::{Identities, KeyPair as Served, Parameters, Tls};

/// What the webhook does with a review.
pub(crate) enum Reply {
    /// 200 with this.
    Json(Value),
    /// Status code and body, which is plain text unless it is empty or may be JSON.
    Raw(u16, Vec<u8>),
    /// 307 to a path.
    Redirect(&'static str),
    /// 429, to be asked again at once.
    Busy,
    /// Nothing, ever.
    Silence,
}

impl Reply {
    /// A v1 AdmissionReview with the uid of the request and these fields.
    pub(crate) fn review(asked: &Value, mut fields: Value) -> Reply {
        fields["uid"] = asked["request"]["uid"].clone();
        Reply::Json(json!({"kind": "AdmissionReview", "apiVersion": asked["apiVersion"], "response": fields}))
    }

    /// A yes with a JSON patch.
    pub(crate) fn patch(asked: &Value, operations: &Value) -> Reply {
        let patch = STANDARD.encode(operations.to_string());
        Reply::review(asked, json!({"allowed": true, "patchType": "JSONPatch", "patch": patch}))
    }
}

/// A running webhook; it ends with its runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// PEM of what its certificate is to be verified with.
    pub(crate) bundle: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// With a certificate for 127.0.0.1.
    pub(crate) async fn start(answer: impl Fn(&str, Value) -> Reply + Send + Sync + 'static) -> Server {
        Server::start_as("127.0.0.1", answer).await
    }

    /// With a certificate for a name.
    pub(crate) async fn start_as(name: &str, answer: impl Fn(&str, Value) -> Reply + Send + Sync + 'static) -> Server {
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::<String>::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let bundle = authority.self_signed(&authority_key).expect("an authority").pem();
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let issuer = Issuer::new(authority, authority_key);
        let certificate = own.signed_by(&key, &issuer).expect("a certificate");
        Server::serve(certificate.der().clone(), &key, bundle, answer).await
    }

    /// With a certificate that vouches for itself.
    pub(crate) async fn start_self_signed(answer: impl Fn(&str, Value) -> Reply + Send + Sync + 'static) -> Server {
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = own.self_signed(&key).expect("a certificate");
        Server::serve(certificate.der().clone(), &key, certificate.pem(), answer).await
    }

    async fn serve(
        chain: CertificateDer<'static>,
        key: &KeyPair,
        bundle: String,
        answer: impl Fn(&str, Value) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let without_http2 = Parameters::new("", &[], &[], false).expect("defaults");
        let tls = Tls::new(without_http2, Identities::of(Served { chain: vec![chain], key })).expect("TLS");
        let acceptor = TlsAcceptor::from(tls.of(None));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let answer = Arc::new(answer);
        component::spawn("fake webhook", async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                component::spawn("fake webhook connection", async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| reply(request, answer.as_ref()));
                    let serving = hyper::server::conn::http1::Builder::new();
                    // Clients that go away are no fault here.
                    drop(serving.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Server { address, bundle, connections }
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A `clientConfig` for one of its paths.
    pub(crate) fn client_config(&self, path: &str) -> Value {
        json!({"url": format!("https://{}/{path}", self.address), "caBundle": STANDARD.encode(&self.bundle)})
    }
}

async fn reply<A: Fn(&str, Value) -> Reply>(
    request: Request<Incoming>,
    answer: &A,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let review = json::from_slice(&body).unwrap_or_default();
    let mut content_type = "application/json";
    let mut response = match answer(&path, review) {
        Reply::Json(answer) => Response::new(Full::new(Bytes::from(answer.to_string()))),
        Reply::Raw(code, body) => {
            if body.first().is_some_and(|first| !matches!(first, b'{' | b' ')) {
                content_type = "text/plain; charset=utf-8";
            }
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(code).expect("a status code");
            response
        }
        Reply::Redirect(path) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(header::LOCATION, header::HeaderValue::from_static(path));
            response
        }
        Reply::Busy => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("0"));
            response
        }
        Reply::Silence => std::future::pending().await,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    Ok(response)
}
