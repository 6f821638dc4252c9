//! The files under `/sys/fs/cgroup`, of version 1 and of version 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::limits::{CFS_PERIOD, Limits};

const MOUNT: &str = "/sys/fs/cgroup";
/// Controllers handed down to pods on version 2.
const V2_CONTROLLERS: [&str; 6] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"];

/// How this machine's cgroups are laid out.
#[derive(Debug, Clone)]
pub(crate) enum Hierarchy {
    /// One tree a controller.
    V1 {
        /// The trees' roots.
        mounts: Vec<PathBuf>,
    },
    /// One tree.
    V2 {
        /// Its root.
        root: PathBuf,
    },
}

impl Hierarchy {
    /// Looks at what is mounted.
    pub(crate) fn detect() -> Option<Self> {
        let root = Path::new(MOUNT);
        if root.join("cgroup.controllers").exists() {
            return Some(Self::V2 { root: root.to_owned() });
        }
        let mounts: Vec<PathBuf> = v1_mounts(&fs::read_to_string("/proc/self/mountinfo").ok()?);
        mounts.iter().any(|mount| mount.ends_with("memory")).then_some(Self::V1 { mounts })
    }

    /// Makes a cgroup with its parents and writes its limits.
    pub(crate) fn ensure(&self, cgroup: &str, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::V1 { mounts } => {
                for mount in mounts {
                    make_v1(mount, cgroup)?;
                }
                for (controller, file, value) in v1_files(limits) {
                    if let Some(mount) = mounts.iter().find(|mount| has_controller(mount, controller)) {
                        write_changed(&mount.join(cgroup).join(file), &value)?;
                    }
                }
                Ok(())
            }
            Self::V2 { root } => {
                let mut at = root.clone();
                for part in cgroup.split('/') {
                    enable_controllers(&at)?;
                    at.push(part);
                    make_dir(&at)?;
                }
                enable_controllers(&at)?;
                for (file, value) in v2_files(limits) {
                    let path = at.join(file);
                    if path.exists() {
                        write_changed(&path, &value)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Removes a cgroup and all below it, killing what still runs there. Gone already is success.
    pub(crate) fn remove(&self, cgroup: &str) -> Result<(), Error> {
        match self {
            Self::V1 { mounts } => mounts.iter().try_for_each(|mount| remove_tree(&mount.join(cgroup))),
            Self::V2 { root } => remove_tree(&root.join(cgroup)),
        }
    }

    /// The names of the cgroups in this one.
    pub(crate) fn children(&self, cgroup: &str) -> Vec<String> {
        let roots = match self {
            Self::V1 { mounts } => mounts.as_slice(),
            Self::V2 { root } => std::slice::from_ref(root),
        };
        let mut names: Vec<String> = roots
            .iter()
            .filter_map(|root| fs::read_dir(root.join(cgroup)).ok())
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// CPU nanoseconds used so far and memory in bytes without the page cache that can be dropped at once.
    pub(crate) fn usage(&self, cgroup: &str) -> Option<(u64, u64)> {
        let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let field = |path: PathBuf, name: &str| {
            let text = fs::read_to_string(path).ok()?;
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
        };
        match self {
            Self::V1 { mounts } => {
                let of = |controller: &str| mounts.iter().find(|mount| has_controller(mount, controller));
                let cpu = number(of("cpuacct")?.join(cgroup).join("cpuacct.usage"))?;
                let memory = of("memory")?.join(cgroup);
                let used = number(memory.join("memory.usage_in_bytes"))?;
                let cache = field(memory.join("memory.stat"), "total_inactive_file").unwrap_or(0);
                Some((cpu, used.saturating_sub(cache)))
            }
            Self::V2 { root } => {
                let at = root.join(cgroup);
                let cpu = field(at.join("cpu.stat"), "usage_usec")? * 1000;
                let used = number(at.join("memory.current")).unwrap_or(0);
                let cache = field(at.join("memory.stat"), "inactive_file").unwrap_or(0);
                Some((cpu, used.saturating_sub(cache)))
            }
        }
    }
}

/// The mount points of version 1 controllers, each once, and of the version 2 tree beside them, where runtimes make cgroups too.
fn v1_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut mounts: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            matches!(right.split(' ').next(), Some("cgroup" | "cgroup2"))
                .then(|| left.split(' ').nth(4).map(PathBuf::from))?
        })
        .collect();
    mounts.sort();
    mounts.dedup();
    mounts
}

/// Mount points are named after their controllers, several joined by commas.
fn has_controller(mount: &Path, controller: &str) -> bool {
    mount.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.split(',').any(|part| part == controller))
}

fn v1_files(limits: &Limits) -> Vec<(&'static str, &'static str, String)> {
    let mut files = Vec::new();
    if let Some(shares) = limits.cpu_shares {
        files.push(("cpu", "cpu.shares", shares.to_string()));
    }
    if let Some(quota) = limits.cpu_quota {
        files.push(("cpu", "cpu.cfs_period_us", CFS_PERIOD.to_string()));
        files.push(("cpu", "cpu.cfs_quota_us", quota.to_string()));
    }
    if let Some(memory) = limits.memory {
        files.push(("memory", "memory.limit_in_bytes", memory.to_string()));
    }
    if let Some(pids) = limits.pids {
        files.push(("pids", "pids.max", pids.to_string()));
    }
    files
}

fn v2_files(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    if let Some(shares) = limits.cpu_shares {
        // The kernel's own mapping of [2, 262144] onto [1, 10000].
        files.push(("cpu.weight", (1 + (shares - 2) * 9999 / 262_142).to_string()));
    }
    if let Some(quota) = limits.cpu_quota {
        let quota = if quota < 0 { "max".to_owned() } else { quota.to_string() };
        files.push(("cpu.max", format!("{quota} {CFS_PERIOD}")));
    }
    if let Some(memory) = limits.memory {
        files.push(("memory.max", memory.to_string()));
    }
    if let Some(pids) = limits.pids {
        files.push(("pids.max", pids.to_string()));
    }
    files
}

/// Makes a version 1 cgroup level by level; a cpuset takes no process until it has CPUs and memory nodes of its own.
fn make_v1(mount: &Path, cgroup: &str) -> Result<(), Error> {
    let cpuset = has_controller(mount, "cpuset");
    let mut at = mount.to_owned();
    for part in cgroup.split('/') {
        let parent = at.clone();
        at.push(part);
        make_dir(&at)?;
        if cpuset {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let own = fs::read_to_string(at.join(file)).unwrap_or_default();
                if own.trim().is_empty() {
                    let inherited = fs::read_to_string(parent.join(file)).unwrap_or_default();
                    write_changed(&at.join(file), inherited.trim())?;
                }
            }
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(Error { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// Hands down what the parent has; a controller that cannot be handed down is left out.
fn enable_controllers(path: &Path) -> Result<(), Error> {
    let available = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    let enabled = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
    for controller in V2_CONTROLLERS {
        let has = |list: &str| list.split_whitespace().any(|name| name == controller);
        if has(&available)
            && !has(&enabled)
            && let Err(error) = fs::write(path.join("cgroup.subtree_control"), format!("+{controller}"))
        {
            tracing::debug!(%error, controller, cgroup = %path.display(), "controller is not handed down");
        }
    }
    Ok(())
}

fn write_changed(path: &Path, value: &str) -> Result<(), Error> {
    let present = fs::read_to_string(path).unwrap_or_default();
    if present.trim() == value {
        return Ok(());
    }
    fs::write(path, value).map_err(|source| Error { path: path.to_owned(), source })
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    for _ in 0..50 {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) if source.raw_os_error() == Some(nix::libc::EBUSY) => kill_all(path),
            Err(source) => return Err(Error { path: path.to_owned(), source }),
        }
        std::thread::yield_now();
    }
    fs::remove_dir(path).map_err(|source| Error { path: path.to_owned(), source })
}

/// Kills what a runtime left behind in a pod's cgroup.
fn kill_all(path: &Path) {
    for pid in fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid) = pid.parse::<i32>()
            && pid > 1
        {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_mounts_are_found_with_their_controllers() {
        let text = "30 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                    31 20 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    32 20 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let mounts = v1_mounts(text);
        assert_eq!(mounts.len(), 3);
        assert!(has_controller(&mounts[0], "cpuacct") && !has_controller(&mounts[0], "memory"));
    }

    #[test]
    fn shares_become_weights() {
        let weight = |shares| v2_files(&Limits { cpu_shares: Some(shares), ..Limits::default() })[0].1.clone();
        assert_eq!((weight(2), weight(1024), weight(262_144)), ("1".into(), "39".into(), "10000".into()));
    }
}
