//! postStart and preStop. Upstream: `lifecycle.HandlerRunner`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use crate::prober::{http, ports};

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Exec(#[from] cri::Error),
    #[error("command '{command}' exited with {code}: {output}")]
    Exit { command: String, code: i32, output: String },
    #[error("{0}")]
    Http(#[from] http::Error),
    #[error("invalid handler: no port {0:?}")]
    Port(String),
    #[error("HTTP lifecycle hook failed with status code {0}")]
    Status(u16),
    #[error("invalid handler: nothing to do")]
    Empty,
}

/// Runs a hook to its end. `pod_ip` is where HTTP goes if the hook names no host.
pub(super) async fn run(
    cri: &cri::Client,
    id: &str,
    container: Option<&Container>,
    handler: &LifecycleHandler,
    pod_ip: &str,
) -> Result<(), Error> {
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        let answer = cri.exec_sync(id, command.clone(), None).await?;
        if answer.exit_code != 0 {
            let output = [answer.stdout, answer.stderr].concat();
            let output = String::from_utf8_lossy(&output).into_owned();
            return Err(Error::Exit { command: command.join(" "), code: answer.exit_code, output });
        }
        return Ok(());
    }
    if let Some(get) = &handler.http_get {
        let port = ports::resolve(&get.port, container).ok_or_else(|| Error::Port(format!("{:?}", get.port)))?;
        let target = http::Target::of(get, pod_ip, port, "kube-lifecycle/1.37");
        let answer = http::get(&target, Duration::from_secs(u64::from(u32::MAX))).await?;
        // As upstream, any answer that is no error of the client or server will do.
        return if answer.status < 400 { Ok(()) } else { Err(Error::Status(answer.status)) };
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err(Error::Empty)
}
