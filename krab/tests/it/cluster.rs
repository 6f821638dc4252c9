//! A running `krab server` and kubectl against it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// One cluster; ends with the test.
pub(crate) struct Cluster {
    folder: TempDir,
    arguments: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// A control plane without a node, on a free port.
    pub(crate) fn control_plane() -> Self {
        Self::start(&["--disable-node", "--bind-address=127.0.0.1", "--secure-port=0"])
    }

    /// A control plane and a node inside an arena, Ready.
    pub(crate) fn with_node() -> Self {
        let arena = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this inside hack/arena"))
        };
        let cluster = Self::start(&[
            "--node-name=node-1",
            &format!("--advertise-address={}", arena("KRAB_ARENA_IP")),
            &format!("--container-runtime-endpoint=unix://{}", arena("KRAB_ARENA_SOCKET")),
            &format!("--cni-conf-dir={}", arena("KRAB_ARENA_CNI")),
            &format!("--cgroup-root={}", arena("KRAB_ARENA_CGROUP")),
        ]);
        cluster.kubectl(&["wait", "--for=condition=Ready", "node/node-1", "--timeout=60s"]);
        cluster
            .wait("the default service account", || cluster.try_kubectl(&["get", "serviceaccount", "default"]).is_ok());
        cluster
    }

    fn start(flags: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("krab-it-").tempdir().unwrap();
        let mut arguments = vec!["server".to_owned(), format!("--data-dir={}", folder.path().join("data").display())];
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut cluster = Self { folder, arguments, server: None };
        cluster.restart();
        cluster
    }

    /// Starts the server again on the same data.
    pub(crate) fn restart(&mut self) {
        assert!(self.server.is_none(), "it is running");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let server = Command::new(env!("CARGO_BIN_EXE_krab"))
            .args(&self.arguments)
            // The invoking user's own kubeconfig is not the test's to change.
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        self.wait("/readyz", || self.try_kubectl(&["get", "--raw", "/readyz"]).is_ok());
    }

    /// Ends the server without a word.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Ends the server in an orderly way; gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut server = self.server.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        server.wait().unwrap().code()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.path("data/admin.kubeconfig")
    }

    /// kubectl, to be given more and spawned.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()));
        command
            .arg(format!("--kubeconfig={}", self.kubeconfig().display()))
            .args(arguments)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs kubectl; what it printed, or what it complained of.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        outcome(
            self.command(arguments)
                .output()
                .unwrap_or_else(|error| panic!("cannot run kubectl (set KUBECTL): {error}")),
        )
    }

    /// Runs kubectl, which must succeed.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}\n{}", arguments.join(" "), self.log_tail()))
    }

    /// Runs kubectl, which must refuse; its complaint.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        match self.try_kubectl(arguments) {
            Ok(output) => panic!("kubectl {} was not refused: {output}", arguments.join(" ")),
            Err(complaint) => complaint,
        }
    }

    /// `kubectl apply -f -` and the like.
    #[track_caller]
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> String {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        outcome(child.wait_with_output().unwrap())
            .unwrap_or_else(|error| panic!("kubectl {}: {error}\n{}", arguments.join(" "), self.log_tail()))
    }

    /// A field of an object by JSONPath.
    #[track_caller]
    pub(crate) fn field(&self, object: &str, path: &str) -> String {
        self.kubectl(&["get", object, "-o", &format!("jsonpath={path}")])
    }

    /// Waits until `done`.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let since = Instant::now();
        while !done() {
            if since.elapsed() > PATIENCE {
                let state = self.try_kubectl(&["get", "all", "-A", "-o", "wide"]).unwrap_or_else(|error| error);
                panic!("waited in vain for {what}\n{state}\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn outcome(output: Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{}{text}", String::from_utf8_lossy(&output.stderr))) }
}

/// A file of the repository's surroundings that a variable names.
pub(crate) fn surroundings(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run ./hack/test"));
    let path = Path::new(&path).to_owned();
    assert!(path.exists(), "{} does not exist", path.display());
    path
}
