//! One APIService, compiled.

use std::sync::Arc;

use api::meta;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;
use rustls_pki_types::ServerName;

use crate::webhook::{BadBundle, Error, Identity, Trust, client_config, http::Client};

/// A group-version and who serves it.
#[derive(Debug)]
pub(crate) struct ApiService {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) group_priority: i64,
    pub(crate) version_priority: i64,
    /// Its condition Available.
    pub(crate) is_available: bool,
    /// None: this server.
    pub(crate) remote: Option<Remote>,
}

/// A Service that serves a group-version.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
    /// What reaches it, or why nothing can.
    pub(crate) client: Result<Client, Arc<Error>>,
}

impl ApiService {
    pub(super) fn compile(stored: &Value, identity: Option<&Identity>) -> ApiService {
        let spec = &stored["spec"];
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        let mut conditions = stored["status"]["conditions"].as_array().into_iter().flatten();
        ApiService {
            name: meta::name(stored).to_owned(),
            group: text("group"),
            version: text("version"),
            group_priority: spec["groupPriorityMinimum"].as_i64().unwrap_or_default(),
            version_priority: spec["versionPriority"].as_i64().unwrap_or_default(),
            is_available: conditions.any(|own| own["type"] == "Available" && own["status"] == "True"),
            remote: spec["service"].is_object().then(|| Remote::compile(spec, identity)),
        }
    }

    /// The path of its discovery document.
    pub(super) fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }
}

impl Remote {
    fn compile(spec: &Value, identity: Option<&Identity>) -> Remote {
        let service = &spec["service"];
        let text = |key: &str| service[key].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
        let client = Remote::client(spec, &format!("{name}.{namespace}.svc"), identity).map_err(Arc::new);
        Remote { namespace, service: name, port, client }
    }

    fn client(spec: &Value, server: &str, identity: Option<&Identity>) -> Result<Client, Error> {
        let bundle = STANDARD.decode(spec["caBundle"].as_str().unwrap_or_default()).map_err(|_| BadBundle::NotPem)?;
        let trust = if spec["insecureSkipTLSVerify"] == true {
            Trust::Anyone
        } else if bundle.is_empty() {
            Trust::System
        } else {
            Trust::Bundle(&bundle)
        };
        let name = ServerName::try_from(server.to_owned()).map_err(|error| Error::Url(error.to_string()))?;
        Ok(Client::new(client_config(trust, identity)?, name))
    }
}
