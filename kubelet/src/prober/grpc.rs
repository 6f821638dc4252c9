//! `grpc.health.v1.Health/Check`. Upstream: `probe/grpc`.

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `ServingStatus.SERVING`.
const SERVING: i32 = 1;

/// Success, or what upstream says of the failure.
pub(super) async fn check(address: &str, service: String, timeout: Duration) -> Result<(), String> {
    let within = format!("{}s", timeout.as_secs());
    let unreachable =
        |error: String| format!("timeout: failed to connect service \"{address}\" within {within}: {error}");
    let attempt = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .and_then(|endpoint| endpoint.user_agent("kube-probe/1.37"))
            .map_err(|error| unreachable(error.to_string()))?;
        let channel = endpoint.connect().await.map_err(|error| unreachable(error.to_string()))?;
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.map_err(|error| unreachable(error.to_string()))?;
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let answer = grpc.unary(tonic::Request::new(HealthCheckRequest { service: service.clone() }), path, codec);
        match answer.await {
            Ok(answer) if answer.get_ref().status == SERVING => Ok(()),
            Ok(answer) => Err(format!("service unhealthy (responded with \"{}\")", name(answer.get_ref().status))),
            Err(status) if status.code() == Code::Unimplemented => Err(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                status.message()
            )),
            Err(status) => Err(format!("error: health rpc probe failed: {status}")),
        }
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(result) => result,
        Err(_) => Err(format!("timeout: health rpc did not complete within {within}")),
    }
}

fn name(status: i32) -> &'static str {
    match status {
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}
