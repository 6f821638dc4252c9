//! Writing a plan through the API.

use api::meta;
use futures::stream::{self, StreamExt, TryStreamExt};
use http::{Method, Request};
use json::Value;

use super::{Write, objects};

/// Writes of one round under way at the same time: the store commits them in groups.
const PARALLEL: usize = 32;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Error {
    /// Kind and name of the object.
    pub what: String,
    #[source]
    pub source: kube::Error,
}

/// Writes round after round; stops at the first failure, and can be run again.
pub async fn apply(plan: Vec<Vec<Write>>, client: &kube::Client) -> Result<(), Error> {
    for round in plan {
        stream::iter(round).map(|write| one(write, client)).buffer_unordered(PARALLEL).try_collect::<()>().await?;
    }
    Ok(())
}

/// The end of a path at which a status is applied, in the name of upstream's controller that owns it.
/// Upstream: defaultservicecidr.Controller, flowcontrol.ConfigConsumerAsFieldManager.
fn status_path(object: &Value) -> &'static str {
    match meta::kind(object) {
        "FlowSchema" => "/status?fieldManager=api-priority-and-fairness-config-consumer-v1&force=true",
        _ => "/status?fieldManager=kubernetes-service-cidr-controller&force=true",
    }
}

async fn one(write: Write, client: &kube::Client) -> Result<(), Error> {
    match write {
        Write::Create(object) => create(&object, client).await,
        Write::Update(object) => send(Method::PUT, "", &object, client).await,
        Write::Status(object) => send(Method::PATCH, status_path(&object), &object, client).await,
        Write::Recreate(object) => {
            send(Method::DELETE, "", &object, client).await?;
            create(&object, client).await
        }
    }
}

/// Creates an object; that it is there already is as good, whatever the refusal says: of two servers that start, one has taken the address
/// of the Service when the other asks for it.
async fn create(object: &Value, client: &kube::Client) -> Result<(), Error> {
    let created = send(Method::POST, "", object, client).await;
    if let Err(Error { source: kube::Error::Api(_), .. }) = &created
        && send(Method::GET, "", object, client).await.is_ok()
    {
        return Ok(());
    }
    created
}

async fn send(method: Method, subresource: &str, object: &Value, client: &kube::Client) -> Result<(), Error> {
    let (group, resource) = objects::resource_of(object);
    let version = meta::api_version(object);
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{version}") };
    let namespace = match meta::namespace(object) {
        "" => String::new(),
        namespace => format!("/namespaces/{namespace}"),
    };
    let name = if method == Method::POST { String::new() } else { format!("/{}{subresource}", meta::name(object)) };
    let is_bare = method == Method::DELETE || method == Method::GET;
    let body = if is_bare { Vec::new() } else { object.to_string().into_bytes() };
    let fail = |source| Error { what: format!("{} {}", meta::kind(object), meta::name(object)), source };
    let applies = method == Method::PATCH;
    let media_type = if applies { "application/apply-patch+yaml" } else { "application/json" };
    let request = Request::builder()
        .method(&method)
        .uri(format!("{root}{namespace}/{resource}{name}"))
        .header(http::header::CONTENT_TYPE, media_type)
        .body(body)
        .map_err(|error| fail(kube::Error::HttpError(error)))?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        // Somebody else, or this server before it was killed, was faster; the next start compares again.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 && method == Method::DELETE => Ok(()),
        Err(error) => Err(fail(error)),
    }
}
