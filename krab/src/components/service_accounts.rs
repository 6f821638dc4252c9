//! `--use-service-account-credentials`: a client for each controller that acts as the controller's own service account.
//!
//! A task per account keeps a token: it asks for one (making the account where it is missing) and again when four fifths
//! of its time are over. Requests wait until there is one. Upstream: `clientbuilder.DynamicControllerClientBuilder`.

use std::sync::Arc;
use std::time::Duration;

use component::Shutdown;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, Response};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::client::Body;
use tokio::sync::watch;
use tower::BoxError;

const NAMESPACE: &str = "kube-system";
/// How long a token is asked for.
const VALID: Duration = Duration::from_secs(3600);
/// Between two attempts to get one.
const RETRY: Duration = Duration::from_secs(2);

/// The clients by account: requests go through `anonymous`, which has no identity of its own, with the account's token;
/// `client` asks for the tokens.
pub(super) fn clients(
    anonymous: kube::Client,
    client: kube::Client,
    shutdown: &Shutdown,
) -> controller_manager::Clients {
    let shutdown = shutdown.clone();
    Arc::new(move |account: &str| {
        let (sender, token) = watch::channel(None);
        let keeping = keep_token(client.clone(), account.to_owned(), sender);
        component::spawn_until("service account token", &shutdown, keeping);
        let anonymous = anonymous.clone();
        let service = tower::service_fn(move |request| send(anonymous.clone(), token.clone(), request));
        kube::Client::new(service, NAMESPACE)
    })
}

async fn send(
    anonymous: kube::Client,
    mut token: watch::Receiver<Option<HeaderValue>>,
    mut request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let value = token.wait_for(Option::is_some).await?.clone();
    if let Some(value) = value {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(anonymous.send(request).await?)
}

async fn keep_token(client: kube::Client, account: String, token: watch::Sender<Option<HeaderValue>>) {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
    loop {
        let wait = match request_token(&accounts, &account).await {
            Ok(value) => {
                token.send_replace(HeaderValue::from_str(&format!("Bearer {value}")).ok());
                VALID.mul_f64(0.8)
            }
            Err(error) => {
                tracing::warn!(%error, account, "no token for this service account yet");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn request_token(accounts: &Api<ServiceAccount>, account: &str) -> Result<String, kube::Error> {
    let expiration = i64::try_from(VALID.as_secs()).ok();
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: expiration, ..TokenRequestSpec::default() }),
        ..TokenRequest::default()
    };
    let answer = match accounts.create_token_request(account, &PostParams::default(), &request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let metadata = ObjectMeta { name: Some(account.to_owned()), ..ObjectMeta::default() };
            let wanted = ServiceAccount { metadata, ..ServiceAccount::default() };
            accounts.create(&PostParams::default(), &wanted).await?;
            accounts.create_token_request(account, &PostParams::default(), &request).await?
        }
        answer => answer?,
    };
    Ok(answer.status.and_then(|status| status.token).unwrap_or_default())
}
