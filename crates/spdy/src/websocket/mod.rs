//! WebSocket clients joined to SPDY servers: what kubectl and browsers speak on one side, container runtimes and older
//! kubelets on the other.
//!
//! [`join`] takes the channels of an exec or attach apart, [`forward`] those of a port-forward; [`tunnel`] unwraps a port-forward
//! whose messages are SPDY already.
//! Upstream counterpart: `k8s.io/apiserver/pkg/util/proxy` (streamtranslator, streamtunnel).

mod channels;
mod ports;
mod tunnel;

use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub use channels::{Protocol, Wanted, join};
pub use ports::forward;
pub use tunnel::tunnel;

/// The subprotocol whose messages carry the SPDY connection of a port-forward.
pub const TUNNELLED_PORT_FORWARD: &str = "SPDY/3.1+portforward.k8s.io";
/// The one in which stdin can be closed alone.
pub const CLOSING_CHANNELS: &str = "v5.channel.k8s.io";

/// A client's wish that is not granted: an HTTP answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Its code.
    pub status: StatusCode,
    /// Its text.
    pub message: String,
}

/// What ends a joined stream early. The client sees a closed connection; the text is for the log.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Does the request ask for a WebSocket that speaks `protocol`?
pub fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    token(headers, header::UPGRADE).eq_ignore_ascii_case("websocket") && offered(headers).any(|own| own == protocol)
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn token(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

/// The end of a session that went well: clients take any other code, and none, for a broken connection.
fn normal_close() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}
