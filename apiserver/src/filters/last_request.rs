//! Which request is the last one of its HTTP/2 connection: after it the client is sent GOAWAY, and the connection ends with
//! the requests it still has.
//!
//! One on which nobody authenticated himself: HTTP/2 lets a client start more work than it pays for, so strangers get as much of
//! it as HTTP/1 without keep-alive would give them (CVE-2023-44487). And by `--goaway-chance` any, so that clients behind a load
//! balancer spread again. Upstream: endpoints/filters.WithAuthentication, server/filters.WithProbabilisticGoaway.

use http::Extensions;
use tokio_util::sync::CancellationToken;

/// Ends the connection a request came on, in order; an extension of requests that came over HTTP/2.
#[derive(Clone, Debug)]
pub(crate) struct Connection(pub(crate) CancellationToken);

/// No further request on this connection.
pub(crate) fn end(extensions: &Extensions) {
    if let Some(Connection(ending)) = extensions.get() {
        ending.cancel();
    }
}

/// The same with this probability.
pub(crate) fn end_by_chance(extensions: &Extensions, chance: f64) {
    if chance > 0.0 && rand::random::<f64>() < chance {
        end(extensions);
    }
}
