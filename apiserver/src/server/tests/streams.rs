//! Logs and exec through real connections: client - TLS - API server - TLS - kubelet.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use json::json;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Cluster;
use crate::authentication::{Authenticator, PeerCertificates, UserInfo};
use crate::server::tls::{Identities, KeyPair, Parameters, Tls};
use crate::streaming::Kubelets;

/// Whoever shows a certificate is a master.
pub(super) struct ByCertificate;

impl Authenticator for ByCertificate {
    fn authenticate<'a>(
        &'a self,
        _parts: &'a http::request::Parts,
        peer: &'a PeerCertificates,
    ) -> BoxFuture<'a, Result<Option<UserInfo>, Status>> {
        let user = (!peer.is_empty()).then(|| UserInfo::new("admin", &["system:masters"]));
        Box::pin(std::future::ready(Ok(user)))
    }
}

fn certificate() -> (rustls::pki_types::CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// A kubelet that has one log, echoes what is sent to exec in capitals, and redirects all else.
async fn kubelet() -> SocketAddr {
    let (chain, key) = certificate();
    let without_http2 = Parameters::new("", &[], &[], false).unwrap();
    let tls = Tls::new(without_http2, Identities::of(KeyPair { chain: vec![chain], key })).unwrap();
    let acceptor = TlsAcceptor::from(tls.of(None));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    component::spawn("fake kubelet", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            assert!(stream.get_ref().1.peer_certificates().is_some(), "the API server shows its certificate");
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .with_upgrades();
            component::spawn("fake kubelet connection", serving);
        }
    });
    address
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let target = request.uri().to_string();
    let mut response = Response::new(Full::default());
    if request.headers().get("upgrade").is_some_and(|to| to == "SPDY/3.1") {
        return Ok(spdy_answer(request));
    }
    match target.as_str() {
        "/containerLogs/default/p/c?follow=true&tailLines=5" => *response.body_mut() = Full::from("one\ntwo\n"),
        "/exec/default/p/c?input=1&output=1&command=sh" => {
            assert_eq!(request.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
            assert!(!request.headers().contains_key("authorization"));
            let upgrade = hyper::upgrade::on(&mut request);
            component::spawn("fake exec", async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    buffer[..length].make_ascii_uppercase();
                    stream.write_all(&buffer[..length]).await.unwrap();
                }
            });
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
            response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
        }
        _ => {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert("location", "https://192.0.2.9/".parse().unwrap());
        }
    }
    Ok(response)
}

/// A command over SPDY: what comes in goes out in capitals, until there is no more.
fn spdy_answer(mut request: Request<Incoming>) -> Response<Full<bytes::Bytes>> {
    assert_eq!(request.method(), "POST");
    assert_eq!(request.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    let upgrade = hyper::upgrade::on(&mut request);
    component::spawn("fake SPDY exec", async move {
        let (_session, mut streams) = spdy::Session::server(TokioIo::new(upgrade.await.unwrap())).unwrap();
        let (mut error, mut stdin, mut stdout) = (None, None, None);
        while error.is_none() || stdin.is_none() || stdout.is_none() {
            let stream = streams.recv().await.unwrap();
            match stream.header("streamtype").unwrap() {
                "error" => error = Some(stream),
                "stdin" => stdin = Some(stream),
                _ => stdout = Some(stream),
            }
        }
        let (mut error, mut stdin, mut stdout) = (error.unwrap(), stdin.unwrap(), stdout.unwrap());
        while let Some(data) = stdin.reader.next().await {
            stdout.writer.write(data.to_ascii_uppercase().into()).await.unwrap();
        }
        error.writer.write(bytes::Bytes::from_static(br#"{"status":"Success"}"#)).await.unwrap();
        stdout.writer.finish().await.unwrap();
        error.writer.finish().await.unwrap();
        stdin.writer.finish().await.unwrap();
        while streams.recv().await.is_some() {}
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("upgrade", "SPDY/3.1".parse().unwrap());
    response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    response
}

/// A cluster whose one pod runs on the fake kubelet, and where it listens.
async fn running() -> (Cluster, SocketAddr) {
    let kubelet = kubelet().await;
    let (chain, key) = certificate();
    let kubelets = Kubelets::with_client_certificate(vec![chain], key, None).unwrap();
    let cluster = Cluster::with(kubelets, Arc::new(ByCertificate)).await;
    cluster.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await.expect(201);
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port()}},
        "declaredFeatures": ["ExtendWebSocketsToKubelet"]}});
    cluster.merge("/api/v1/nodes/n/status", status).await.expect(200);
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
    cluster.post("/api/v1/namespaces/default/pods", json!({"metadata": {"name": "p"}, "spec": spec})).await.expect(201);
    let address = listening(&cluster).await;
    (cluster, address)
}

