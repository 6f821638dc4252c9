//! PUT.

use api::meta;
use api::status::Status;
use http::Response;
use json::Value;

use super::options::WriteOptions;
use super::{Call, Request, body, created, respond, send};
use crate::authentication::UserInfo;
use crate::authorization::Attributes;
use crate::context::RequestContext;
use crate::filters::request_info::RequestInfo;
use crate::registry::metadata;
use crate::registry::store::{Change, Mode, Ownership, Present, Update, Written};
use crate::server::body::Body;

/// Upstream: handlers.UpdateResource.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let options = WriteOptions::decode(&request.query, "UpdateOptions")?;
    let syntax = request.input()?;
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    let schema = call.resource.decode_target().ok_or_else(respond::no_such_resource)?;
    let mut object = body::decode(&call.ctx, &bytes, syntax, schema, options.field_validation)?;
    let namespace = call.ctx.target.namespace.clone();
    metadata::ensure_namespace(&mut object, &namespace)?;
    check_name(&object, &call.ctx.target.name)?;
    let mut change = |_: &RequestContext, _: Present<'_>| Ok(object.clone());
    let written = write(call, &request.info, &request.user, &options, Ownership::Tracked, &mut change).await?;
    send(call, created(written.created), written.served, &output)
}

/// Carries out what a PUT, a patch or an apply wants of the object in the path. To create what is not there, the user needs
/// the permission to create, too.
pub(super) async fn write(
    call: &mut Call<'_>,
    info: &RequestInfo,
    user: &UserInfo,
    options: &WriteOptions,
    ownership: Ownership,
    change: Change<'_>,
) -> Result<Written, Status> {
    let state = call.state;
    let authorize_create = |ctx: &RequestContext| {
        let creation = Attributes { verb: "create".to_string(), ..info.attributes(user) };
        ctx.require(&creation)
    };
    let mode = if info.subresource.is_empty() { Mode::Main } else { Mode::Subresource(&info.subresource) };
    let resource = call.resource;
    let authorize_create = &authorize_create;
    let update = Update { resource, mode, options, change, shown: None, ownership, authorize_create };
    state.engine.update(&mut call.ctx, update).await
}

/// The object's name must be that of the path. Upstream: handlers.checkName.
pub(super) fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    let own = meta::name(object);
    if own.is_empty() {
        let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Status::bad_request(why));
    }
    if own != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}
