//! DELETE of all objects a selection names.

use api::status::Status;
use http::Response;
use json::Map;

use super::negotiation::Shape;
use super::options::ListOptions;
use super::{Call, Request, body, delete, list, respond, shape};
use crate::registry::selection::Selection;
use crate::registry::store::Engine;
use crate::server::body::Body;

/// Upstream: handlers.DeleteCollection.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let list = ListOptions::decode(&request.query, false)?;
    let selection = Selection::new(call.resource, &list, "")?;
    let bytes = body::read(request.body).await?;
    let options = delete::options(call, &request.parts.headers, &request.query, &bytes)?;
    call.ctx.dry_run = options.dry_run;
    let engine = call.engine().clone();
    let snapshot = engine.consistent(call.resource).await?;
    let deleted = engine.delete_collection(call.resource, &call.ctx, &options, &snapshot, &selection).await?;
    let mut items = Vec::with_capacity(deleted.len());
    for served in &deleted {
        let mut object = served.to_value()?;
        Engine::from_storage(call.resource, &mut object);
        items.push(object);
    }
    let mut metadata = Map::from_iter([("resourceVersion".to_string(), snapshot.revision().0.to_string().into())]);
    if let Some(token) = list::shown_token(call.resource, None).filter(|_| output.shape == Shape::Object) {
        metadata.insert("continue", token.into());
    }
    let table = shape::TableOptions::of(&request.query)?;
    let answer = shape::list(call.resource, items, metadata, &output, &table)?;
    Ok(respond::value(200, &answer, &output))
}
