//! A running `krab server` and kubectl against it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The flags of a control plane without a node, on a free port.
pub(crate) const CONTROL_PLANE: &[&str] = &["--disable-node", "--bind-address=127.0.0.1", "--secure-port=0"];

/// A folder for a cluster.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("krab-it-").tempdir().expect("a folder can be made")
}

/// What `hack/arena` told about the machine it made.
#[cfg(feature = "node-tests")]
pub(crate) fn arena(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this inside hack/arena"))
}

/// The flags of a node in an arena. Its disk is the machine's, however full that is, so pods are not evicted for it.
#[cfg(feature = "node-tests")]
pub(crate) fn node_flags(folder: &std::path::Path) -> Vec<String> {
    let config = folder.join("kubelet.yaml");
    let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
                evictionHard: {memory.available: 100Mi, nodefs.available: 1%}\n";
    std::fs::write(&config, text).expect("the folder is the test's own");
    vec![
        "--node-name=node-1".to_owned(),
        format!("--advertise-address={}", arena("KRAB_ARENA_IP")),
        format!("--container-runtime-endpoint=unix://{}", arena("KRAB_ARENA_SOCKET")),
        format!("--cni-conf-dir={}", arena("KRAB_ARENA_CNI")),
        format!("--cgroup-root={}", arena("KRAB_ARENA_CGROUP")),
        format!("--kubelet-config={}", config.display()),
    ]
}

/// One cluster; ends with the test.
pub(crate) struct Cluster {
    folder: TempDir,
    arguments: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// A control plane without a node, on a free port.
    pub(crate) fn control_plane() -> Self {
        Self::start(folder(), CONTROL_PLANE)
    }

    /// A control plane and a node inside an arena, Ready.
    #[cfg(feature = "node-tests")]
    pub(crate) fn with_node() -> Self {
        let cluster = Self::with_starting_node();
        cluster.kubectl(&["wait", "--for=condition=Ready", "node/node-1", "--timeout=60s"]);
        cluster
            .wait("the default service account", || cluster.try_kubectl(&["get", "serviceaccount", "default"]).is_ok());
        cluster
    }

    /// The same, whatever state its node is in.
    #[cfg(feature = "node-tests")]
    pub(crate) fn with_starting_node() -> Self {
        let folder = folder();
        let flags = node_flags(folder.path());
        Self::start(folder, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a server whose data are in `data` below the folder.
    pub(crate) fn start(folder: TempDir, flags: &[&str]) -> Self {
        let mut arguments = vec!["server".to_owned(), format!("--data-dir={}", folder.path().join("data").display())];
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut cluster = Self { folder, arguments, server: None };
        cluster.restart();
        cluster
    }

    /// Starts the server again on the same data.
    pub(crate) fn restart(&mut self) {
        assert!(self.server.is_none(), "it is running");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log"));
        let log = log.expect("the folder is the test's own");
        let server = Command::new(env!("CARGO_BIN_EXE_krab"))
            .args(&self.arguments)
            // The invoking user's own kubeconfig is not the test's to change.
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("files can be shared"))
            .stderr(log)
            .spawn()
            .expect("krab was built for this test");
        self.server = Some(server);
        self.wait("/readyz", || self.try_kubectl(&["get", "--raw", "/readyz"]).is_ok());
    }

    /// Ends the server without a word.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().expect("it is running");
        server.kill().expect("it is our child");
        server.wait().expect("it is our child");
    }

    /// Ends the server in an orderly way; gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut server = self.server.take().expect("it is running");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id()).expect("pids are small"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is our child");
        server.wait().expect("it is our child").code()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.path("data/admin.kubeconfig")
    }

    /// Another command of krab, as the administrator; ends with the guard.
    pub(crate) fn component(&self, arguments: &[&str]) -> Process {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log"));
        let log = log.expect("the folder is the test's own");
        let mut kubeconfig = arguments.to_vec();
        let flag = format!("--kubeconfig={}", self.kubeconfig().display());
        if !arguments.iter().any(|argument| argument.starts_with("--kubeconfig")) {
            kubeconfig.push(&flag);
        }
        let child = Command::new(env!("CARGO_BIN_EXE_krab"))
            .args(kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("krab was built for this test");
        Process(child)
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
        self.try_feed(arguments, input)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}\n{}", arguments.join(" "), self.log_tail()))
    }

    /// The same, which may be refused.
    pub(crate) fn try_feed(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run kubectl (set KUBECTL): {error}"));
        let mut stdin = child.stdin.take().expect("it was piped");
        // kubectl that refuses its arguments does not read.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        outcome(child.wait_with_output().expect("it is our child"))
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

    /// What the server has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// A process that ends with its guard.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
#[cfg(feature = "node-tests")]
pub(crate) fn surroundings(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run ./hack/test"));
    let path = PathBuf::from(path);
    assert!(path.exists(), "{} does not exist", path.display());
    path
}
