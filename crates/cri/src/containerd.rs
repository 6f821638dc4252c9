//! What containerd offers beside CRI: importing an image, which CRI has no call for, and events where its CRI has none.
//!
//! containerd serves its own gRPC API on the socket it serves CRI on. Two of its services are enough: `content` takes the blobs
//! (layer, config, manifest), `images` gives the manifest a name; the CRI plugin learns of it by the event that this causes, exactly
//! as for `ctr -n k8s.io images import`, which need not be installed. The messages below are the fields of
//! `containerd.services.{content,images}.v1` that this needs, by their numbers.
//!
//! Every blob carries `containerd.io/gc.root`, so that the garbage collector leaves it alone between the calls.

use std::collections::HashMap;

use http::uri::PathAndQuery;
use serde_json::json;
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::{Client, Error};

/// The namespace in which the CRI plugin looks for images.
const NAMESPACE: &str = "k8s.io";
/// The CRI plugin's mark on an image that no garbage collection of images may take.
const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");

/// An image of one layer, made here rather than pulled.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// The name under which containers ask for it.
    pub name: String,
    /// The one layer, an uncompressed tar archive.
    pub layer: Vec<u8>,
    /// What runs.
    pub entrypoint: Vec<String>,
    /// `uid:gid` it runs as.
    pub user: String,
    /// `amd64`, `arm64`.
    pub architecture: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WriteContentRequest {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(string, tag = "2")]
    reference: String,
    #[prost(int64, tag = "3")]
    total: i64,
    #[prost(string, tag = "4")]
    expected: String,
    #[prost(int64, tag = "5")]
    offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    data: Vec<u8>,
    #[prost(map = "string, string", tag = "7")]
    labels: HashMap<String, String>,
}

/// `WriteAction.COMMIT`.
const COMMIT: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct WriteContentResponse {
    #[prost(string, tag = "6")]
    digest: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Descriptor {
    #[prost(string, tag = "1")]
    media_type: String,
    #[prost(string, tag = "2")]
    digest: String,
    #[prost(int64, tag = "3")]
    size: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Image {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

/// An event of containerd, of which only the topic matters here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Envelope {
    /// `/tasks/exit` and the like.
    #[prost(string, tag = "3")]
    pub topic: String,
}

/// The ends of processes in the CRI plugin's containers, as containerd itself tells them: versions before 2.0 have no events in CRI.
/// An event may come a moment before CRI answers accordingly.
pub async fn exits(client: &Client) -> Result<tonic::Streaming<Envelope>, Error> {
    let failed = |status| Error::from_status(client.endpoint(), "Events/Subscribe", status);
    let filters = ["/tasks/exit", "/tasks/oom"].map(|topic| format!("namespace=={NAMESPACE},topic=={topic}"));
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.map_err(|error| failed(Status::unavailable(error.to_string())))?;
    let path = PathAndQuery::from_static("/containerd.services.events.v1.Events/Subscribe");
    let codec = ProstCodec::<SubscribeRequest, Envelope>::default();
    let request = in_namespace(SubscribeRequest { filters: filters.to_vec() });
    grpc.server_streaming(request, path, codec).await.map(tonic::Response::into_inner).map_err(failed)
}

/// Imports `image`. Idempotent: blobs that are there already are kept, the name is moved to this image.
pub async fn import(client: &Client, image: &BuiltImage) -> Result<(), Error> {
    let layer = digest(&image.layer);
    let config = json!({
        "architecture": image.architecture,
        "os": "linux",
        "config": { "Entrypoint": image.entrypoint, "User": image.user, "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer,
            "size": image.layer.len(),
        }],
    })
    .to_string()
    .into_bytes();
    let references = HashMap::from([
        ("containerd.io/gc.ref.content.config".to_owned(), digest(&config)),
        ("containerd.io/gc.ref.content.l.0".to_owned(), layer),
    ]);
    write(client, image.layer.clone(), HashMap::new()).await?;
    write(client, config, HashMap::new()).await?;
    let target = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: digest(&manifest),
        size: i64::try_from(manifest.len()).unwrap_or(i64::MAX),
    };
    write(client, manifest, references).await?;

    let labels = HashMap::from([(PINNED.0.to_owned(), PINNED.1.to_owned())]);
    let named = ImageRequest { image: Some(Image { name: image.name.clone(), labels, target: Some(target) }) };
    match unary(client, "/containerd.services.images.v1.Images/Create", named.clone()).await {
        Err(status) if status.code() == Code::AlreadyExists => {
            unary(client, "/containerd.services.images.v1.Images/Update", named).await
        }
        answer => answer,
    }
    .map(|_: ImageResponse| ())
    .map_err(|status| Error::from_status(client.endpoint(), "Images/Create", status))
}

/// Puts one blob into the content store.
async fn write(client: &Client, data: Vec<u8>, mut labels: HashMap<String, String>) -> Result<(), Error> {
    labels.insert("containerd.io/gc.root".into(), "true".into());
    let expected = digest(&data);
    let request = WriteContentRequest {
        action: COMMIT,
        reference: format!("krab-import-{expected}"),
        total: i64::try_from(data.len()).unwrap_or(i64::MAX),
        expected,
        offset: 0,
        data,
        labels,
    };
    let answer = async {
        let mut grpc = tonic::client::Grpc::new(client.channel());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = in_namespace(futures::stream::iter([request]));
        let path = PathAndQuery::from_static("/containerd.services.content.v1.Content/Write");
        let codec = ProstCodec::<WriteContentRequest, WriteContentResponse>::default();
        let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    match answer.await {
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        answer => answer.map_err(|status| Error::from_status(client.endpoint(), "Content/Write", status)),
    }
}

async fn unary(client: &Client, path: &'static str, request: ImageRequest) -> Result<ImageResponse, Status> {
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<ImageRequest, ImageResponse>::default();
    grpc.unary(in_namespace(request), PathAndQuery::from_static(path), codec).await.map(tonic::Response::into_inner)
}

fn in_namespace<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}

fn digest(data: &[u8]) -> String {
    let sum = Sha256::digest(data);
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in sum {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
