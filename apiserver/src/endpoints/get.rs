//! GET of one object.

use api::status::Status;
use http::Response;

use super::{Call, Request, respond, send, shape};
use crate::registry::store::{missing, parse_resource_version};
use crate::server::body::Body;

/// Upstream: handlers.GetResource.
pub(super) async fn serve(call: &mut Call<'_>, request: &Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    if request.query.get("export").is_some_and(|value| !matches!(value, "false" | "0")) {
        return Err(Status::bad_request("the export parameter, deprecated since v1.14, is no longer supported"));
    }
    let target = &call.ctx.target;
    if let Some(computed) = call.state.computed.get(&target.group, &target.resource, &target.subresource) {
        let object = computed.get(&call.ctx).await?;
        let shaped = shape::object(call.resource, object, &output, &shape::TableOptions::of(&request.query)?)?;
        return Ok(respond::value(200, &shaped, &output));
    }
    let given = request.query.get("resourceVersion").unwrap_or_default();
    let revision = parse_resource_version(given).map_err(|why| Status::unknown(500, why))?;
    let engine = call.engine();
    // "0" is content with any state; a revision waits for it; nothing at all wants what is true now.
    let entry = if given.is_empty() {
        engine.get(call.resource, &target.namespace, &target.name).await?
    } else {
        let snapshot = super::list::at_least(engine, call.resource, revision).await?;
        let key = call.resource.key(&target.namespace, &target.name);
        snapshot.get(&key).ok_or_else(|| missing(call.resource, &snapshot, &key, &target.name))?
    };
    let served = engine.served(call.resource, entry).await?;
    send(call, 200, served, &output)
}