/// Opens a port for the server.
pub(super) async fn listening(cluster: &Cluster) -> SocketAddr {
    let (chain, key) = certificate();
    let identities = Identities::of(KeyPair { chain: vec![chain], key });
    let tls = Tls::new(Parameters::default(), identities).expect("TLS");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = cluster.server.clone();
    component::spawn("server", async move { server.serve(listener, tls).await });
    address
}

/// A TLS connection to the server, with a client certificate.
pub(super) async fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    connect_speaking(address, b"http/1.1").await
}

/// The same, with another protocol than HTTP/1.
pub(super) async fn connect_speaking(address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
    let (chain, key) = certificate();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .dangerous()
        .with_custom_certificate_verifier(component::tls::AnyCertificate::verifier(provider))
        .with_client_auth_cert(vec![chain], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// Reads up to and with the empty line behind the headers.
pub(super) async fn read_head(stream: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

const EXEC: &str = "/api/v1/namespaces/default/pods/p/exec?container=c&stdin=true&stdout=true&command=sh";

#[tokio::test]
async fn logs_come_from_the_kubelet_of_the_pods_node() {
    let (cluster, _) = running().await;
    let logs = "/api/v1/namespaces/default/pods/p/log";
    let answer = cluster.get(&format!("{logs}?follow=true&tailLines=5")).await.expect(200);
    assert_eq!(answer.bytes, "one\ntwo\n");
    assert_eq!(answer.headers["content-type"], "text/plain");
    let refused = cluster.get(&format!("{logs}?container=x")).await.expect(400);
    assert_eq!(refused.message(), "container x is not valid for pod p");
    let redirected = cluster.get(&format!("{logs}?previous=true")).await.expect(502);
    assert!(redirected.message().contains("redirect"));
}

#[tokio::test]
async fn exec_joins_the_clients_stream_to_the_kubelets() {
    let (_cluster, address) = running().await;
    let mut stream = connect(address).await;
    let request = format!(
        "GET {EXEC} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\nAuthorization: Bearer x\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
    for word in ["hello", "again"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(std::str::from_utf8(&echo).unwrap(), word.to_uppercase());
    }
}

#[tokio::test]
async fn a_kubelet_that_speaks_spdy_only_is_translated_for() {
    let (cluster, address) = running().await;
    cluster.merge("/api/v1/nodes/n/status", json!({"status": {"declaredFeatures": null}})).await.expect(200);
    let mut stream = connect(address).await;
    let request = format!(
        "GET {EXEC} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("sec-websocket-protocol: v5.channel.k8s.io"), "{head}");
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    for message in [&b"\x00hello"[..], &b"\xff\x00"[..]] {
        socket.send(Message::Binary(bytes::Bytes::copy_from_slice(message))).await.unwrap();
    }
    let mut received = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(data) if data.len() > 1 => received.push(String::from_utf8(data.to_vec()).unwrap()),
            Message::Close(frame) => received.push(format!("closed {}", frame.unwrap().code)),
            _ => {}
        }
    }
    assert_eq!(received, ["\x01HELLO", "\x03{\"status\":\"Success\"}", "closed 1000"]);
}

#[tokio::test]
async fn a_watch_over_a_web_socket_is_a_message_an_event() {
    let (cluster, address) = running().await;
    let target = "/api/v1/namespaces/default/configmaps";
    cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    for (accept, first) in
        [("application/json", "{\"type\":\"ADDED\""), ("application/vnd.kubernetes.protobuf", "\n\x05ADDED")]
    {
        let mut stream = connect(address).await;
        let request = format!(
            "GET {target}?watch=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccept: {accept}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://x\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        for _ in 0..2 {
            let message = socket.next().await.unwrap().unwrap();
            assert_eq!(message.is_text(), accept == "application/json");
            let event = message.into_data();
            assert!(event.starts_with(first.as_bytes()), "{event:?}");
            assert_eq!(event.windows(5).filter(|word| *word == b"ADDED").count(), 1);
        }
    }
}

#[tokio::test]
async fn exec_without_an_upgrade_is_refused() {
    let (cluster, _) = running().await;
    assert_eq!(cluster.get(EXEC).await.expect(400).message(), "Upgrade request required");
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_nobody() {
    let (_cluster, address) = running().await;
    let mut stream = connect(address).await;
    stream.write_all(b"HEAD /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 405 "));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(component::tls::AnyCertificate::verifier(provider))
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    stream.write_all(b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 401 "));
}
