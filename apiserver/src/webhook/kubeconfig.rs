//! Kubeconfig files about webhooks: one that names a webhook, its cluster being the server and its user what is shown there; and
//! one whose users are named after the webhooks they are shown to.
//! Upstream: k8s.io/apiserver/pkg/util/webhook.{LoadKubeconfig,defaultAuthenticationInfoResolver}.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{Identity, Trust};
use super::{Access, Webhook};

/// Why a file names no webhook.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path:?}: {source}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("kubeconfig {0:?}: {1}")]
    Malformed(PathBuf, String),
    #[error(transparent)]
    Webhook(#[from] super::Error),
}

impl Webhook {
    /// Of the current context of a kubeconfig file.
    ///
    /// # Errors
    /// The file, or one it names, cannot be read or makes no sense.
    pub(crate) fn of_kubeconfig(file: &Path) -> Result<Webhook, Error> {
        let config = parsed(file)?;
        let context = named(&config, "contexts", "context", &config["current-context"]);
        let cluster = named(&config, "clusters", "cluster", &context["cluster"]);
        let user = named(&config, "users", "user", &context["user"]);
        let authorities = embedded(cluster, "certificate-authority", file)?;
        let trust = match &authorities {
            _ if cluster["insecure-skip-tls-verify"] == true => Trust::Anyone,
            Some(pem) => Trust::Bundle(pem),
            None => Trust::System,
        };
        let user = User::of(user, file)?;
        let server = cluster["server"].as_str().unwrap_or_default();
        Ok(Webhook::of_server(&with_scheme(server, !matches!(trust, Trust::System)), user.access(trust))?)
    }
}

/// What is shown to somebody.
#[derive(Debug, Default)]
pub(super) struct User {
    identity: Option<Identity>,
    authorization: Option<HeaderValue>,
}

impl User {
    fn of(user: &Value, file: &Path) -> Result<User, Error> {
        let malformed = |why: &str| Error::Malformed(file.to_owned(), why.to_owned());
        let identity = match (embedded(user, "client-certificate", file)?, embedded(user, "client-key", file)?) {
            (Some(chain), Some(key)) => {
                let unusable = |_| malformed("the user's certificate or key is no PEM");
                let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().map_err(unusable)?;
                Some(Identity { chain, key: PrivateKeyDer::from_pem_slice(&key).map_err(unusable)? })
            }
            _ => None,
        };
        let text = |name: &str| user[name].as_str().filter(|text| !text.is_empty());
        let authorization = match (text("token"), text("tokenFile"), text("username")) {
            (_, Some(path), _) => Some(format!("Bearer {}", String::from_utf8_lossy(&beside(path, file)?).trim())),
            (Some(token), ..) => Some(format!("Bearer {token}")),
            (_, _, Some(name)) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{}", text("password").unwrap_or_default()))))
            }
            _ => None,
        };
        let authorization = authorization.map(|header| HeaderValue::from_str(&header)).transpose();
        Ok(User { identity, authorization: authorization.map_err(|_| malformed("the user's token is no header"))? })
    }

    pub(super) fn access<'a>(&'a self, trust: Trust<'a>) -> Access<'a> {
        Access { trust, identity: self.identity.as_ref(), authorization: self.authorization.clone() }
    }
}

/// What is shown to which webhook.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// `service.namespace.svc:8443`, `*.example.com`, `*`; 443 need not be said.
    named: BTreeMap<String, User>,
    /// For all others, that of the current context.
    current: Option<String>,
}

impl Users {
    /// Of a kubeconfig file.
    ///
    /// # Errors
    /// The file, or one it names, cannot be read or makes no sense.
    pub(crate) fn read(file: &Path) -> Result<Users, Error> {
        let config = parsed(file)?;
        let context = named(&config, "contexts", "context", &config["current-context"]);
        let mut all = BTreeMap::new();
        for own in config["users"].as_array().into_iter().flatten() {
            all.insert(own["name"].as_str().unwrap_or_default().to_owned(), User::of(&own["user"], file)?);
        }
        Ok(Users { named: all, current: context["user"].as_str().map(str::to_owned) })
    }

    /// For the webhook at `host:port`.
    pub(super) fn of(&self, authority: &str) -> Option<&User> {
        let without = authority.strip_suffix(":443");
        let found = std::iter::once(authority).chain(without).find_map(|target| {
            let domains = target.match_indices('.').map(|(dot, _)| format!("*{}", &target[dot..]));
            std::iter::once(target.to_owned()).chain(domains).find_map(|name| self.named.get(&name))
        });
        found.or_else(|| self.named.get("*")).or_else(|| self.named.get(self.current.as_ref()?))
    }
}

/// The URL of a `server`, which may be `HOST:PORT` alone: whoever says whom to trust wants TLS then.
/// Upstream: client-go/rest.DefaultServerURL.
fn with_scheme(server: &str, wants_tls: bool) -> String {
    match server.is_empty() || server.contains("://") {
        true => server.to_owned(),
        false => format!("{}://{server}", if wants_tls { "https" } else { "http" }),
    }
}

fn parsed(file: &Path) -> Result<Value, Error> {
    let text = String::from_utf8_lossy(&read(file)?).into_owned();
    serde_saphyr::from_str(&text).map_err(|error| Error::Malformed(file.to_owned(), error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
}

/// The one of a list of this name.
fn named<'v>(config: &'v Value, list: &str, kind: &str, name: &Value) -> &'v Value {
    let found = config[list].as_array().into_iter().flatten().find(|own| own["name"] == *name);
    found.map_or(&Value::Null, |own| &own[kind])
}

/// `NAME-data`, or the content of the file `NAME`, which is looked for beside the kubeconfig.
fn embedded(of: &Value, name: &str, file: &Path) -> Result<Option<Vec<u8>>, Error> {
    if let Some(data) = of[format!("{name}-data").as_str()].as_str() {
        let unusable = |_| Error::Malformed(file.to_owned(), format!("{name}-data is no base64"));
        return STANDARD.decode(data).map(Some).map_err(unusable);
    }
    let Some(path) = of[name].as_str().filter(|path| !path.is_empty()) else { return Ok(None) };
    beside(path, file).map(Some)
}

fn beside(path: &str, file: &Path) -> Result<Vec<u8>, Error> {
    read(&file.parent().unwrap_or(Path::new("")).join(path))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::registry::testing::Fixture;

    #[test]
    fn a_server_without_a_scheme_is_asked_over_tls_where_somebody_says_whom_to_trust() {
        assert_eq!(with_scheme("127.0.0.1:80", false), "http://127.0.0.1:80");
        assert_eq!(with_scheme("127.0.0.1:80", true), "https://127.0.0.1:80");
        assert_eq!(with_scheme("https://a", false), "https://a");
    }

    #[tokio::test]
    async fn a_server_of_plain_http_is_asked_and_not_told_who_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{server: 'http://{address}/path'}}}}]\nusers: [{{name: u, user: {{token: secret}}}}]\n"
        );
        std::fs::write(&file, text).unwrap();
        let webhook = Webhook::of_kubeconfig(&file).unwrap();
        let asked = component::spawn("plain webhook", async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.expect("it listens");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let limit = Duration::from_secs(30);
        let answer = webhook.post(&Fixture::default(), Bytes::from_static(b"{}"), limit).await.unwrap();
        assert_eq!(answer, "{}");
        let request = asked.await.unwrap().unwrap().to_lowercase();
        assert!(request.starts_with("post /path?timeout=30s http/1.1\r\n"), "{request}");
        assert!(!request.contains("authorization"), "{request}");
    }
}
