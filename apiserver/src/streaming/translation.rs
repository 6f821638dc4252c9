//! WebSocket clients of kubelets that speak SPDY only: those that do not declare `ExtendWebSocketsToKubelet` (before v1.36).
//!
//! The kubelet is asked first, so that what it refuses reaches the client as an HTTP answer.
//! Upstream: k8s.io/apiserver/pkg/util/proxy.{StreamTranslatorHandler,TunnelingHandler}, pkg/registry/core/pod/rest.

use api::status::Status;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use json::Value;
use spdy::websocket::{self, CLOSING_CHANNELS, Protocol, TUNNELLED_PORT_FORWARD, Wanted};
use tokio_util::sync::CancellationToken;

use super::location::Location;
use super::{Error, Kubelets, Upgrade, no_body, pass, unreachable};
use crate::endpoints::query::Query;
use crate::server::body::Body;

const FEATURE: &str = "ExtendWebSocketsToKubelet";
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Translated {
    /// Exec and attach: channels to streams.
    Command(Wanted),
    /// Messages to the bytes in them.
    PortForward,
}

/// Whether a request must be translated for the kubelet of this node, and as what. Other protocols are the kubelet's to speak.
pub(crate) fn needed(subresource: &str, headers: &HeaderMap, query: &Query, node: &Value) -> Option<Translated> {
    let features = node["status"]["declaredFeatures"].as_array();
    if features.is_some_and(|features| features.iter().any(|feature| feature == FEATURE)) {
        return None;
    }
    if subresource == "portforward" {
        return websocket::offers(headers, TUNNELLED_PORT_FORWARD).then_some(Translated::PortForward);
    }
    let is_set = |name: &str| query.get(name).is_some_and(|value| !matches!(value, "false" | "0"));
    let tty = is_set("tty");
    let (stdin, stdout) = (is_set("stdin"), is_set("stdout"));
    let wanted = Wanted { stdin, stdout, stderr: is_set("stderr") && !tty, tty };
    websocket::offers(headers, CLOSING_CHANNELS).then_some(Translated::Command(wanted))
}

impl Kubelets {
    /// Opens the stream at the kubelet in SPDY, answers the client in WebSocket, and joins the two until one ends.
    pub(crate) async fn translate(
        &self,
        location: &Location,
        translated: Translated,
        headers: &HeaderMap,
        upgrade: Upgrade,
        shutdown: &CancellationToken,
    ) -> Result<Response<Body>, Status> {
        let (protocol, spoken) = match translated {
            Translated::Command(_) => (Protocol::of_command(headers), "v4.channel.k8s.io"),
            Translated::PortForward => (Protocol::of_port_forward(headers), "portforward.k8s.io"),
        };
        let refused = |refused: websocket::Refused| {
            Status::generic(refused.status.as_u16(), "", &Default::default(), "", &refused.message)
        };
        let protocol = protocol.map_err(refused)?;
        let answer_headers = protocol.answer(headers).map_err(refused)?;

        let asked = async {
            let mut request = Request::new(no_body());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = location.path.parse::<Uri>().unwrap_or_default();
            request.headers_mut().extend([
                (header::HOST, location.host_header()),
                (header::CONNECTION, HeaderValue::from_static("Upgrade")),
                (header::UPGRADE, HeaderValue::from_static("SPDY/3.1")),
                (STREAM_PROTOCOL, HeaderValue::from_static(spoken)),
            ]);
            let response = self.connect(location).await?.send_request(request).await?;
            if response.status().is_redirection() { Err(Error::Redirect) } else { Ok(response) }
        };
        let mut response = asked.await.map_err(|error| unreachable(location, &error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(pass(response));
        }
        let kubelet = hyper::upgrade::on(&mut response);
        let shutdown = shutdown.clone();
        component::spawn("apiserver translated stream", async move {
            let Upgrade { client, ongoing: _ongoing } = upgrade;
            let joined = async {
                let kubelet = TokioIo::new(kubelet.await?);
                let client = async { Ok::<_, websocket::Error>(TokioIo::new(client.await?)) };
                match translated {
                    Translated::Command(wanted) => websocket::join(protocol, wanted, client, kubelet).await,
                    Translated::PortForward => websocket::tunnel(client, kubelet).await,
                }
            };
            tokio::select! {
                outcome = joined => {
                    if let Err(error) = outcome {
                        tracing::debug!(%error, "a translated stream ended");
                    }
                }
                () = shutdown.cancelled() => {}
            }
        });
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let upgraded = [("connection", "Upgrade"), ("upgrade", "websocket")];
        answer
            .headers_mut()
            .extend(upgraded.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
        answer.headers_mut().extend(answer_headers);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    #[test]
    fn only_kubelets_that_do_not_say_they_can_are_translated_for() {
        let headers = |protocol: &'static str| {
            HeaderMap::from_iter([
                (header::UPGRADE, HeaderValue::from_static("websocket")),
                (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
            ])
        };
        let query = Query::parse("stdin=true&stdout=1&stderr=1&tty=false");
        let (old, new) = (json!({}), json!({"status": {"declaredFeatures": [FEATURE]}}));
        let needed = |subresource, protocol, node| super::needed(subresource, &headers(protocol), &query, node);
        let all = Wanted { stdin: true, stdout: true, stderr: true, tty: false };
        assert_eq!(needed("exec", CLOSING_CHANNELS, &old), Some(Translated::Command(all)));
        assert_eq!(needed("exec", CLOSING_CHANNELS, &new), None);
        assert_eq!(needed("exec", "v4.channel.k8s.io", &old), None);
        assert_eq!(needed("portforward", TUNNELLED_PORT_FORWARD, &old), Some(Translated::PortForward));
        assert_eq!(needed("portforward", "v4.channel.k8s.io", &old), None);
        assert_eq!(super::needed("exec", &HeaderMap::new(), &query, &old), None);
    }
}
